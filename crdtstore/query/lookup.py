"""A lookup is how a query reads one document: the fields it names, straight from the document's bytes.

Rules: `_id` and what stands in a composite id come from the id; every other path from the document. What is not
there is MISSING. Which documents a query may match at all, without looking at them, is decided here too: those of
the ids it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crdtstore import core
from crdtstore.crdt.document import conflicts
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.field import step_into
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.errors import InvalidId

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.tree import Path
    from crdtstore.storage.catalog import Catalog, Collection

ID_FIELD = "_id"


def encode_ids(ids: Iterable[Value]) -> list[bytes]:
    """The ids in their key encoding, sorted, each once; what cannot be an id names no document."""
    return sorted({encoded for id_ in ids if (encoded := encode_or_none(id_)) is not None})


def encode_or_none(id_: Value) -> bytes | None:
    """An encoded id, None for a value that is none."""
    try:
        return encode_id(id_)
    except InvalidId:
        return None


class FieldLookup:
    """How a query reads one stored document."""

    __slots__ = ("catalog", "collection", "document", "encoded_id")

    def __init__(self, catalog: Catalog, collection: Collection, encoded_id: bytes, document: bytes) -> None:
        self.catalog = catalog
        self.collection = collection
        self.encoded_id = encoded_id
        self.document = document

    def __call__(self, path: Path) -> Value:
        """The value at a path."""
        if path and path[0] == ID_FIELD:
            return walk(decode_id(self.encoded_id), path[1:])
        return core.read_field(self.document, path, self.collection.paths, self.catalog.replicas)

    def conflicted(self, path: Path) -> bool:
        """Whether more than one value lives at a path; for the empty path, anywhere."""
        cells = unpack_document(self.document, self.collection.paths, self.catalog.replicas)
        found = conflicts(cells)
        return path in found if path else bool(found)


def walk(value: Value, path: Path) -> Value:
    """The part of a composite id that a path names."""
    for key in path:
        value = step_into(value, key)
        if value is core.MISSING:
            break
    return value
