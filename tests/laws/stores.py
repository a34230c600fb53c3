"""The real engine, at two depths: logs (sequencing, delivery, document bytes) and whole stores.

Rules: a transaction goes through the same sequencing as any command, with the operations put into the
draft's folds directly, since the commands cannot ask for all of them. What is compared is read back from
stored bytes. Logs stand on bare dictionaries, so that many histories are affordable; stores add storage,
commit groups and reads. Which core merges is what `crdtstore.core` holds; `use_core` sets it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import msgspec

from crdtstore import core, errors
from crdtstore.crdt.document_bytes import is_grave, unpack_document
from crdtstore.crdt.identifier import decode_id, encode_id
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.documents import Row, scan_documents
from crdtstore.storage.draft import Draft
from crdtstore.storage.environment import open_storage
from crdtstore.storage.head import Head
from crdtstore.storage.identity import give_identity
from crdtstore.storage.interface import Batch
from crdtstore.storage.log import read_entries
from crdtstore.storage.tables import Table
from crdtstore.store import Store
from crdtstore.version.delivery import deliver, deliver_all
from crdtstore.version.transaction import RefusedTransaction, sequence
from crdtstore.version.writer import Inline
from tests.laws.engine import NotCausal, Refused, TypeConflict
from tests.laws.operations import Operation, Stamp, Value, spell
from tests.laws.specification import COLLECTION, fold_operation, read_record, spell_cells


class Rows:
    """The tables of one log, as dictionaries: what sequencing and delivery read and write of a batch."""

    def __init__(self) -> None:
        self.tables: list[dict[bytes, bytes]] = [{} for _ in Table]

    def get(self, table: int, key: bytes) -> bytes | None:
        """The value of a key."""
        return self.tables[table].get(key)

    def put(self, table: int, key: bytes, value: bytes) -> None:
        """Store a value."""
        self.tables[table][key] = value

    def delete(self, table: int, key: bytes) -> bool:
        """Remove a key."""
        return self.tables[table].pop(key, None) is not None

    def scan(self, table: int, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """The rows in key order."""
        rows = sorted(self.tables[table].items())
        return iter([(key, value) for key, value in rows if key >= start and (end is None or key < end)])


@dataclass(slots=True)
class Log:
    """One store without storage: its rows, its names, its head and a clock that stands."""

    rows: Any
    catalog: Catalog
    head: Head
    clock: int


class Logs:
    """Sequencing and delivery on bare rows."""

    def __init__(self, core_name: str) -> None:
        self.name = f"logs, {core_name} core"

    def open(self, origin: bytes, clock: int) -> Log:
        """An empty log."""
        catalog = Catalog()
        return Log(Rows(), catalog, Head(origin, catalog.replicas.origins), clock)

    def close(self, log: Log) -> None:
        """Nothing is held."""

    def originate(self, log: Log, actor: bytes, operations: Sequence[Operation]) -> bytes | None:
        """Sequence a transaction; None when it changes nothing and so gets no record."""
        before = log.head.txn
        change = Change(operations)
        try:
            sequence(log.rows, log.catalog, log.head, actor, change, clock_milliseconds=log.clock, after=None)
        except RefusedTransaction as refused:
            raise TypeConflict(refused.error) from None
        return next((entry.record for entry in read_entries(log.rows, before, 1)), None)

    def deliver(self, log: Log, record: bytes) -> bool:
        """Apply a record."""
        try:
            return deliver(log.rows, log.catalog, log.head, record, log.clock)
        except errors.ReplicationError as error:
            raise refusal(error) from None

    def deliver_all(self, log: Log, records: Sequence[bytes]) -> None:
        """Apply records as one delivery."""
        try:
            list(deliver_all(log.rows, log.catalog, log.head, records, log.clock))
        except errors.ReplicationError as error:
            raise refusal(error) from None

    def stamp(self, record: bytes) -> Stamp:
        """The record's stamp."""
        return Stamp(*read_record(record).stamp)

    def canonical(self, log: Log) -> bytes:
        """The cells as they are stored, in the harness's notation."""
        return spell_rows(log.catalog, documents(log.rows, log.catalog))

    def visible(self, log: Log) -> dict[str, Value]:
        """Every document as JSON gives it."""
        known = log.catalog.by_name.get(COLLECTION)
        return {
            decode_id(id_): msgspec.json.decode(core.document_json(data, known.paths, log.catalog.replicas))
            for id_, data in documents(log.rows, log.catalog)
            if known and not is_grave(data)
        }

    def digest(self, log: Log) -> bytes:
        """The sum that the catalog keeps."""
        return log.catalog.digest().to_bytes(16, "little")


