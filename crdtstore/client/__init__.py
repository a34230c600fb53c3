"""Clients of the store API, for programs that do not hold the store themselves.

Rules: a client has the names, values and errors of `Store`, so that a program can move between the two.

Not here: the server (`crdtstore.http`).
"""
