"""A register holds one value; concurrent writes stay beside each other as siblings.

State: the live writes at a path, usually one.
Law: a write removes the siblings that it observed and stays until it is observed by another write or by a
    removal. Losers are never dropped by comparison: dropping the lower of two concurrent values together with
    observed removal is not associative (`tests/laws`, planted bug `DropsLosers`).
Visible: the sibling with the greatest (timestamp, actor, origin).

Source: Shapiro et al., "A comprehensive study of CRDTs", 2011, multi-value register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.operation import Write
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Value, decode_value


def write(cells: Iterable[Cell], operation: Write, stamp: Stamp, is_observed: Callable[[Stamp], bool]) -> list[Cell]:
    """Apply a write to a document's cells."""
    path, value = operation
    kept = [
        cell for cell in cells if not (cell.path == path and cell.type == CellType.REGISTER and is_observed(cell.stamp))
    ]
    return [*kept, Cell(path, CellType.REGISTER, stamp, value)]


def visible(siblings: Iterable[Cell]) -> Value:
    """The value that a reader sees, of at least one sibling."""
    return decode_value(max(siblings, key=lambda cell: cell.stamp).value)
