"""A register holds one value; concurrent writes stay beside each other as siblings.

State: the live writes at a path, usually one.
Law: a write removes the siblings that it observed and stays until it is observed by another write or by a
    removal. Losers are never dropped by comparison: dropping the lower of two concurrent values together with
    observed removal is not associative (`tests/laws`, planted bug `DropsLosers`).
Visible: the sibling with the greatest (timestamp, actor, origin); an initial one only where no other is.
An attachment is a register of a type of its own: its value is a token.

Source: Shapiro et al., "A comprehensive study of CRDTs", 2011, multi-value register.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.operation import Attach, Write
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Value, decode_value


def write(
    cells: Iterable[Cell], operation: Write | Attach, stamp: Stamp, is_observed: Callable[[Stamp], bool]
) -> list[Cell]:
    """Apply a write to a document's cells."""
    path, value = operation
    kind = CellType.REGISTER if isinstance(operation, Write) else CellType.ATTACHMENT
    kept = [cell for cell in cells if not (cell.path == path and cell.type == kind and is_observed(cell.stamp))]
    return [*kept, Cell(path, kind, stamp, value)]


def visible(siblings: Iterable[Cell]) -> Value:
    """The value that a reader sees, of at least one sibling."""
    return decode_value(max(siblings, key=lambda cell: cell.recency).value)
