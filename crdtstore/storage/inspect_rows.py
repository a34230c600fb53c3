"""Looking at rows as they are stored: with their seal's state, and with the names that their keys stand for.

Rules: a row that is damaged is shown all the same, with what is wrong with it; its bytes are then read through LMDB's
plain package, past the seal, after the store was closed: an environment is opened through one API at a time. Where
LMDB cannot follow its pages there is nothing to show, and the error says so. Nothing is written.

Not here: what documents and entries of the log mean (`inspect`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import lmdb

from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import Corrupted
from crdtstore.limits import ACTOR_BYTES, KEY_PREFIX_BYTES
from crdtstore.storage.attachments import format_id
from crdtstore.storage.documents import COLLECTION_NUMBER_BYTES
from crdtstore.storage.environment import open_storage
from crdtstore.storage.index import NUMBER_BYTES, PART_NAMES
from crdtstore.storage.range_table import PREFIX_BYTES
from crdtstore.storage.tables import SEAL_BYTES, TABLE_NAMES, Table
from crdtstore.storage.verify import no_progress
from crdtstore.storage.verify_finding import View
from crdtstore.storage.verify_indexes import check_indexes
from crdtstore.storage.verify_rows import DAMAGE, can_pass, check_collections, check_paths, check_replicas

if TYPE_CHECKING:
    from crdtstore.storage.attachments import format_id
from crdtstore.storage.catalog import Catalog

Directory: TypeAlias = str | Path


class RowSeen(NamedTuple):
    """One row: `value` is without its seal; `wrong` says what is damaged and is empty otherwise."""

    key: bytes
    value: bytes
    wrong: str = ""

    @property
    def bytes(self) -> int:
        """What the row takes: key, value and seal."""
        return len(self.key) + len(self.value) + SEAL_BYTES


@contextmanager
def viewing(directory: Directory) -> Iterator[View]:
    """A view of a store with its names, as far as these are whole."""
    with open_storage(directory, create=False, read_only=True) as storage:
        view = View(storage, no_progress)
        try:
            for check in (check_collections, check_paths, check_replicas, check_indexes):
                view.revive()
                check(view)
            view.revive()
            yield view
        finally:
            view.snapshot.close()


def read_rows(directory: Directory, table: Table, start: bytes, limit: int) -> list[RowSeen]:
    """At most `limit` rows of a table from a key on, damaged ones too.

    Raises:
        Corrupted: LMDB cannot follow its pages.
    """
    found: list[RowSeen] = []
    with viewing(directory) as view:
        while len(found) < limit:
            try:
                for key, value in view.snapshot.scan(table, start):
                    found.append(RowSeen(key, value))
                    start = key + b"\0"
                    if len(found) == limit:
                        break
                break
            except Corrupted as error:
                if not can_pass(error, start):
                    raise
                found.append(RowSeen(error.key, b"", error.message))
                start = error.key + b"\0"
    return read_damaged(directory, table, found)


def read_damaged(directory: Directory, table: Table, rows: Sequence[RowSeen]) -> list[RowSeen]:
    """The same rows, with the bytes of those whose seal does not match."""
    if not any(row.wrong for row in rows):
        return list(rows)
    name = TABLE_NAMES[table].encode("ascii")
    stored: dict[bytes, bytes] = {}
    with lmdb.open(str(directory), readonly=True, max_dbs=len(Table), create=False, lib_version=0) as environment:
        handle = environment.open_db(name, create=False)
        with environment.begin() as transaction:
            for row in rows:
                if row.wrong:
                    stored[row.key] = transaction.get(row.key, default=b"", db=handle)
    return [row._replace(value=stored[row.key][:-SEAL_BYTES]) if row.wrong else row for row in rows]


def read_row(directory: Directory, table: Table, key: bytes) -> RowSeen | None:
    """One row, damaged or not; None where there is none."""
    rows = read_rows(directory, table, key, 1)
    return rows[0] if rows and rows[0].key == key else None


# --- keys ---


def spell_key(table: Table, key: bytes, catalog: Catalog) -> dict[str, Any]:
    """What a key stands for; nothing where it is of another form."""
    try:
        return KEYS[table](key, catalog)
    except DAMAGE:
        return {}


def spell_text(key: bytes, _catalog: Catalog) -> dict[str, Any]:
    """A name."""
    return {"name": key.decode()}


def spell_document(key: bytes, catalog: Catalog) -> dict[str, Any]:
    """A collection and an id; a long id is in the value."""
    name = catalog.collections[int.from_bytes(key[:COLLECTION_NUMBER_BYTES], "big")].name
    return {"collection": name} if len(key) > KEY_PREFIX_BYTES else {"collection": name, "id": decode_id(key[4:])}


def spell_position(key: bytes, _catalog: Catalog) -> dict[str, Any]:
    """An origin and a position."""
    return {"origin": format_actor(key[:ACTOR_BYTES]), "position": int.from_bytes(key[ACTOR_BYTES:], "big")}


def spell_path(key: bytes, catalog: Catalog) -> dict[str, Any]:
    """A collection and a number."""
    number = int.from_bytes(key[:COLLECTION_NUMBER_BYTES], "big")
    return {"collection": catalog.collections[number].name, "path": int.from_bytes(key[4:], "big")}


def spell_range(key: bytes, catalog: Catalog) -> dict[str, Any]:
    """A level, a collection and the key at which the range ends."""
    number = int.from_bytes(key[1:PREFIX_BYTES], "big")
    return {"level": key[0], "collection": catalog.collections[number].name, "end": key[PREFIX_BYTES:].hex()}


def spell_entry(key: bytes, catalog: Catalog) -> dict[str, Any]:
    """An index, a part of it, and the columns with the id behind them."""
    number = int.from_bytes(key[:NUMBER_BYTES], "big")
    names = [index.name for collection in catalog.collections for index in collection.indexes if index.number == number]
    part = PART_NAMES[key[NUMBER_BYTES]]
    return {"index": number, "name": names[0] if names else "", "part": part, "rest": key[NUMBER_BYTES + 1 :].hex()}


KEYS: Mapping[Table, Callable[[bytes, Catalog], dict[str, Any]]] = {
    Table.META: spell_text,
    Table.DOCUMENTS: spell_document,
    Table.LOG: lambda key, _: {"txn": int.from_bytes(key, "big")},
    Table.POSITIONS: spell_position,
    Table.ORIGINS: lambda key, _: {"origin": format_actor(key)},
    Table.REPLICAS: lambda key, _: {"replica": int.from_bytes(key, "big")},
    Table.PATHS: spell_path,
    Table.COLLECTIONS: lambda key, _: {"collection": int.from_bytes(key, "big")},
    Table.KEYS: spell_text,
    Table.RANGES: spell_range,
    Table.PEERS: lambda key, _: {"origin": format_actor(key)},
    Table.INDEXES: lambda key, _: {"index": int.from_bytes(key, "big")},
    Table.ENTRIES: spell_entry,
    Table.ATTACHMENTS: lambda key, _: {"attachment": format_id(key)},
    Table.IMAGES: lambda key, _: {"txn": int.from_bytes(key[:8], "big"), "document": int.from_bytes(key[8:], "big")},
}
"""How the keys of each table are spelled out."""
