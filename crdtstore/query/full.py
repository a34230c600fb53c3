"""Full output shows of each field its value, its type, who wrote it when, and the values that lost to it.

    {"name": {"register": {"value": "Ada", "timestamp": "...", "actor": "...", "origin": "...", "losers": [...]}}}

Rules: as typed output, of which it is more. What stands beside a value is the stamp that made it visible: of a counter
that of its newest change, of a map that of whatever was written last in it. Losers come from the newest to the oldest.
Actors and origins are written as client IDs are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import Node, candidates, tree, visible_type
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.json_output import write_json
from crdtstore.crdt.timestamp import format_timestamp

if TYPE_CHECKING:
    from crdtstore.crdt.cell import Recency
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.documents import Row


def print_full(catalog: Catalog, collection: Collection, row: Row) -> bytes:
    """A document's fields with all that lives in them, as a JSON object."""
    return write_json(show_full(tree(unpack_document(row.document, collection.paths, catalog.replicas))))


def show_full(node: Node) -> dict[str, Any]:
    """The visible children of a map, keys in the order of their UTF-8 bytes."""
    children = sorted(node.children.items(), key=lambda pair: pair[0].encode())
    return {key: show_field(child) for key, child in children if visible_type(child) is not None}


def show_field(node: Node) -> dict[str, Any]:
    """A field under its type."""
    shown = visible_type(node)
    ordered = sorted(candidates(node), key=lambda rival: (rival[1] == shown, rival[2]), reverse=True)
    value, kind, recency = ordered[0]
    losers = [{"type": name_of(kind), "value": value, **show_stamp(recency)} for value, kind, recency in ordered[1:]]
    seen = show_full(node) if kind == CellType.MAP else value
    return {name_of(kind): {"value": seen, **show_stamp(recency), "losers": losers}}


def name_of(kind: CellType) -> str:
    """A type as callers know it."""
    return kind.name.lower()


def show_stamp(recency: Recency) -> dict[str, Any]:
    """Who wrote something, and when; `initial` where it loses to all other writes."""
    written, stamp = recency
    shown: dict[str, Any] = {
        "timestamp": format_timestamp(stamp.timestamp),
        "actor": format_actor(stamp.actor),
        "origin": format_actor(stamp.origin),
    }
    return shown if written else {**shown, "initial": True}
