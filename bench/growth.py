"""S14: what ten times as many documents cost a point read, an indexed find and a single write.

Rules: the small store's value stands as the peer's, so a ratio of 0.5 means twice the time. A page is touched by a read
for each level of the trees that it walks down, as LMDB tells; by a write for each page that the process gave to the
system. Ids and values are drawn from all documents, so the large store's pages are not nearer than they are.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import lmdb

from bench.measure import Row, Side, counted, cpu_microseconds, race, versus
from bench.workloads import COLLECTION, clock, person
from crdtstore import Store, Upsert

SMALL = 100_000
GROWTH = 10
BATCH = 1_000
READS = 3_000
WRITES = 200
PAGE_BYTES = 4_096

TABLES = {"read": ("documents",), "find": ("entries", "documents")}


def rows(rounds: int, small: int = SMALL) -> list[Row]:
    """Fill a store and one that is ten times as large; measure both in turn."""
    sizes = {"small": small, "large": small * GROWTH}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crdtstore-bench-")))
        for name, documents in sizes.items():
            fill(folder / name, documents)
        depths = {name: read_depths(folder / name) for name in sizes}
        stores = {name: stack.enter_context(open_store(folder / name)) for name in sizes}
        found = []
        for kind, make in {"read": reader, "find": finder, "write": writer}.items():
            sides: dict[str, Side] = {name: make(stores[name], documents) for name, documents in sizes.items()}
            times = race(sides, rounds)
            peer = f"{small:,} documents"
            found.append(versus(f"S14.{kind}", peer, times, "large", "small", documents=sizes["large"]))
        pages = {name: written_pages(stores[name], documents) for name, documents in sizes.items()}
    for kind, tables in TABLES.items():
        shares = [sum(depths[name][table] for table in tables) for name in ("large", "small")]
        found.append(counted(f"S14.{kind}.pages", shares[0] / shares[1], "times as many pages", 1))
    found.append(counted("S14.write.pages", pages["large"] / pages["small"], "times as many pages", 1))
    return found


def open_store(path: Path) -> Store:
    """A store of these benches."""
    return Store.open(path, durability="none", clock=clock)


def fill(path: Path, documents: int) -> None:
    """Write documents, and index one field."""
    with open_store(path) as store:
        for start in range(0, documents, BATCH):
            some = range(start, min(start + BATCH, documents))
            store.write([Upsert(COLLECTION, person(number), id=number) for number in some])
        store.indexes.create(COLLECTION, ["email"])


def read_depths(path: Path) -> dict[str, int]:
    """How many levels each table has."""
    with lmdb.open(str(path), readonly=True, max_dbs=32, lib_version=0) as environment:
        names = {table for tables in TABLES.values() for table in tables}
        handles = {name: environment.open_db(name.encode(), create=False) for name in names}
        with environment.begin() as view:
            return {name: int(view.stat(handle)["depth"]) for name, handle in handles.items()}


def drawn(run: Callable[[int], object], documents: int, times: int) -> Side:
    """Run with numbers drawn anew in each round."""

    def measured(number: int) -> float:
        draw = Random(number)
        numbers = [draw.randrange(documents) for _ in range(times)]
        return cpu_microseconds(lambda: [run(each) for each in numbers], times)

    return measured


def reader(store: Store, documents: int) -> Side:
    """By id."""
    return drawn(lambda number: store.get_json(COLLECTION, number), documents, READS)


def finder(store: Store, documents: int) -> Side:
    """By an index."""
    find = store.prepare(COLLECTION, "email == $args.email").find_json
    return drawn(lambda number: find(email=f"jane{number}@example.com"), documents, READS)


def writer(store: Store, documents: int) -> Side:
    """One field of one document, a transaction of its own, without flushing."""
    return drawn(lambda number: store.write([Upsert(COLLECTION, {"age": number}, id=number)]), documents, WRITES)


def written_pages(store: Store, documents: int) -> float:
    """Pages that a single write gives to the system."""
    draw = Random(0)
    before = written_bytes()
    for _ in range(WRITES):
        number = draw.randrange(documents)
        store.write([Upsert(COLLECTION, {"age": number + 1}, id=number)])
    return (written_bytes() - before) / PAGE_BYTES / WRITES


def written_bytes() -> int:
    """Bytes that this process gave to the system to write so far."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"])
