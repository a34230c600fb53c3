"""An operation is one change to one place in one document, as a record carries it.

Rules: an operation lists no stamps of what it removes; it removes what its transaction observed (live, and
covered by the record's author vector). `Remove` removes a path and all below it; `Write`, `Mark`,
`Restart` and `Attach` remove what they observed at their own path and type, and add one cell; `Start` and `Increment`
remove nothing.
An `Increment` names its instance: the origin chose it, and a receiver without it ignores the increment, since
causal delivery means that it was removed (planted bug `ReceiverChooses`). `Initial` is one of those that write a cell,
and makes it an initial one. `Bury` puts a grave in the place of the whole document, for ever; it stands alone.

Encoding: a msgpack array that begins with the operation's code; canonical, as every value in a record.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from crdtstore.crdt.path import ROOT
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


class Attach(NamedTuple):
    """Write an attachment; `value` is its encoded token."""

    path: bytes
    value: bytes


class Bury(NamedTuple):
    """Remove the whole document for ever; `path` is the root."""

    path: bytes = ROOT


class Increment(NamedTuple):
    """Add `delta` to the author's total in the instance that `instance` created."""

    path: bytes
    instance: Stamp
    delta: int | float


class Initial(NamedTuple):
    """Do what `write` does, with a cell that loses to every other write."""

    write: Write | Mark | Restart | Attach

    @property
    def path(self) -> bytes:
        """Where it writes."""
        return self.write.path


Operation: TypeAlias = Remove | Write | Mark | Start | Restart | Increment | Attach | Bury | Initial

REMOVE, WRITE, MARK, START, RESTART, INCREMENT, ATTACH, BURY = range(8)
"""The codes that begin an encoded operation."""

INITIAL = 8
"""Added to the code of a write that is an INITIAL one."""

INITIAL_CODES = frozenset(code | INITIAL for code in (WRITE, MARK, RESTART, ATTACH))

CODES: dict[type[Operation], int] = {
    Remove: REMOVE,
    Write: WRITE,
    Mark: MARK,
    Start: START,
    Restart: RESTART,
    Increment: INCREMENT,
    Attach: ATTACH,
    Bury: BURY,
}
