"""S8: new documents, a hundred in a transaction, against the bare LMDB that they end in; with two indexes, SQLite.

Rules: bare LMDB puts each document as msgpack under its number, with nothing else: no merge, no log, no digest, no
seal. SQLite keeps them as JSON texts with two expression indexes, in a write-ahead log, `synchronous=FULL`. Ours is as
it opens, with a write-ahead log; in the rows `.sync` it is asked to do without. All flush at every commit, on the same
disk, so wall time is compared; the rows `.cpu` leave the flushes out on both sides and compare CPU time. Every round
begins with empty files. An INSERT is measured against the write that does the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lmdb
import msgpack
import msgspec

from bench.children import ROOT
from bench.measure import Row, Side, cpu_microseconds, race, versus, wall_microseconds
from bench.workloads import COLLECTION, clock, profile
from crdtstore import Store, Upsert
from crdtstore.storage.lasting import Durability

DOCUMENTS = 10_000
BATCH = 100
STATED = 1_000
MAP_BYTES = 1 << 30
INDEXED = ("name", "city")

Document = dict[str, Any]
Writing = Callable[[Store, list[dict[str, Any]]], object]


def rows(rounds: int, documents: int = DOCUMENTS) -> list[Row]:
    """Insert the same documents into both, round by round."""
    made = [profile(number) for number in range(documents)]
    peer = f"LMDB by lmdb {lmdb.__version__} and msgpack"
    flushed = race(
        {
            "plain": side(insert, made, is_durable=True),
            "indexed": side(insert_indexed, made, is_durable=True),
            "bare": side(insert_bare, made, is_durable=True),
            "sqlite": side(insert_sqlite, made, is_durable=True),
        },
        rounds,
    )
    unlogged = race(
        {
            "plain": side(partial(insert, durability="sync"), made, is_durable=True),
            "indexed": side(partial(insert_indexed, durability="sync"), made, is_durable=True),
            "bare": side(insert_bare, made, is_durable=True),
            "sqlite": side(insert_sqlite, made, is_durable=True),
        },
        rounds,
    )
    times = race(
        {
            "plain": side(insert, made, is_durable=False),
            "indexed": side(insert_indexed, made, is_durable=False),
            "bare": side(insert_bare, made, is_durable=False),
            "sqlite": side(insert_sqlite, made, is_durable=False),
        },
        rounds,
    )
    writings = {"statement": by_statement, "write": by_write}
    stated = race(
        {name: side(partial(insert_by, write=write), made, is_durable=False) for name, write in writings.items()},
        rounds,
    )
    sqlite = f"SQLite {sqlite3.sqlite_version}, WAL, two expression indexes"
    return [
        versus("S8.insert", peer, flushed, "plain", "bare", batch=BATCH),
        versus("S8.insert.cpu", peer, times, "plain", "bare", batch=BATCH),
        versus("S8.insert.sync", peer, unlogged, "plain", "bare", batch=BATCH),
        versus("S8.indexed.bare", peer, flushed, "indexed", "bare", batch=BATCH),
        versus("S8.indexed.sqlite", f"{sqlite}, synchronous=FULL", flushed, "indexed", "sqlite", batch=BATCH),
        versus("S8.indexed.cpu", f"{sqlite}, synchronous=OFF", times, "indexed", "sqlite", batch=BATCH),
        versus("S8.indexed.sync", f"{sqlite}, synchronous=FULL", unlogged, "indexed", "sqlite", batch=BATCH),
        versus("S8.statement", "Store.write", stated, "statement", "write", batch=STATED),
    ]


def side(insert_all: Callable[..., float], made: Sequence[Document], *, is_durable: bool) -> Side:
    """Insert into a folder of the round's own."""

    def run(_number: int) -> float:
        (ROOT / "build").mkdir(exist_ok=True)
        with TemporaryDirectory(prefix="crdtstore-bench-", dir=ROOT / "build") as folder:
            return insert_all(Path(folder), made, is_durable=is_durable)

    return run


