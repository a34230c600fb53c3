"""The documents of the API: OpenAPI, made of the route table, and a page for people.

Rules: nothing is described twice: paths, methods, types, errors and examples come from the table, descriptions from
docstrings. What is served is made once and kept as bytes. It tells what the server can do and nothing of what the store
holds, so it is open to every caller whose `Host` is ours.
"""
