"""A history: what every session asked of every server, what it was told, and what the servers' logs say.

Rules:

- A place is one thing that is written and read. A *register* holds the last write put there, a *set* the writes
  added to it and not removed since, a *counter* the increments. `r1`, `s1` and `c1/n` are a register, a set and a
  counter; `c1/by` is a register that shares its document with the counter.
- A write is one transaction. Its name is unique, and it is the value of everything that it puts or adds, so a
  read tells whose write it saw. An increment adds BASE to the power of its slot, and no two increments of a
  counter have one slot: so the value of a counter tells whose increments it holds, and how often.
- `invoked` and `returned` are ticks of one counter in the observing process: what returned before another was
  invoked came before it. They are never compared with a clock.

Not here: what a history may look like (`checker`, `witness`), how one comes about (`workload`, `model`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import msgspec

BASE = 4
"""A digit of a counter may be 0 or 1; 2 and 3 are increments counted too often, and show as such."""

SLOTS = 31
"""Increments of one counter, adds of one set: 4**31 is within int64."""

Seen: TypeAlias = str | frozenset[str] | int | None
"""What a read saw at a place: the name in a register, the names in a set, the value of a counter."""


class Effect(NamedTuple):
    """What a write does at one place."""

    kind: Literal["put", "add", "remove", "increment"]
    place: str
    slot: int = 0


class Write(NamedTuple):
    """One write. `txn` is 0 unless the outcome is ok; `after` is its precondition."""

    name: str
    session: int
    server: int
    invoked: int
    returned: int
    after: int | None
    outcome: Literal["ok", "refused", "unknown"]
    txn: int
    effects: tuple[Effect, ...]


class Read(NamedTuple):
    """One read. `exact`: it saw the state at `txn`; otherwise that state or a later one.

    A refused read is one whose wait for `after` ended; reads that the network lost are in no history.
    """

    session: int
    server: int
    invoked: int
    returned: int
    after: int | None
    outcome: Literal["ok", "refused"]
    txn: int
    exact: bool
    seen: dict[str, Seen]


Event: TypeAlias = Write | Read


class Logged(NamedTuple):
    """A transaction in a server's log.

    `stamp` is (timestamp, actor, origin), `observed` the difference of its author vector from that of the same
    server's transaction before: server -> position.
    """

    txn: int
    origin: int
    position: int
    stamp: tuple[int, bytes, bytes]
    name: str
    observed: dict[int, int]


class History(NamedTuple):
    """Everything that was seen; `final` and `digests` are of the end, when the servers were quiet and connected."""

    writes: list[Write]
    reads: list[Read]
    logs: list[list[Logged]]
    final: list[Read]
    digests: list[str]

    def events(self) -> list[Event]:
        """All that was asked before the end, in the order in which it was."""
        return sorted([*self.writes, *self.reads], key=lambda event: event.invoked)

    @property
    def size(self) -> int:
        """How many events were recorded."""
        return len(self.writes) + len(self.reads) + len(self.final)


class Violation(NamedTuple):
    """A promise that was broken; the numbers are those of `docs/histories.md`."""

    promise: str
    detail: str


def slots_of(value: int) -> dict[int, int]:
    """Tell how often each increment is in a counter's value: slot -> how often.

    What no sum of increments can be is an increment in slot SLOTS, which nobody has made.
    """
    if not 0 <= value < BASE**SLOTS:
        return {SLOTS: 1}
    return {slot: value // BASE**slot % BASE for slot in range(SLOTS) if value // BASE**slot % BASE}


def save(history: History, path: Path) -> None:
    """Keep a history as JSON, so that what was found in it can be found again."""
    path.write_bytes(msgspec.json.encode(history))


def load(path: Path) -> History:
    """Read a history that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=History)
