"""A grave is what is left of a document that was deleted for ever: one cell at the root, beside which nothing stands.

State: the greatest stamp of all graves that the document was given.
Law: a document with a grave keeps it. No operation changes it but another grave, no removal is of it, a join takes it
    from whichever side has it, covered or not; and every other cell goes, whoever wrote it and when. So the state is
    the same in every order (`tests/laws`, planted bugs `GraveClearsGraves`, `GraveIsDropped`, `GraveSparesConcurrent`).
    The operation says that a document is buried, never a setting of who receives it (`ReceiverDecides`).
Visible: nothing; the document does not exist, though its row stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.path import ROOT
from crdtstore.crdt.stamp import Stamp


def is_buried(cells: Sequence[Cell]) -> bool:
    """Whether these cells are a grave."""
    return bool(cells) and cells[0].type == CellType.GRAVE


def bury(cells: Sequence[Cell], stamp: Stamp) -> list[Cell]:
    """Put a grave in the place of everything; of two graves the greater stamp stays."""
    if is_buried(cells) and cells[0].stamp > stamp:
        return list(cells)
    return [Cell(ROOT, CellType.GRAVE, stamp, b"")]


def join_graves(ours: Sequence[Cell], theirs: Sequence[Cell]) -> list[Cell] | None:
    """The grave of two states of one document; None where neither side has one."""
    graves = [cell for cell in (*ours, *theirs) if cell.type == CellType.GRAVE]
    return [max(graves, key=lambda cell: cell.stamp)] if graves else None
