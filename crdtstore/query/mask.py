"""A mask leaves of a document what its reader may see: bytes of a document again, as if it had no other fields.

Rules: what is left out is whole fields of the document, with all that lives in them, losers of conflicts too. What is
masked can be printed in every form, and has a digest of its own, which says nothing of the other fields.

Not here: who sees which fields (`rules`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdtstore.crdt.cell import Cell, CellType
from crdtstore.crdt.document_bytes import is_grave, pack_document, unpack_document
from crdtstore.crdt.path import decode_path

if TYPE_CHECKING:
    from crdtstore.crdt.names import Replicas
    from crdtstore.storage.catalog import Collection


def mask(replicas: Replicas, collection: Collection, document: bytes, shown: frozenset[str] | None) -> bytes:
    """The bytes of a document without the fields that are not shown."""
    if shown is None or not document or is_grave(document):
        return document
    cells = unpack_document(document, collection.paths, replicas)
    seen = [cell for cell in cells if is_shown(cell.path, shown)]
    return pack_document(seen or [root_of(cells)], collection.paths, replicas)


def root_of(cells: Sequence[Cell]) -> Cell:
    """The root that a document without a field has, which is there all the same."""
    return Cell(b"", CellType.MAP, min(cell.stamp for cell in cells), b"")


def is_shown(path: bytes, shown: frozenset[str]) -> bool:
    """Whether a place of a document is shown: its root is, and what lies in one of some fields."""
    keys = decode_path(path)
    return not keys or keys[0] in shown
