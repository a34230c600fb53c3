"""The statement language, DQL: text to statement, and its expressions on plain values.

Rules: `statement_parser.parse` is the one door from text to `statement` and `expression`, frozen trees that say what
was written and nothing of how it runs. `condition` says as much of an expression as it can in the tree that all
query languages share; `evaluate` computes every expression on values. docs/query-dql-values.md holds what operators and
functions mean, docs/query-dql-grammar.md how they are written.

Not here: running statements on a store.
"""
