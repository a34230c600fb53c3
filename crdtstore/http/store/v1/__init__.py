"""Version 1 of the store API: documents as resources, calls by name, and distinct values.

Rules: what a call does is what later versions do; here are its paths and shapes. Documents are raw: `_id` stands in
them.

Not here: what versions have in common (`crdtstore.http.store`), time series (`crdtstore.http.store.series`).
"""
