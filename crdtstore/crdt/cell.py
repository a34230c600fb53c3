"""A cell is one live write: (path, type, stamp) and what was written there.

Rules: a cell is never changed by another cell; it is removed, by an operation that observed it, or it stays.
An *initial* cell was written by an INITIAL write: it lives and dies like any other, but where something is to be seen
it loses to every other write, whatever the stamps; what is added to an initial counter is a write of its own.
A counter's cell is the instance; its totals hang on it and are not cells: an instance lives and dies with its
creation stamp, whatever was added to it (planted bug `TotalKeepsAlive`).

Not here: how each type removes, adds and shows; see `register`, `map`, `counter`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from crdtstore.crdt.stamp import Stamp


class CellType(IntEnum):
    """The types that may stand side by side under one path, and the grave, beside which nothing stands."""

    REGISTER = 1
    MAP = 2
    COUNTER = 3
    ATTACHMENT = 6
    GRAVE = 7


def mask(*types: CellType) -> int:
    """A set of types as bits, as a removal carries it."""
    return sum(1 << kind for kind in types)


ALL_TYPES = mask(CellType.REGISTER, CellType.MAP, CellType.COUNTER, CellType.ATTACHMENT)
"""What a removal may speak of: a grave is never removed."""

RANK = {CellType.REGISTER: 0, CellType.ATTACHMENT: 1, CellType.MAP: 2, CellType.COUNTER: 3}
"""Between types of one path with equal stamps the higher one is visible."""

Recency: TypeAlias = tuple[bool, Stamp]
"""What decides visibility: whether it was a real write, which an INITIAL write is not, then the stamp."""


class Total(NamedTuple):
    """What one replica added to a counter instance: `amount` as encoded number, last changed at `stamp`."""

    stamp: Stamp
    amount: int | float


class Cell(NamedTuple):
    """One live write.

    `value` is the encoded value: a register's, an attachment's token, or a counter instance's start; a map marker and
    a grave have none. `explicit` and `totals` (one a replica) are a counter's. `initial` says who loses to all others.
    """

    path: bytes
    type: CellType
    stamp: Stamp
    value: bytes
    explicit: bool = False
    totals: tuple[Total, ...] = ()
    initial: bool = False

    @property
    def recency(self) -> Recency:
        """The greatest recency of the cell and its totals: what decides the visible type."""
        own = (not self.initial, self.stamp)
        return max(own, *((True, total.stamp) for total in self.totals)) if self.totals else own
