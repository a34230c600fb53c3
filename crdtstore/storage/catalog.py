"""The catalog is what a store keeps in memory of its tables: collections with their paths, and replicas.

Rules: one writer changes it; readers may look at any time, since numbers are only ever added at the end. Names
added by a transaction are taken back when it is refused, and saved in the same commit as what first uses them.
Each collection carries the number of its documents and the sum of their digests, so that a table that lost rows
shows it. Buried documents are among them, since their rows stay; how many they are is counted apart. What its indexes
count is saved likewise.

Not here: documents; see `documents`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgpack
import msgspec

from crdtstore.crdt.document import DIGEST_BYTES, MODULUS
from crdtstore.crdt.names import Names, Replicas, paths
from crdtstore.errors import Corrupted, InvalidDocument, Overloaded
from crdtstore.limits import COLLECTION_BYTES_MAX, COLLECTIONS_MAX
from crdtstore.storage.index import Index, read_indexes
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crdtstore.storage.interface import Batch, Snapshot


ROWS = msgspec.msgpack.Decoder(tuple[str, int, bytes, int])


def number_key(*numbers: int) -> bytes:
    """A key of big-endian u32 numbers."""
    return b"".join(number.to_bytes(4, "big") for number in numbers)


class Collection:
    """One collection: its number, its path dictionary, its document count and digest, its indexes."""

    __slots__ = (
        "buried",
        "digest",
        "documents",
        "indexes",
        "name",
        "number",
        "paths",
        "prefix",
        "saved",
        "saved_paths",
    )

    def __init__(self, number: int, name: str, documents: int = 0, digest: int = 0, buried: int = 0) -> None:
        self.number = number
        self.name = name
        self.prefix = number_key(number)
        self.paths: Names = paths()
        self.saved_paths = 0
        self.documents = documents
        self.digest = digest
        self.buried = buried
        self.indexes: tuple[Index, ...] = ()
        self.saved: tuple[int, int] | None = None

    @property
    def living(self) -> int:
        """How many documents exist for readers."""
        return self.documents - self.buried

    def count(self, documents: int, digest: bytes, buried: int = 0) -> None:
        """Account for documents that came, went or were buried, and for the change of the digest."""
        self.documents += documents
        self.buried += buried
        self.digest = (self.digest + int.from_bytes(digest, "little")) % MODULUS

    def row(self) -> bytes:
        """What the table keeps of it."""
        packed: bytes = msgpack.packb([self.name, self.documents, self.digest.to_bytes(16, "little"), self.buried])
        return packed


class Catalog:
    """All collections and replicas of a store."""

    def __init__(self) -> None:
        self.collections: list[Collection] = []
        self.by_name: dict[str, Collection] = {}
        self.replicas = Replicas()
        self.saved_replicas = 0
        self.touched: dict[Collection, int] = {}
        self.dirty: set[Collection] = set()
        self.mark = (0, 0)

    @classmethod
    def load(cls, snapshot: Snapshot) -> Catalog:
        """Read the tables of names."""
        catalog = cls()
        for counts in read_counts(snapshot):
            catalog.add(Collection(len(catalog.collections), *counts))
        for key, text in snapshot.scan(Table.PATHS):
            catalog.collections[int.from_bytes(key[:4], "big")].paths.intern(text)
        for collection in catalog.collections:
            collection.saved_paths = len(collection.paths.texts)
            collection.saved = (collection.documents, collection.digest)
        for index in read_indexes(snapshot):
            if index.collection >= len(catalog.collections):
                raise Corrupted("indexes", index.prefix, f"its collection {index.collection} does not exist")
            catalog.collections[index.collection].indexes += (index,)
        catalog.replicas = Replicas(text for _, text in snapshot.scan(Table.REPLICAS))
        catalog.saved_replicas = len(catalog.replicas.texts)
        return catalog

    def add(self, collection: Collection) -> None:
        """Make a collection known under its name and number."""
        self.collections.append(collection)
        self.by_name[collection.name] = collection

    def begin(self) -> None:
        """Remember how far the names go: what comes now may be taken back."""
        self.touched.clear()
        self.mark = (len(self.collections), len(self.replicas.texts))

    def intern(self, name: str) -> Collection:
        """The collection of a name, added if it is new.

        Raises:
            InvalidDocument: An empty name, or one beyond COLLECTION_BYTES_MAX.
            Overloaded: COLLECTIONS_MAX collections exist.
        """
        collection = self.by_name.get(name)
        if collection is None:
            check_collection_name(name)
            if len(self.collections) >= COLLECTIONS_MAX:
                raise Overloaded(f"This store has {COLLECTIONS_MAX} collections, its bound.", limit="COLLECTIONS_MAX")
            collection = Collection(len(self.collections), name)
            self.add(collection)
        self.touched.setdefault(collection, len(collection.paths.texts))
        self.dirty.add(collection)
        return collection

    def rollback(self) -> None:
        """Take back every name added since `begin`."""
        collections, replicas = self.mark
        for collection, length in self.touched.items():
            collection.paths.truncate(length)
        for collection in self.collections[collections:]:
            del self.by_name[collection.name]
            self.dirty.discard(collection)
        del self.collections[collections:]
        self.replicas.truncate(replicas)

    def save(self, batch: Batch) -> None:
        """Write every name and count that changed since the last commit."""
        for number, text in enumerate(self.replicas.texts[self.saved_replicas :], self.saved_replicas):
            batch.put(Table.REPLICAS, number_key(number), text)
        self.saved_replicas = len(self.replicas.texts)
        for collection in sorted(self.dirty, key=lambda collection: collection.number):
            self.save_collection(batch, collection)
        self.dirty.clear()

    def save_collection(self, batch: Batch, collection: Collection) -> None:
        """Write one collection's row, new paths and indexes, where they changed."""
        state = (collection.documents, collection.digest)
        if collection.saved != state:
            batch.put(Table.COLLECTIONS, collection.prefix, collection.row())
            collection.saved = state
        for number, text in enumerate(collection.paths.texts[collection.saved_paths :], collection.saved_paths):
            batch.put(Table.PATHS, collection.prefix + number_key(number), text)
        collection.saved_paths = len(collection.paths.texts)
        for index in collection.indexes:
            row = index.row()
            if index.saved != row:
                batch.put(Table.INDEXES, index.prefix, row)
                index.saved = row

    def digest(self) -> int:
        """The store's digest as the writer has it: the sum of its documents' digests."""
        return sum(collection.digest for collection in self.collections) % MODULUS


