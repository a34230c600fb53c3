"""Operations and how they merge, in plain Python: the specification, and the oracle of the compiled core.

A document is a set of *cells*; a cell is named by (document, path, type, stamp) and lives until a write or a
removal that *observed* it. Nothing is ever dropped because something newer exists: the visible value is chosen
when it is read. From that one rule follows that the state is a pure function of the set of transactions
applied, in whatever causal order they came.

Reading order: `actor` and `timestamp` (who and when), `stamp`, `vector` (what was observed), `path`,
`identifier` and `value` (what is named and held), `cell`, then one file a type (`register`, `map`, `counter`),
`operation` and `fold` (one transaction's net effect), `merge` and `join`, `document` (visible value, conflicts,
canonical form, digest), `record` (the transaction as bytes) and `document_bytes` (the document as bytes).

Not here: storage, versions, indexes, HTTP. The compiled twins stand in `ext/`, one fragment a module.
"""
