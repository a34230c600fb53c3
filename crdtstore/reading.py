"""Reading a store: what every `Store` can be asked, whoever writes to it.

Rules: reads see committed state only, all of one call at one version, and never wait for writes. Every method may
be called from several threads. Documents are searched and printed from their bytes, never decoded whole.

Not here: writing, waiting and the log (`store`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.crdt.document import DIGEST_BYTES, Sibling, conflicts
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import encode_path, format_path
from crdtstore.crdt.value import Value
from crdtstore.limits import FIND_LIMIT_DEFAULT
from crdtstore.query.find import Document, check_page, find, show
from crdtstore.query.legacy import parse
from crdtstore.storage.catalog import names_of, read_counts, sum_digests
from crdtstore.storage.documents import Row, get_document, living_document, read_json, read_json_many, scan_living
from crdtstore.storage.log import last_txn
from crdtstore.version.sequencer import Sequencer

if TYPE_CHECKING:
    from crdtstore.crdt.cell import Cell
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.interface import Snapshot, Storage


class Found(NamedTuple):
    """What a find gave, and the version at which it was read."""

    txn: int
    documents: tuple[Document, ...]


class Reading:
    """What a store holds, to be read."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.sequencer = Sequencer(storage)

    @contextmanager
    def view(self) -> Iterator[tuple[Snapshot, Catalog]]:
        """A snapshot and the names that its documents use.

        The writer's own names are ahead of every snapshot. A read-only store reads them again when another process
        has written.
        """
        with self.storage.snapshot() as snapshot:
            if self.storage.read_only and last_txn(snapshot) != self.sequencer.head.txn:
                self.sequencer.load()
            yield snapshot, self.sequencer.catalog

    def get(self, collection: str, id: Value) -> Document | None:
        """A document by its id; None when it does not exist."""
        encoded_id = encode_id(id)
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            document = living_document(snapshot, known, encoded_id) if known else b""
            return show(catalog, known, Row(encoded_id, document)) if known and document else None

    def get_json(self, collection: str, id: Value) -> bytes | None:
        """A document's fields as a JSON object, by its id: the shortest way from the disk to the wire."""
        if self.storage.read_only:
            return self.get_many_json(collection, [id])[0]
        known = self.sequencer.catalog.by_name.get(collection)
        return None if known is None else read_json(self.storage, known, id, self.sequencer.catalog.replicas)

    def get_many_json(self, collection: str, ids: Sequence[Value]) -> list[bytes | None]:
        """As `get_json` for each of many ids, all read at one version."""
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            return read_json_many(snapshot, known, ids, catalog.replicas) if known else [None] * len(ids)

    def find(
        self,
        collection: str,
        query: str = "true",
        *,
        args: Mapping[str, Value] | None = None,
        limit: int = FIND_LIMIT_DEFAULT,
        offset: int = 0,
    ) -> Found:
        """The documents of a collection that a query matches, in the order of their ids.

        Args:
            collection: Its name; one that does not exist is empty.
            query: In the legacy language; see `docs/query-legacy.md`.
            args: What `$args` names in it.
            limit: At most this many, up to FIND_LIMIT_MAX.
            offset: After this many.

        Raises:
            QuerySyntaxError: The query cannot be parsed.
            LimitExceeded: `limit` is beyond FIND_LIMIT_MAX.
        """
        tree = parse(query, args)
        check_page(limit, offset)
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            found = tuple(find(snapshot, catalog, known, tree, limit, offset)) if known else ()
            return Found(last_txn(snapshot), found)

    def scan(self, collection: str) -> Iterator[Document]:
        """All documents of a collection in the order of their ids, however many, at one version.

        The snapshot is held until the iterator ends: it keeps every page that is replaced meanwhile.
        """
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is not None:
                for row in scan_living(snapshot, known):
                    yield show(catalog, known, row)

    def cells(self, collection: str, id: Value) -> list[Cell]:
        """Everything that lives in a document, losers of conflicts and a grave too; empty when there is nothing."""
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is None:
                return []
            document = get_document(snapshot, known, encode_id(id))
            return unpack_document(document, known.paths, catalog.replicas)

    def conflicts(self, collection: str, id: Value) -> dict[str, tuple[Sibling, ...]]:
        """Where more than one value lives in a document: path -> all values, the visible one first."""
        found = conflicts(self.cells(collection, id))
        return {format_path(encode_path(path)): rivals for path, rivals in found.items()}

    def document_digest(self, collection: str, id: Value) -> bytes:
        """The digest of one document, or of its grave; zeros when there is neither."""
        encoded_id = encode_id(id)
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is None:
                return bytes(DIGEST_BYTES)
            document = get_document(snapshot, known, encoded_id)
            key = core.digest_key(collection, encoded_id)
            digest: bytes = core.document_digest(document, known.paths, catalog.replicas, key)
            return digest

    def collections(self) -> tuple[str, ...]:
        """The names of the collections that hold a document, sorted."""
        with self.storage.snapshot() as snapshot:
            return names_of(read_counts(snapshot))

    def digest(self) -> bytes:
        """16 bytes that are equal on stores with equal documents; the sum of all documents' digests."""
        with self.storage.snapshot() as snapshot:
            return sum_digests(read_counts(snapshot))