class Counts(NamedTuple):
    """What a collection's row says: its name, how many documents it holds, their digests' sum, how many are buried."""

    name: str
    documents: int
    digest: int
    buried: int

    @property
    def living(self) -> int:
        """How many documents exist for readers."""
        return self.documents - self.buried


def read_counts(snapshot: Snapshot) -> list[Counts]:
    """The counts of all collections, as they were committed."""
    rows = (decode_row(ROWS, Table.COLLECTIONS, key, row) for key, row in snapshot.scan(Table.COLLECTIONS))
    return [
        Counts(name, documents, int.from_bytes(digest, "little"), buried) for name, documents, digest, buried in rows
    ]


def sum_digests(counts: Iterable[Counts]) -> bytes:
    """A store's digest: the sum of its collections'."""
    return (sum(row.digest for row in counts) % MODULUS).to_bytes(DIGEST_BYTES, "little")


def check_collection_name(name: str) -> str:
    """Refuse a name that no collection may have."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidDocument("A collection's name holds a lone surrogate, which UTF-8 cannot carry.") from None
    if not 0 < size <= COLLECTION_BYTES_MAX or "\0" in name:
        message = (
            f"A collection's name has 1 to {COLLECTION_BYTES_MAX} bytes in UTF-8, none of them 0; this has {size}."
        )
        raise InvalidDocument(message, limit="COLLECTION_BYTES_MAX", value=size, maximum=COLLECTION_BYTES_MAX)
    return name


def names_of(counts: Iterable[Counts | Collection]) -> tuple[str, ...]:
    """The names of the collections that hold a document, sorted."""
    return tuple(sorted(row.name for row in counts if row.living))