class Stores:
    """Whole stores; in memory, or on disk below a folder."""

    def __init__(self, core_name: str, folder: Path | None = None) -> None:
        self.name = f"stores {'on disk' if folder else 'in memory'}, {core_name} core"
        self.folder = folder
        self.numbers = itertools.count()
        self.paths: dict[Store, Path] = {}

    def open(self, origin: bytes, clock: int) -> Store:
        """An empty store."""
        if self.folder is None:
            return Store.in_memory(clock=lambda: clock, origin=origin)
        path = self.folder / str(next(self.numbers))
        storage = open_storage(path, create=True, read_only=False, durable=False)
        give_identity(storage, origin)
        store = Store(storage, Inline, lambda: clock)
        self.paths[store] = path
        return store

    def close(self, store: Store) -> None:
        """Release it and its files."""
        store.close()
        if store in self.paths:
            rmtree(self.paths.pop(store))

    def originate(self, store: Store, actor: bytes, operations: Sequence[Operation]) -> bytes | None:
        """Sequence a transaction; None when it changes nothing and so gets no record."""
        change = Change(operations)
        before = store.applied

        def run(batch: Batch, catalog: Catalog, head: Head) -> object:
            return sequence(batch, catalog, head, actor, change, clock_milliseconds=store.clock(), after=None)

        try:
            store.submitter.submit(run).result()
        except errors.TypeConflict as error:
            raise TypeConflict(error) from None
        return next((entry.record for entry in store.changes(before)), None)

    def deliver(self, store: Store, record: bytes) -> bool:
        """Apply a record."""
        try:
            return store.apply([record]).applied == 1
        except errors.ReplicationError as error:
            raise refusal(error) from None

    def deliver_all(self, store: Store, records: Sequence[bytes]) -> None:
        """Apply records in one commit."""
        try:
            store.apply(records)
        except errors.ReplicationError as error:
            raise refusal(error) from None

    def stamp(self, record: bytes) -> Stamp:
        """The record's stamp."""
        return Stamp(*read_record(record).stamp)

    def canonical(self, store: Store) -> bytes:
        """The cells as they are stored, in the harness's notation."""
        with store.storage.snapshot() as snapshot:
            return spell_rows(store.sequencer.catalog, documents(snapshot, store.sequencer.catalog))

    def visible(self, store: Store) -> dict[str, Value]:
        """Every document that a find gives."""
        return {document.id: document.fields for document in store.find(COLLECTION).documents}

    def digest(self, store: Store) -> bytes:
        """The store's digest."""
        return store.digest()


def make_engine(place: str, core_name: str, folder: Path) -> Logs | Stores:
    """The engine of a place: `logs`, `memory`, or `disk` in a folder."""
    return Logs(core_name) if place == "logs" else Stores(core_name, folder if place == "disk" else None)


@dataclass(frozen=True, slots=True)
class Change:
    """A transaction's operations, to be run on a draft as commands are."""

    operations: Sequence[Operation]

    def __call__(self, draft: Draft) -> None:
        """Take the operations into the drafts of their documents."""
        collection = draft.catalog.intern(COLLECTION)
        for operation in self.operations:
            document = draft.document(collection, encode_id(operation.path[0]))

            def read() -> Sequence[Any]:
                return unpack_document(document.document(), collection.paths, draft.catalog.replicas)  # noqa: B023  called at once

            fold_operation(document.fold, operation, draft.stamp, read)
            document.changed()


def refusal(error: errors.ReplicationError) -> Refused:
    """What the laws call an error of delivery."""
    return (NotCausal if isinstance(error, errors.NotCausal | errors.PositionGap) else Refused)(error)


def documents(snapshot: Any, catalog: Catalog) -> list[Row]:
    """The stored documents of the collection that the laws write to."""
    known = catalog.by_name.get(COLLECTION)
    return list(scan_documents(snapshot, known)) if known else []


def spell_rows(catalog: Catalog, rows: Iterable[Row]) -> bytes:
    """The cells of stored documents, in the harness's notation."""
    unpacked = (
        (row.id, unpack_document(row.document, catalog.by_name[COLLECTION].paths, catalog.replicas)) for row in rows
    )
    return spell(spelled for id_, cells in unpacked for spelled in spell_cells(id_, cells))
