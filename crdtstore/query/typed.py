"""Typed output shows a document's fields with the type that each has: `{"name": {"register": {"value": "Ada"}}}`.

Rules: of several types that live at one place the visible one is shown, as in the untyped output. A map's value is
typed in turn; what stands inside a register is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import Node, show, tree, visible_type
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.json_output import write_json

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.documents import Row


def print_typed(catalog: Catalog, collection: Collection, row: Row) -> bytes:
    """A document's fields with their types, as a JSON object."""
    return write_json(show_typed(tree(unpack_document(row.document, collection.paths, catalog.replicas))))


def show_typed(node: Node) -> dict[str, Any]:
    """The visible children of a map, each under its type, keys in the order of their UTF-8 bytes."""
    shown: dict[str, Any] = {}
    for key, child in sorted(node.children.items(), key=lambda pair: pair[0].encode()):
        kind = visible_type(child)
        if kind is not None:
            value = show_typed(child) if kind == CellType.MAP else show(child)
            shown[key] = {kind.name.lower(): {"value": value}}
    return shown
