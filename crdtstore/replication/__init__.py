"""The exchange between stores: what one lacks of the other travels, until both know the same.

An exchange goes `exchange` (the side that starts) -> `message` (requests and answers as bytes) -> `answer` (the side
that is asked), which
  - lets `compare` decide whether both are equal, and whether they have one history,
  - reads what the other lacks from the log (`missing`) into a `frame`, or
  - where the log no longer reaches back, keeps a version open (`pins`), from which `joining` fetches the ranges that
    differ as a `snapshot`.
What arrives is applied by `version/`, as every transaction is. A frame's parts are `fields`, `shapes`, `observed` and
`columns`; a snapshot's is `body`.

Around it: `local` and `remote` carry one exchange, `follow` goes on without end; `peers` remembers whom a store met,
`retention` for whom its log is kept.

Not here: bytes between machines (`client/`, `http/`), who may ask (`auth/`), what merging means (`crdt/`).
"""
