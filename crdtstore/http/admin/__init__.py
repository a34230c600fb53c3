"""The family of whoever runs the store: what it holds, for keys that may do everything.

Rules: one file an endpoint. An endpoint that takes no body ignores what stands in one.

Not here: documents (`crdtstore.http.store`), who has such a key (`crdtstore.auth`).
"""
