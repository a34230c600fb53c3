"""Stores to verify: one with all that a store may hold, and rows planted below its seals.

Rules: `plant` writes through LMDB itself, with a right seal unless told otherwise, so that only the check that is
meant can find it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from crdtstore import Increment, Set, Store, Update, Upsert, make_actor
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.indexes import Indexes
from crdtstore.storage.environment import open_storage
from crdtstore.storage.identity import give_identity
from crdtstore.storage.peers import Peer, put_peer
from crdtstore.storage.ranges import refresh_job
from crdtstore.storage.tables import SEAL_BYTES, TABLE_NAMES, Table, seal
from crdtstore.version.writer import Inline

NOW = 1_700_000_000_000
OURS, THEIRS = make_actor(5, 1), make_actor(7, 1)
DOCUMENTS = 60


def build(path: Path) -> Path:
    """A store on disk with two origins, conflicts, long ids, range sums, indexes, an attachment, a key and a peer."""
    ticks = iter(range(NOW, NOW + 10_000_000))
    storage = open_storage(path, create=True, read_only=False, durable=False)
    give_identity(storage, OURS)
    with (
        Store(storage, Inline, lambda: next(ticks)) as store,
        Store.in_memory(clock=store.clock, origin=THEIRS) as other,
    ):
        fill(store, other)
        while store.run(refresh_job):
            pass
        store.change_images.set("cities", "both")
        store.write([Upsert("cities", {"name": "stale"}, id="city 3")])
        for paths in ((("name",),), (("tags", "b"),), ()):
            Indexes(store).create("cities", paths, kind="fields" if paths else "conflicts")
        KeyRing(store).create("test", Permission.full())
        store.attachments.put([b"a file"])
        store.run(lambda batch, _catalog, _head: put_peer(batch, Peer(THEIRS, NOW, 1)))
    return path


def fill(store: Store, other: Store) -> None:
    """Write to both, let the one apply what the other wrote, and meet in a conflict."""
    for number in range(DOCUMENTS):
        fields = {"name": f"city {number}", "tags": ["a", {"b": number}], "visits": number}
        store.write([Upsert("cities", fields, id=f"city {number}", value_types={"visits": "counter"})])
    other.apply(entry.record for entry in store.changes())
    for number in range(0, DOCUMENTS, 3):
        query = f"_id == 'city {number}'"
        other.write([Update("cities", query, [Set("name", "other"), Increment("visits", 2)])], actor=make_actor(1, 2))
        store.write([Update("cities", query, [Set("name", "ours")])])
    other.write([Upsert("rivers", {"long": True, "text": "x" * 100}, id="r" * 600 + str(n)) for n in range(3)])
    store.apply(entry.record for entry in other.changes())


@contextmanager
def raw(path: Path) -> Iterator[Any]:
    """The tables of a store, through LMDB."""
    with lmdb.open(str(path), max_dbs=len(Table), map_size=2**26, lib_version=0, create=False) as environment:
        handles = [environment.open_db(name.encode(), create=False) for name in TABLE_NAMES]
        with environment.begin(write=True) as transaction:
            yield transaction, handles


def rows(path: Path, table: Table) -> dict[bytes, bytes]:
    """The values of a table, without their seals."""
    with raw(path) as (transaction, handles):
        return {bytes(key): bytes(value)[:-SEAL_BYTES] for key, value in transaction.cursor(handles[table])}


def plant(path: Path, table: Table, key: bytes, value: bytes | None, *, sealed: bool = True) -> None:
    """Write a row, or remove it."""
    with raw(path) as (transaction, handles):
        if value is None:
            assert transaction.delete(key, db=handles[table])
        else:
            stored = seal(table, key, value) if sealed else value
            transaction.put(key, stored, db=handles[table])
