"""Logging in: what a provider says of somebody becomes an access token of ours.

Rules: `routes` reads the form and writes the answer, `login` decides, `providers` are those that the operator names in
a file, `webhook` asks one of them over HTTP.

Not here: what a token is (`crdtstore/auth/token.py`).
"""
