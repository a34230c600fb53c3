"""Finding: the documents of a snapshot that a query matches, in the order of their ids, printed as they lie.

Rules: a query that names ids looks those documents up, any other reads the collection; only what is returned is
printed. Everything of one call is read from one snapshot.

Not here: which languages there are (`legacy`), how a tree is evaluated (`match`), when a snapshot may be taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from crdtstore import core
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import InvalidDocument, LimitExceeded
from crdtstore.limits import FIND_LIMIT_MAX
from crdtstore.query.lookup import FieldLookup, encode_ids
from crdtstore.query.match import compile_match
from crdtstore.query.point import point_ids
from crdtstore.storage.documents import Row, living_document, scan_living

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crdtstore.crdt.value import Value
    from crdtstore.query.tree import Node
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read: its id, and its fields as a JSON object in UTF-8."""

    id: Value
    json: bytes

    @property
    def fields(self) -> dict[str, Value]:
        """The fields, decoded; binary values are Base64 text, as in JSON."""
        fields: dict[str, Value] = msgspec.json.decode(self.json)
        return fields


def find(
    snapshot: Snapshot, catalog: Catalog, collection: Collection, tree: Node, limit: int, offset: int
) -> Iterator[Document]:
    """The matching documents from `offset` on, at most `limit`."""
    matches = compile_match(tree)
    skipped = printed = 0
    for row in candidates(snapshot, collection, point_ids(tree)):
        if printed == limit:
            return
        if matches(FieldLookup(catalog, collection, row.id, row.document)):
            skipped += 1
            if skipped > offset:
                printed += 1
                yield show(catalog, collection, row)


def show(catalog: Catalog, collection: Collection, row: Row) -> Document:
    """A stored document as a reader sees it."""
    printed = core.document_json(row.document, collection.paths, catalog.replicas)
    return Document(decode_id(row.id), printed)


def candidates(snapshot: Snapshot, collection: Collection, ids: Sequence[Value] | None) -> Iterable[Row]:
    """The rows that a query may match: those of the ids it names, else all of the collection."""
    if ids is None:
        return scan_living(snapshot, collection)
    return rows_of(snapshot, collection, encode_ids(ids))


def rows_of(snapshot: Snapshot, collection: Collection, encoded_ids: Iterable[bytes]) -> Iterator[Row]:
    """The rows of the given ids that exist."""
    for encoded_id in encoded_ids:
        document = living_document(snapshot, collection, encoded_id)
        if document:
            yield Row(encoded_id, document)


def check_page(limit: int, offset: int) -> None:
    """Refuse a page beyond the bounds.

    Raises:
        InvalidDocument: A negative number.
        LimitExceeded: More than FIND_LIMIT_MAX documents.
    """
    if limit < 0 or offset < 0:
        raise InvalidDocument("limit and offset must not be negative.")
    if limit > FIND_LIMIT_MAX:
        message = f"A find returns at most {FIND_LIMIT_MAX} documents; {limit} were asked for."
        raise LimitExceeded(message, limit="FIND_LIMIT_MAX", value=limit, maximum=FIND_LIMIT_MAX)