def insert(
    folder: Path,
    made: Sequence[Document],
    *,
    is_durable: bool,
    indexed: Sequence[str] = (),
    durability: Durability | None = None,
) -> float:
    """Ours: upserts, evaluated, merged, logged, indexed and committed."""
    with Store.open(folder / "store", durability=durability if is_durable else "none", clock=clock) as store:
        for path in indexed:
            store.indexes.create(COLLECTION, [path])

        def work() -> None:
            for start in range(0, len(made), BATCH):
                some = enumerate(made[start : start + BATCH], start)
                store.write([Upsert(COLLECTION, one, id=number) for number, one in some])

        spent = measured(work, len(made), is_durable=is_durable)
        assert store.stats().documents == len(made)
    return spent


def insert_by(folder: Path, made: Sequence[Document], *, is_durable: bool, write: Writing) -> float:
    """Ours, STATED documents with their ids a transaction."""
    with Store.open(folder / "store", durability="sync" if is_durable else "none", clock=clock) as store:

        def work() -> None:
            for start in range(0, len(made), STATED):
                write(store, [{"_id": number, **one} for number, one in enumerate(made[start : start + STATED], start)])

        spent = measured(work, len(made), is_durable=is_durable)
        assert store.stats().documents == len(made)
    return spent


def by_statement(store: Store, some: list[dict[str, Any]]) -> object:
    """One INSERT, the documents in one parameter."""
    return store.execute(f"INSERT INTO {COLLECTION} DOCUMENTS (:documents)", {"documents": some})


def by_write(store: Store, some: list[dict[str, Any]]) -> object:
    """As many upserts."""
    return store.write([Upsert(COLLECTION, one) for one in some])


def insert_bare(folder: Path, made: Sequence[Document], *, is_durable: bool) -> float:
    """The peer: a put for each document."""
    with lmdb.open(str(folder), map_size=MAP_BYTES, sync=is_durable, max_dbs=1, lib_version=0) as environment:
        table = environment.open_db(COLLECTION.encode())

        def work() -> None:
            for start in range(0, len(made), BATCH):
                with environment.begin(write=True, db=table) as batch:
                    for number, one in enumerate(made[start : start + BATCH], start):
                        batch.put(number.to_bytes(8, "big"), msgpack.packb(one))

        spent = measured(work, len(made), is_durable=is_durable)
        with environment.begin(db=table) as snapshot:
            assert snapshot.stat(table)["entries"] == len(made)
    return spent


def insert_indexed(
    folder: Path, made: Sequence[Document], *, is_durable: bool, durability: Durability | None = None
) -> float:
    """Ours with two indexes."""
    return insert(folder, made, is_durable=is_durable, indexed=INDEXED, durability=durability)


def insert_sqlite(folder: Path, made: Sequence[Document], *, is_durable: bool) -> float:
    """The peer with two indexes: a JSON text for each document."""
    with closing(sqlite3.connect(folder / "people.sqlite", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'OFF'}")
        database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, j TEXT)")
        for path in INDEXED:
            database.execute(f"CREATE INDEX by_{path} ON people (json_extract(j, '$.{path}'))")

        def work() -> None:
            for start in range(0, len(made), BATCH):
                some = enumerate(made[start : start + BATCH], start)
                database.execute("BEGIN")
                texts = [(number, msgspec.json.encode(one).decode()) for number, one in some]
                database.executemany("INSERT INTO people VALUES (?, ?)", texts)
                database.execute("COMMIT")

        spent = measured(work, len(made), is_durable=is_durable)
        assert database.execute("SELECT count(*) FROM people").fetchone() == (len(made),)
    return spent


def measured(work: Callable[[], Any], operations: int, *, is_durable: bool) -> float:
    """Microseconds of an operation: of the wall where disks are waited for, else of the CPU."""
    return (wall_microseconds if is_durable else cpu_microseconds)(work, operations)
