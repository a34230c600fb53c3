"""Who asks, and what they may do.

Rules: a credential becomes a `Permission` (`api_key`), a `Permission` is asked in one place (`permission`),
and callers from outside hold a `Session`, never the `Store` (`session`).

Not here: how a credential travels in a request, see `http/server.py`.
"""
