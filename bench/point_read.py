"""S5: documents by their ids, as JSON bytes, against JSON texts in SQLite.

Rules: both sides answer the same ids with bytes that say the same; SQLite has one prepared statement, an integer
primary key, a cache that holds everything, and gives the stored bytes as they are (`select`) or checks and
minifies them (`json`). SQLite is asked for one id at a time in every row: it has no call for many.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bench.measure import Row, Side, cpu_microseconds, race, versus
from bench.workloads import COLLECTION, clock, person
from crdtstore import Store, Upsert

DOCUMENTS = 100_000
BATCH = 1_000
READS = 10_000

SELECTS = {
    "select": "SELECT j FROM people WHERE id = ?",
    "json": "SELECT json(j) FROM people WHERE id = ?",
}


def rows(rounds: int, documents: int = DOCUMENTS, reads: int = READS) -> list[Row]:
    """Measure both ways to read ours and both statements of SQLite, round by round."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crdtstore-bench-")))
        store = stack.enter_context(Store.open(folder / "store", durability="none", clock=clock))
        database = stack.enter_context(closing(sqlite3.connect(folder / "people.sqlite")))
        fill(store, database, documents)
        check_equal(store, database, documents)
        sides: dict[str, Side] = {
            "batch": side(batch_reader(store), documents, reads),
            "call": side(call_reader(store), documents, reads),
            **{name: side(sqlite_reader(database, text), documents, reads) for name, text in SELECTS.items()},
        }
        times = race(sides, rounds)
    return [
        versus(
            f"S5.{our}.{name}",
            f"SQLite {sqlite3.sqlite_version}, {text.partition(' FROM')[0]}",
            times,
            our,
            name,
            documents=documents,
            batch=BATCH,
        )
        for our in ("batch", "call")
        for name, text in SELECTS.items()
    ]


def fill(store: Store, database: sqlite3.Connection, documents: int) -> None:
    """Put the same documents into both."""
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA cache_size = -1000000")
    database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, j TEXT)")
    for start in range(0, documents, 1_000):
        some = [(number, person(number)) for number in range(start, min(start + 1_000, documents))]
        store.write([Upsert(COLLECTION, fields, id=number) for number, fields in some])
        texts = [(number, msgspec.json.encode(fields).decode()) for number, fields in some]
        database.executemany("INSERT INTO people VALUES (?, ?)", texts)
    database.commit()
    # Texts come as their UTF-8, which is what is asked for here: no time goes into decoding it.
    database.text_factory = bytes


def check_equal(store: Store, database: sqlite3.Connection, documents: int) -> None:
    """Make sure that both sides answer with the same document, and many with the same as one."""
    numbers = [0, documents - 1]
    expected = [person(number) for number in numbers]
    read: list[Callable[[Sequence[int]], list[Any]]] = [call_reader(store), batch_reader(store)]
    read += [sqlite_reader(database, text) for text in SELECTS.values()]
    for reader in read:
        assert [msgspec.json.decode(text) for text in reader(numbers)] == expected


def side(reader: Callable[[Sequence[int]], list[Any]], documents: int, reads: int) -> Side:
    """Read ids that are drawn anew in each round, the same for all sides."""

    def run(number: int) -> float:
        draw = Random(number)
        ids = [draw.randrange(documents) for _ in range(reads)]
        return cpu_microseconds(lambda: reader(ids), reads)

    return run


def batch_reader(store: Store) -> Callable[[Sequence[int]], list[Any]]:
    """Many ids a call."""

    def read(ids: Sequence[int]) -> list[Any]:
        found: list[Any] = []
        for start in range(0, len(ids), BATCH):
            found += store.get_many_json(COLLECTION, ids[start : start + BATCH])
        return found

    return read


def call_reader(store: Store) -> Callable[[Sequence[int]], list[Any]]:
    """An id a call."""
    return lambda ids: [store.get_json(COLLECTION, number) for number in ids]


def sqlite_reader(database: sqlite3.Connection, text: str) -> Callable[[Sequence[int]], list[Any]]:
    """An id a call, by a statement that the connection keeps prepared."""
    return lambda ids: [database.execute(text, (number,)).fetchone()[0] for number in ids]
