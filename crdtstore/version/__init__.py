"""Ordered transaction versions: who sequences a transaction, what may be delivered, who waits for it.

A commit group goes `writer` (queue and thread) -> `sequencer` (one commit) -> `transaction` for own writes or
`delivery` for records from elsewhere -> `waiters`, once it is on disk.

Not here: what a command does (`command/`), how rows are kept (`storage/`).
"""
