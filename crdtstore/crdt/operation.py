"""An operation is one change to one place in one document, as a record carries it.

Rules: an operation lists no stamps of what it removes; it removes what its transaction observed (live, and
covered by the record's author vector). `Remove` removes a path and all below it; `Write`, `Mark` and `Restart`
remove what they observed at their own path and type, and add one cell; `Start` and `Increment` remove nothing.
An `Increment` names its instance: the origin chose it, and a receiver without it ignores the increment, since
causal delivery means that it was removed (planted bug `ReceiverChooses`).

Encoding: a msgpack array that begins with the operation's code; canonical, as every value in a record.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from crdtstore.crdt.stamp import Stamp


class Remove(NamedTuple):
    """Remove what was observed at `path` and below, of the types in the mask `types`."""

    path: bytes
    types: int


class Write(NamedTuple):
    """Write a register; `value` is encoded."""

    path: bytes
    value: bytes


class Mark(NamedTuple):
    """Write a map's marker: the map exists even without a child."""

    path: bytes


class Start(NamedTuple):
    """Create an implicit counter instance holding `amount`: an increment where no counter was observed."""

    path: bytes
    amount: int | float


class Restart(NamedTuple):
    """Create an explicit counter instance at `start`, in place of the observed ones."""

    path: bytes
    start: int | float


class Increment(NamedTuple):
    """Add `delta` to the author's total in the instance that `instance` created."""

    path: bytes
    instance: Stamp
    delta: int | float


Operation: TypeAlias = Remove | Write | Mark | Start | Restart | Increment

REMOVE, WRITE, MARK, START, RESTART, INCREMENT = range(6)
"""The codes that begin an encoded operation; also the order in which a record lists them at one path."""

CODES: dict[type[Operation], int] = {
    Remove: REMOVE,
    Write: WRITE,
    Mark: MARK,
    Start: START,
    Restart: RESTART,
    Increment: INCREMENT,
}
