"""A map is the keys under a path; each key merges by itself, and a write wins over a concurrent removal.

State: the markers of a map that was written empty; a map with children needs none.
Law: add-wins. A removal removes exactly what it observed, so a concurrent write below survives and the map
    with it (`tests/laws`, planted bug `RemovesEverything`).
Visible: an object of the visible children; with none, an empty object if a marker is live.

Source: Bieniusa et al., "An optimized conflict-free replicated set", 2012: observed removal without tombstones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.operation import Mark, Remove
from crdtstore.crdt.stamp import Stamp


def mark(cells: Iterable[Cell], operation: Mark, stamp: Stamp, is_observed: Callable[[Stamp], bool]) -> list[Cell]:
    """Apply a marker to a document's cells; it replaces the observed ones."""
    (path,) = operation
    kept = [cell for cell in cells if not (cell.path == path and cell.type == CellType.MAP and is_observed(cell.stamp))]
    return [*kept, Cell(path, CellType.MAP, stamp, b"")]


def remove(cells: Iterable[Cell], operation: Remove, is_observed: Callable[[Stamp], bool]) -> list[Cell]:
    """Remove what was observed at a path and below; what is concurrent stays, and no tombstone is left."""
    path, types = operation
    return [
        cell
        for cell in cells
        if not (cell.path.startswith(path) and types >> cell.type & 1 and is_observed(cell.stamp))
    ]
