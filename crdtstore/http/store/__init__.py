"""The store API, version 3: write, find and findbyid.

Rules: one file an endpoint, from body to answer. What version 3 leaves open is decided in `docs/http.md`.

Not here: headers, credentials and errors, which all families share.
"""
