"""S6 and S7: documents by an index and by a scan, as JSON bytes, against JSON texts in SQLite and jsonb in PostgreSQL.

A SELECT is measured against the find that gives the same documents.

Rules: all sides hold the same documents and give the same ones, which is checked before anything is measured. SQLite
has expression indexes, one prepared statement a query, a cache that holds everything, and gives the stored bytes as
they are. By an index, what was found is let go before the next is looked for. PostgreSQL, where it is installed,
answers in a process of its own, so it is compared in wall time, by its own count of what executing takes; SQLite in CPU
time.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from bench import postgres
from bench.measure import Row, Side, cpu_microseconds, race, versus, wall_microseconds
from bench.point_read import fill
from bench.workloads import COLLECTION, clock, person
from crdtstore import Store, limits
from crdtstore.http.store.find import body_of

DOCUMENTS = 100_000
POINTS = 5_000
RANGES = 300
RANGE_HITS = 100
SCANS = 3

ONE = "email == $args.email"
RANGE = "count >= $args.low && count < $args.high"
SCAN = "city == 'Ogden' && count >= {low}"

SELECT_ONE = f"SELECT * FROM {COLLECTION} WHERE email = :email"
SELECT_RANGE = f"SELECT * FROM {COLLECTION} WHERE `count` >= :low AND `count` < :high ORDER BY `count`"

SQLITE_ONE = "SELECT j FROM people WHERE json_extract(j, '$.email') = ?"
SQLITE_RANGE = "SELECT j FROM people WHERE json_extract(j, '$.count') >= ? AND json_extract(j, '$.count') < ?"
SQLITE_SCAN = "SELECT j FROM people WHERE json_extract(j, '$.city') = 'Ogden' AND json_extract(j, '$.count') >= ?"
POSTGRES_SCAN = "SELECT j FROM people WHERE j->>'city' = 'Ogden' AND (j->>'count')::int >= {low}"

SQLITE_INDEXES = (
    "CREATE INDEX by_email ON people (json_extract(j, '$.email'))",
    "CREATE INDEX by_count ON people (json_extract(j, '$.count'))",
)


@contextmanager
def filled(documents: int) -> Iterator[tuple[Store, sqlite3.Connection, Path]]:
    """A store and a database with the same documents, and the folder that they are in."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crdtstore-bench-")))
        store = stack.enter_context(Store.open(folder / "store", durability="none", clock=clock))
        database = stack.enter_context(closing(sqlite3.connect(folder / "people.sqlite")))
        fill(store, database, documents)
        yield store, database, folder


