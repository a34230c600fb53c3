"""What a caller asks, turned into operations: one file a verb.

`command` says what the verbs look like, `parse` reads them from JSON, `upsert`, `update` and `remove` turn one
each into a draft's folds, `result` says what is answered, `execute` runs a list of them in order.

Not here: how operations merge (`crdt/`), what makes them a transaction (`version/`).
"""
