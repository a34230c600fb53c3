"""A cell is one live write: (path, type, stamp) and what was written there.

Rules: a cell is never changed by another cell; it is removed, by an operation that observed it, or it stays.
A counter's cell is the instance; its totals hang on it and are not cells: an instance lives and dies with its
creation stamp, whatever was added to it (planted bug `TotalKeepsAlive`).

Not here: how each type removes, adds and shows; see `register`, `map`, `counter`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from crdtstore.crdt.stamp import Stamp


class CellType(IntEnum):
    """The types that may stand side by side under one path; the number also decides ties of visibility."""

    REGISTER = 1
    MAP = 2
    COUNTER = 3


def mask(*types: CellType) -> int:
    """A set of types as bits, as a removal carries it."""
    return sum(1 << kind for kind in types)


ALL_TYPES = mask(*CellType)


class Total(NamedTuple):
    """What one replica added to a counter instance: `amount` as encoded number, last changed at `stamp`."""

    stamp: Stamp
    amount: int | float


class Cell(NamedTuple):
    """One live write.

    `value` is the encoded value: a register's, or a counter instance's start; a map marker has none.
    `explicit` and `totals` (one a replica) are a counter's.
    """

    path: bytes
    type: CellType
    stamp: Stamp
    value: bytes
    explicit: bool = False
    totals: tuple[Total, ...] = ()

    @property
    def newest(self) -> Stamp:
        """The greatest stamp of the cell and its totals: what decides the visible type."""
        return max(self.stamp, *(total.stamp for total in self.totals)) if self.totals else self.stamp