def indexed(rounds: int, documents: int = DOCUMENTS) -> list[Row]:
    """One document of many, and a hundred, by an index."""
    with filled(documents) as (store, database, _):
        for path in ("email", "count"):
            store.indexes.create(COLLECTION, [path])
        for text in SQLITE_INDEXES:
            database.execute(text)
        ones = {"ours": ours_one(store), "sqlite": sqlite_one(database)}
        ranges = {"ours": ours_range(store), "sqlite": sqlite_range(database)}
        check_equal([list(run([7, documents - 1])) for run in ones.values()])
        check_equal([list(run([documents // 2])) for run in ranges.values()])
        times = race({name: side(run, documents, POINTS) for name, run in ones.items()}, rounds)
        wide = race({name: side(run, documents - RANGE_HITS, RANGES) for name, run in ranges.items()}, rounds)
        selects = select_rows(store, rounds, documents)
    peer = f"SQLite {sqlite3.sqlite_version}, expression index"
    return [
        versus("S6.one", peer, times, "ours", "sqlite", documents=documents),
        versus("S6.range", peer, wide, "ours", "sqlite", documents=documents, hits=RANGE_HITS),
        *selects,
    ]


def select_rows(store: Store, rounds: int, documents: int) -> list[Row]:
    """One document and a hundred by a SELECT, and by a find: neither is prepared by its caller."""
    ones = {"select": select_one(store), "find": find_one(store)}
    ranges = {"select": select_range(store), "find": find_range(store)}
    check_equal([run([7, documents - 1]) for run in ones.values()])
    check_equal([run([documents // 2]) for run in ranges.values()])
    times = race({name: side(run, documents, POINTS) for name, run in ones.items()}, rounds)
    wide = race({name: side(run, documents - RANGE_HITS, RANGES) for name, run in ranges.items()}, rounds)
    return [
        versus("S6.select.one", "Store.find", times, "select", "find", hits=1, documents=documents),
        versus("S6.select.range", "Store.find", wide, "select", "find", hits=RANGE_HITS, documents=documents),
    ]


def scanned(rounds: int, documents: int = DOCUMENTS) -> list[Row]:
    """Two conditions on every document."""
    with filled(documents) as (store, database, folder):
        low = documents - 5 * RANGE_HITS
        scans = {"ours": ours_scan(store, low), "sqlite": sqlite_scan(database, low)}
        check_equal([run() for run in scans.values()])
        listed = lines_rows(store, rounds, documents)
        return (
            scan_rows(scans, rounds, documents) + listed + postgres_rows(scans["ours"], low, rounds, documents, folder)
        )


def side(run: Callable[[Sequence[int]], Iterable[Any]], numbers: int, finds: int) -> Side:
    """Numbers that are drawn anew in each round, the same for both sides."""

    def measured(number: int) -> float:
        draw = Random(number)
        drawn = [draw.randrange(numbers) for _ in range(finds)]
        return cpu_microseconds(lambda: deque(run(drawn), maxlen=0), finds)

    return measured


def scan_rows(scans: dict[str, Callable[[], Any]], rounds: int, documents: int) -> list[Row]:
    """A predicate on every document."""

    def measured(run: Callable[[], Any]) -> Side:
        return lambda _: cpu_microseconds(lambda: [run() for _ in range(SCANS)], SCANS)

    times = race({name: measured(run) for name, run in scans.items()}, rounds)
    peer = f"SQLite {sqlite3.sqlite_version}, json_extract"
    return [versus("S7.sqlite", peer, times, "ours", "sqlite", documents=documents, hits=RANGE_HITS)]


def lines_rows(store: Store, rounds: int, documents: int) -> list[Row]:
    """All documents as bytes for a socket: as lines, and as the bodies of pages."""
    ways = {"lines": lambda: as_lines(store), "pages": lambda: as_pages(store)}
    lines = b"".join(as_lines(store)).splitlines()
    bodies = [msgspec.json.decode(body)["documents"] for body in as_pages(store)]
    assert [msgspec.json.decode(line) for line in lines] == [document for body in bodies for document in body]

    def measured(run: Callable[[], Iterator[bytes]]) -> Side:
        return lambda _: cpu_microseconds(lambda: deque(run(), maxlen=0), documents)

    times = race({name: measured(run) for name, run in ways.items()}, rounds)
    return [versus("S7.lines", "pages of Store.find", times, "lines", "pages", documents=documents)]


def postgres_rows(ours: Callable[[], Any], low: int, rounds: int, documents: int, folder: Path) -> list[Row]:
    """The same against PostgreSQL; no row where it is not installed."""
    if not postgres.is_installed():
        return []
    with postgres.running() as server:
        server.load(documents, person, folder)
        query = POSTGRES_SCAN.format(low=low)
        assert server.count(query) == len(ours())
        sides: dict[str, Side] = {
            "ours": lambda _: wall_microseconds(lambda: [ours() for _ in range(SCANS)], SCANS),
            "postgres": lambda _: min(server.execution_microseconds(query) for _ in range(SCANS)),
        }
        times = race(sides, rounds)
        peer = f"PostgreSQL {server.version}, jsonb"
    return [versus("S7.postgres", peer, times, "ours", "postgres", documents=documents, hits=RANGE_HITS)]


def check_equal(answers: Sequence[list[Any]]) -> None:
    """Make sure that all sides found the same documents, and some."""
    found = [sorted(msgspec.json.decode(text)["count"] for text in flat(answer)) for answer in answers]
    assert found[0], "Nothing was found."
    assert all(each == found[0] for each in found)


def flat(found: list[Any]) -> list[bytes]:
    """Documents of one find or of several."""
    return [text for each in found for text in (each if isinstance(each, list) else [each])]


# --- the sides ---


def ours_one(store: Store) -> Callable[[Sequence[int]], Iterator[Any]]:
    """By a prepared query."""
    find = store.prepare(COLLECTION, ONE).find_json
    return lambda numbers: (find(email=f"jane{number}@example.com") for number in numbers)


def sqlite_one(database: sqlite3.Connection) -> Callable[[Sequence[int]], Iterator[Any]]:
    """By a statement that the connection keeps prepared."""
    run = database.execute
    return lambda numbers: (
        [text for (text,) in run(SQLITE_ONE, (f"jane{number}@example.com",)).fetchall()] for number in numbers
    )


def ours_range(store: Store) -> Callable[[Sequence[int]], Iterator[Any]]:
    """A hundred documents by a prepared query."""
    find = store.prepare(COLLECTION, RANGE, order=["count"]).find_json
    return lambda numbers: (find(low=number, high=number + RANGE_HITS) for number in numbers)


def sqlite_range(database: sqlite3.Connection) -> Callable[[Sequence[int]], Iterator[Any]]:
    """A hundred documents by a statement."""
    run = database.execute
    return lambda numbers: (
        [text for (text,) in run(SQLITE_RANGE, (number, number + RANGE_HITS)).fetchall()] for number in numbers
    )


def select_one(store: Store) -> Callable[[Sequence[int]], list[Any]]:
    """By a statement."""
    run = store.execute
    return lambda numbers: [
        list(run(SELECT_ONE, {"email": f"jane{number}@example.com"}).rows_json) for number in numbers
    ]


def find_one(store: Store) -> Callable[[Sequence[int]], list[Any]]:
    """By the find that says the same."""
    find = store.find
    return lambda numbers: [
        [document.json for document in find(COLLECTION, ONE, args={"email": f"jane{number}@example.com"}).documents]
        for number in numbers
    ]


def select_range(store: Store) -> Callable[[Sequence[int]], list[Any]]:
    """A hundred documents by a statement."""
    run = store.execute
    return lambda numbers: [
        list(run(SELECT_RANGE, {"low": number, "high": number + RANGE_HITS}).rows_json) for number in numbers
    ]


def find_range(store: Store) -> Callable[[Sequence[int]], list[Any]]:
    """A hundred documents by the find that says the same."""

    def run(number: int) -> list[bytes]:
        args = {"low": number, "high": number + RANGE_HITS}
        found = store.find(COLLECTION, RANGE, args=args, order=["count"])
        return [document.json for document in found.documents]

    return lambda numbers: [run(number) for number in numbers]


def ours_scan(store: Store, low: int) -> Callable[[], list[Any]]:
    """A predicate without an index."""
    query = SCAN.format(low=low)
    return lambda: [document.json for document in store.find(COLLECTION, query).documents]


def as_lines(store: Store) -> Iterator[bytes]:
    """Every document, as lines."""
    with store.find_json_lines(COLLECTION) as found:
        yield from found.pieces


def as_pages(store: Store) -> Iterator[bytes]:
    """Every document, as the bodies that answer finds of as many as there may be."""
    cursor = None
    while True:
        page = store.find(COLLECTION, limit=limits.FIND_LIMIT_MAX, cursor=cursor)
        yield body_of(page, page.cursor)
        cursor = page.cursor
        if cursor is None:
            return


def sqlite_scan(database: sqlite3.Connection, low: int) -> Callable[[], list[Any]]:
    """The same in SQLite."""
    return lambda: [text for (text,) in database.execute(SQLITE_SCAN, (low,)).fetchall()]
