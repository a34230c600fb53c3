"""Bytes in, bytes out: the store behind HTTP, as one plain ASGI application.

Rules: `server` owns the flow of a request, and every other module is one step of it: `request` (what is
refused before anything else, and reading the body), `headers` (what a request says beside its body), `routes` (which
endpoint), one folder for each family of endpoints, `openapi` (what they are, for programs and people), `respond` (the
answer), `faults` (an error as an answer), `wait` (a read that waits for a transaction). `listen` puts the application
on a socket; it alone needs the server packages.

Adding a route: one line in the table of its family, `Route(path, methods, endpoint, described=Described(Taken, Given,
READING))`. `Taken` is the type that the endpoint decodes, `Given` one that looks like its answer (`described.py` says
what else can be told: `arguments` for the query string, `errors`, `status`, `example`). The summary is the first line
of the endpoint's docstring. The documents of the API, the page of the API and the tests that go over all routes follow.

Not here: who may do what (`crdtstore.auth`), what a write or a query means (`crdtstore.store` and below).
"""
