"""Statements of the query language DQL, run on a store.

Rules: `run.execute` is the one door. Reading statements see one snapshot; writing ones run on a draft, and are logged
as the operations that they came to, in one transaction. What a statement may cost is bounded (`budget`).

Not here: what statements and expressions mean (`query/dql/`), how documents are found (`query/`), operations (`crdt/`).
"""
