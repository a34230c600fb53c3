"""Reading a store: what every `Store` can be asked, whoever writes to it.

Rules: reads see committed state only, all of one call at one version, and never wait for writes. Every method may
be called from several threads. Documents are searched and printed from their bytes, never decoded whole. What takes
`at` reads the version of that txn id instead of the newest one: any read of it raises `VersionNotAvailable` if it is
not applied, and `VersionNotRetained` if it is neither the newest nor retained.

Not here: writing and waiting (`store`), which versions are retained (`version/retained.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Final, Self

from crdtstore import core
from crdtstore.crdt.document import DIGEST_BYTES, Sibling, conflicts
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import encode_path, format_path
from crdtstore.crdt.value import Value
from crdtstore.errors import Forbidden
from crdtstore.limits import CHANGES_ENTRIES_MAX
from crdtstore.query.find import Document, Form, show_row
from crdtstore.query.rules import EVERYTHING, Rules
from crdtstore.storage.catalog import names_of, read_counts, sum_digests
from crdtstore.storage.documents import Row, get_document, living_document, read_json, read_json_many, scan_living
from crdtstore.storage.history import History, read_history
from crdtstore.storage.log import LogEntry, check_reach, last_txn, read_entries
from crdtstore.storage.tables import Table
from crdtstore.version.retained import Pin, Retained
from crdtstore.version.sequencer import Sequencer

if TYPE_CHECKING:
    from crdtstore.crdt.cell import Cell
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot, Storage
    from crdtstore.version.clock import Clock


PLAIN_IDS: Final = frozenset({str, int})
"""Types of ids that are read as they were given: such a document is found and printed in one call of the core."""

NOWHERE: Final = ""
"""The name of no collection."""


class Reading:
    """What a store holds, to be read."""

    def __init__(self, storage: Storage, clock: Clock, retained_seconds: float = 0.0) -> None:
        self.storage = storage
        self.clock = clock
        self.rules: Rules = EVERYTHING
        self.retained = Retained(storage, clock, retained_seconds)
        self.sequencer = Sequencer(storage, self.retained.before_commit)

    def under(self, rules: Rules) -> Self:
        """The same store for somebody who sees and may write only some documents; both are closed together.

        What is said to be of the store as a whole, such as its log or its digest, is refused there.
        """
        held = copy(self)
        held.rules = rules
        return held

    def check_whole(self) -> None:
        """Refuse what tells of documents that are not seen.

        Raises:
            Forbidden: Not all are.
        """
        if self.rules is not EVERYTHING:
            raise Forbidden("This tells of the store as a whole, of which a rule shows some documents only.")

    @contextmanager
    def view(self, at: int | None = None) -> Iterator[tuple[Snapshot, Catalog]]:
        """A snapshot, of the newest version or of the one `at` a txn id, and the names that its documents use.

        A snapshot of the past is this thread's alone until the block ends: others that want the same one wait.

        Raises:
            VersionNotAvailable: `at` is not applied yet.
            VersionNotRetained: `at` is neither the newest version nor retained.
        """
        with self.storage.snapshot() if at is None else self.retained.reading(at) as snapshot:
            yield snapshot, self.names(snapshot)

    def names(self, snapshot: Snapshot) -> Catalog:
        """The names that a snapshot's documents use.

        The writer's own names are ahead of every snapshot. A read-only store reads them again when another process
        has written.
        """
        if self.storage.read_only and last_txn(snapshot) != self.sequencer.head.txn:
            self.sequencer.load()
        return self.sequencer.catalog

    def get(self, collection: str, id: Value, *, form: Form = "values", at: int | None = None) -> Document | None:
        """A document by its id; None when it does not exist."""
        if form == "values" and id.__class__ in PLAIN_IDS:
            printed = self.get_json(collection, id, at=at)
            if printed is not None:
                return Document(id, printed)
            encode_id(id)  # What no id may be is refused, even where there is no collection to look for it.
            return None
        encoded_id = encode_id(id)
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            document = living_document(snapshot, known, encoded_id) if known else b""
            document = self.rules.show(catalog, known, encoded_id, document) if known else b""
            return show_row(catalog, known, Row(encoded_id, document), form) if known and document else None

    def get_json(self, collection: str, id: Value, *, at: int | None = None) -> bytes | None:
        """A document's fields as a JSON object, by its id: the shortest way from the disk to the wire."""
        ruled = self.rules is not EVERYTHING and self.rules.to_read(collection) is not None
        if ruled or self.storage.read_only or at is not None:
            return self.get_many_json(collection, [id], at=at)[0]
        known = self.sequencer.catalog.by_name.get(collection)
        return None if known is None else read_json(self.storage, known, id, self.sequencer.catalog.replicas)

    def get_many_json(self, collection: str, ids: Sequence[Value], *, at: int | None = None) -> list[bytes | None]:
        """As `get_json` for each of many ids, all read at one version."""
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is None:
                return [None] * len(ids)
            if self.rules.to_read(collection) is not None:
                return [self.print_seen(snapshot, catalog, known, id_) for id_ in ids]
            return read_json_many(snapshot, known, ids, catalog.replicas)

    def print_seen(self, snapshot: Snapshot, catalog: Catalog, collection: Collection, id: Value) -> bytes | None:
        """A document's fields as JSON, if it is there and seen."""
        encoded_id = encode_id(id)
        document = living_document(snapshot, collection, encoded_id)
        document = self.rules.show(catalog, collection, encoded_id, document)
        return show_row(catalog, collection, Row(encoded_id, document)).json if document else None

    def scan(self, collection: str, *, at: int | None = None) -> Iterator[Document]:
        """All documents of a collection in the order of their ids, however many, at one version.

        The snapshot is held until the iterator ends: it keeps every page that is replaced meanwhile.
        """
        with self.retained.holding(at) as version:
            catalog = self.names(version.snapshot)
            known = catalog.by_name.get(collection)
            if known is not None:
                rows = scan_living(version.snapshot, known)
                for row in rows if at is None else version.in_turns(rows):
                    document = self.rules.show(catalog, known, *row)
                    if document:
                        yield show_row(catalog, known, row._replace(document=document))

    def cells(self, collection: str, id: Value, *, at: int | None = None) -> list[Cell]:
        """Everything that lives in a document, losers of conflicts and a grave too; empty when there is nothing."""
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is None:
                return []
            encoded_id = encode_id(id)
            document = self.rules.show(catalog, known, encoded_id, get_document(snapshot, known, encoded_id))
            return unpack_document(document, known.paths, catalog.replicas)

    def conflicts(self, collection: str, id: Value, *, at: int | None = None) -> dict[str, tuple[Sibling, ...]]:
        """Where more than one value lives in a document: path -> all values, the visible one first."""
        found = conflicts(self.cells(collection, id, at=at))
        return {format_path(encode_path(path)): rivals for path, rivals in found.items()}

    def document_digest(self, collection: str, id: Value, *, at: int | None = None) -> bytes:
        """The digest of one document, or of its grave; zeros when there is neither."""
        encoded_id = encode_id(id)
        with self.view(at) as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            if known is None:
                return bytes(DIGEST_BYTES)
            document = self.rules.show(catalog, known, encoded_id, get_document(snapshot, known, encoded_id))
            key = core.digest_key(collection, encoded_id)
            digest: bytes = core.document_digest(document, known.paths, catalog.replicas, key)
            return digest

    def collections(self, *, at: int | None = None) -> tuple[str, ...]:
        """The names of the collections that hold a document, sorted."""
        with self.view(at) as (snapshot, _):
            return names_of(read_counts(snapshot))

    def digest(self, *, at: int | None = None) -> bytes:
        """16 bytes that are equal on stores with equal documents; the sum of all documents' digests."""
        self.check_whole()
        with self.view(at) as (snapshot, _):
            return sum_digests(read_counts(snapshot))

    def pin(self, at: int | None = None) -> Pin:
        """Keep a version readable, the newest by default, until the pin is closed.

            with store.pin() as pin:
                store.find("cities", "true", at=pin.txn)

        It ends by itself after PIN_VERSION_SECONDS_MAX, or when it keeps more of the disk than RETAINED_BYTES_MAX: the
        next read of it raises `VersionNotRetained`.

        Raises:
            VersionNotAvailable: `at` is not applied yet.
            VersionNotRetained: `at` is neither the newest version nor retained.
            Overloaded: PINNED_VERSIONS_MAX are pinned.
            StoreReadOnly: Another process writes: this one cannot see what a pin costs.
        """
        return self.retained.pin(at)

    def get_with_digest(
        self, collection: str, id: Value, *, form: Form = "values", at: int | None = None
    ) -> tuple[Document | None, bytes, int]:
        """A document as `get` gives it, its digest as `document_digest` does, and the version of both."""
        encoded_id = encode_id(id)
        with self.view(at) as (snapshot, catalog):
            txn = last_txn(snapshot)
            known = catalog.by_name.get(collection)
            document = living_document(snapshot, known, encoded_id) if known else b""
            document = self.rules.show(catalog, known, encoded_id, document) if known else b""
            if not known or not document:
                return None, bytes(DIGEST_BYTES), txn
            digest = core.document_digest(
                document, known.paths, catalog.replicas, core.digest_key(collection, encoded_id)
            )
            return show_row(catalog, known, Row(encoded_id, document), form), digest, txn

    # --- the log ---

    def history(self, collection: str, id: Value, *, before: int | None = None, limit: int) -> History:
        """The transactions that touched a document, from the newest to the oldest: see `storage/history.py`.

        Args:
            collection: Its name.
            id: The document's.
            before: A txn id: only what came before it; None for all.
            limit: At most this many.
        """
        self.rules.check_lasting(collection)
        encoded_id = encode_id(id)
        with self.view() as (snapshot, catalog):
            known = catalog.by_name.get(collection)
            document = get_document(snapshot, known, encoded_id) if known else b""
            if known and not self.rules.shows(catalog, known, encoded_id, document):
                collection = NOWHERE
            return read_history(snapshot, collection, encoded_id, before, limit)

    def changes(self, since: int = 0, limit: int | None = None) -> Iterator[LogEntry]:
        """The log after a txn id, in order, up to what is applied when the iterator gets there.

        The records are what `apply` takes. After a snapshot was joined there is an entry that says so, and is no
        record (`crdt/entry.py`). A snapshot is renewed every CHANGES_ENTRIES_MAX entries.

        Raises:
            LogTrimmed: What followed `since` is not in the log any more.
        """
        self.check_whole()
        while limit is None or limit > 0:
            size = CHANGES_ENTRIES_MAX if limit is None else min(limit, CHANGES_ENTRIES_MAX)
            with self.storage.snapshot() as snapshot:
                check_reach(snapshot, since)
                entries = list(read_entries(snapshot, since, size))
            yield from entries
            if len(entries) < size:
                return
            since = entries[-1].txn
            limit = None if limit is None else limit - size

    # --- settings of the layers above ---

    def read_setting(self, key: bytes) -> bytes | None:
        """A durable row of the layers above (API keys); not replicated."""
        with self.storage.snapshot() as snapshot:
            return snapshot.get(Table.KEYS, key)

    def scan_settings(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """The rows whose keys begin with a prefix."""
        with self.storage.snapshot() as snapshot:
            rows = snapshot.scan(Table.KEYS, prefix)
            return [(key, value) for key, value in rows if key.startswith(prefix)]
