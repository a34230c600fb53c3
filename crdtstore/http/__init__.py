"""Bytes in, bytes out: the store behind HTTP, as one plain ASGI application.

Rules: `server` owns the flow of a request, and every other module is one step of it: `request` (what is
refused before anything else, and reading the body), `routes` (which endpoint), one folder for each family of
endpoints, `respond` (the answer), `faults` (an error as an answer), `wait` (a read that waits for a
transaction). `listen` puts the application on a socket; it alone needs the server packages.

Not here: who may do what (`crdtstore.auth`), what a write or a query means (`crdtstore.store` and below).
"""
