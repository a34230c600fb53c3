"""The deterministic world: the real engine, with clock, randomness, network and storage injected; one seed, one world.

`parameters` and `plan` say what will happen, from a seed alone; `workload` what clients write. `clock`, `disk` and
`network` are what stores stand on here, `node` is one store's process, `conversation` one exchange under way, `world`
the loop that makes it all happen. `ledger` notes what stores log and claim, `oracle` works out from that what they must
hold, `checkers` compare. `run` runs many worlds, `shrink` makes a failing one small, `report` says what happened.

Rules: nothing here reads a clock, starts a thread, opens a socket or iterates over an unordered set where the order
decides anything. All randomness comes from generators that are seeded from the seed.

Not here: the engine itself, of which no line is written anew; sockets and disks (`tests/storage`, `tests/http`).
"""
