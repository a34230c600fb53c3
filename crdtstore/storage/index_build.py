"""Indexes come and go piece by piece: writes go on between two pieces, and a stop at any of them does no harm.

Rules: a piece is one commit. Building takes documents in the order of their keys, behind the one up to which the index
is built; what is written meanwhile keeps its own entries if it stands before that. Dropping marks the index first, so
that nobody uses it any more and no write keeps it; then its entries go, and its row last. Both go on where they stood,
after a crash too. Each piece reads all it needs before it writes, so one that fails has written nothing.

Not here: who submits the pieces (`crdtstore/indexes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.errors import Corrupted, IndexExists, LimitExceeded, UnknownIndex
from crdtstore.limits import INDEX_BUILD_BYTES, INDEX_BUILD_DOCUMENTS, INDEX_DROP_ENTRIES, INDEXES_MAX
from crdtstore.storage.documents import DOCUMENTS, Row, id_key, split_row
from crdtstore.storage.index import NUMBER_BYTES, PARTS, Index, Kind, Path, check_definition
from crdtstore.storage.index_entries import ENTRIES, NONE, Made, make_entries, replace_entries
from crdtstore.storage.stored_format import WITH_INDEXES, raise_format
from crdtstore.storage.tables import Table
from crdtstore.storage.verify_rows import can_pass

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Batch, Snapshot


NUMBER_KEY: Final = b"indexes"


class Piece(NamedTuple):
    """What the next documents put into an index; `built` is its new one, None behind the last document."""

    made: Made
    documents: int
    built: bytes | None


# --- making and marking ---


def add_index(
    batch: Batch, catalog: Catalog, collection: Collection, name: str, kind: Kind, paths: tuple[Path, ...]
) -> Index:
    """Add an index to a collection; it is ready if that is empty, else it is to be built.

    Raises:
        InvalidIndex: No index may be like this.
        IndexExists: There is one of this name or these paths already.
        LimitExceeded: The collection has INDEXES_MAX indexes.
    """
    check_definition(name, kind, paths)
    check_new(collection, name, kind, paths)
    index = Index(next_number(batch), collection.number, name, kind, paths)
    if not collection.documents:
        index.built = None
    raise_format(batch, WITH_INDEXES)
    collection.indexes += (index,)
    catalog.dirty.add(collection)
    return index


def check_new(collection: Collection, name: str, kind: Kind, paths: tuple[Path, ...]) -> None:
    """Refuse an index beside those that a collection has; one that is being dropped is none."""
    for index in collection.indexes:
        if not index.dropping and (index.name == name or (index.kind, index.paths) == (kind, paths)):
            what = "this name" if index.name == name else f"the same paths, named {index.name!r}"
            raise IndexExists(f"Collection {collection.name!r} has an index of {what}.", name=index.name)
    if len(collection.indexes) >= INDEXES_MAX:
        message = f"Collection {collection.name!r} has {INDEXES_MAX} indexes, the most it may have: drop one."
        raise LimitExceeded(message, limit="INDEXES_MAX", value=len(collection.indexes) + 1, maximum=INDEXES_MAX)


def next_number(batch: Batch) -> int:
    """A number that no index of this store ever had: who knows a dropped one by it must not find another."""
    number = int.from_bytes(batch.get(Table.META, NUMBER_KEY) or b"", "big")
    batch.put(Table.META, NUMBER_KEY, (number + 1).to_bytes(NUMBER_BYTES, "big"))
    return number


def find_index(catalog: Catalog, number: int) -> tuple[Collection, Index]:
    """An index by its number, and its collection.

    Raises:
        UnknownIndex: There is none.
    """
    for collection in catalog.collections:
        for index in collection.indexes:
            if index.number == number:
                return collection, index
    raise UnknownIndex(f"There is no index {number} any more.", name="")


def mark_dropped(catalog: Catalog, number: int) -> None:
    """Take an index out of use; its entries go piece by piece."""
    collection, index = find_index(catalog, number)
    index.dropping, index.built = True, b""
    index.documents, index.statistics = 0, b""
    catalog.dirty.add(collection)


# --- building ---


def read_piece(snapshot: Snapshot, catalog: Catalog, collection: Collection, index: Index) -> Piece:
    """Make the entries of the documents that come next.

    Raises:
        Corrupted: One of them is damaged.
    """
    rows: dict[bytes, bytes] = {}
    size = documents = inexact = 0
    built: bytes | None = index.built
    for row in read_behind(snapshot, collection, built or b""):
        if documents == INDEX_BUILD_DOCUMENTS or size >= INDEX_BUILD_BYTES:
            return Piece(Made(rows, inexact), documents, built)
        made = make_entries(index, row.id, row.document, collection.paths, catalog.replicas)
        rows |= made.rows
        inexact += made.inexact
        documents, size, built = documents + 1, size + len(row.document), id_key(row.id)
    return Piece(Made(rows, inexact), documents, None)


def read_behind(snapshot: Snapshot, collection: Collection, built: bytes) -> Iterator[Row]:
    """The documents behind an id key, in order."""
    start = collection.prefix + built + b"\0" if built else collection.prefix
    for key, value in snapshot.scan(DOCUMENTS, start, (collection.number + 1).to_bytes(4, "big")):
        yield split_row(collection, key, value)


def write_piece(batch: Batch, catalog: Catalog, collection: Collection, index: Index, piece: Piece) -> None:
    """Put entries that were made, and move the index on."""
    replace_entries(batch, index, NONE, piece.made)
    index.built = piece.built
    index.documents += piece.documents
    catalog.dirty.add(collection)


# --- dropping ---


def read_dropped(snapshot: Snapshot, index: Index) -> list[bytes]:
    """The keys of entries that are to go next, damaged ones too."""
    keys: list[bytes] = []
    start, end = index.prefix, (index.number + 1).to_bytes(NUMBER_BYTES, "big")
    while len(keys) < INDEX_DROP_ENTRIES:
        try:
            for key, _ in snapshot.scan(ENTRIES, start, end):
                keys.append(key)
                start = key + b"\0"
                if len(keys) == INDEX_DROP_ENTRIES:
                    break
            break
        except Corrupted as error:
            if not can_pass(error, start):
                raise
            keys.append(error.key)
            start = error.key + b"\0"
    return keys


def remove_dropped(batch: Batch, catalog: Catalog, collection: Collection, index: Index, keys: list[bytes]) -> None:
    """Remove entries; where there are none any more, the index."""
    for key in keys:
        batch.delete(ENTRIES, key)
        if key[NUMBER_BYTES] < PARTS:
            index.counts[key[NUMBER_BYTES]] -= 1
    if not keys:
        collection.indexes = tuple(other for other in collection.indexes if other is not index)
        batch.delete(Table.INDEXES, index.prefix)
    catalog.dirty.add(collection)
