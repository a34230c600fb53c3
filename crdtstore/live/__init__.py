"""Live queries: the result of a query while transactions change it, as differences from what an observer last saw.

Rules: what an observer has seen, with every difference applied, is what a find would answer. Equal queries are judged
once, however many observe them.

Not here: what a query means (`query`), what wakes a live query (`feed/pump`), the wire (`http/store/live`).
"""
