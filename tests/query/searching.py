"""A store to search: documents made by writing, with index entries beside them, and what a naive search finds.

Rules: the documents hold few values of every type, so that orders have ties and filters match about as often as not;
there are long ids, graves, fields that two stores wrote at the same time, and more rows than one fetch takes. Entries
stand in a table in which nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Final, Literal, NamedTuple

from crdtstore import core
from crdtstore.command.command import FieldCommand, Increment, Remove, ReplaceWithCounter, Update, Upsert
from crdtstore.crdt.spread import spread
from crdtstore.query import tree
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.match import Predicate
from crdtstore.query.order import DQL_ORDER, LEGACY_ORDER, PLATFORM_ORDER, RQL_ORDER, Order, OrderKey
from crdtstore.query.program import Filter, compile_filter
from crdtstore.query.source import Source
from crdtstore.replication.local import sync
from crdtstore.storage.catalog import Catalog, Collection, number_key
from crdtstore.storage.documents import Row, id_key, scan_living
from crdtstore.storage.environment import open_storage
from crdtstore.storage.interface import Snapshot, Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.tables import Table
from crdtstore.store import Store
from tests.query import pairs
from tests.version.stores import store_on

DOCUMENTS: Final = Table.DOCUMENTS
ENTRIES: Final = int(Table.ENTRIES)
COLUMN_BYTES_MAX: Final = 100
ID_BYTES_MAX: Final = 64

VALUES: Final[tuple[Any, ...]] = (
    *(None, False, True, 0, 0.0, -0.0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), 1e300),
    *("", "a", "ab", "b", "a\0", "a\x01", "\xe9", "\N{GRINNING FACE}", "x" * 120, "y" * 1_100, "y" * 1_100 + "z"),
    *(b"", b"a", b"ab", b"\0", b"\x01"),
    *([], [1], [1, 2], [True], ["a", None], ["a", [1]], [b"a"], {}, {"d": 1}, {"d": "a"}, [{"d": 1}, {"d": [2]}]),
)
PATHS: Final[tuple[tree.Path, ...]] = (
    *(("a",), ("b",), ("c",), ("c", "d"), ("c", "d", "d"), ("l",), ("l", 0), ("l", 1, "d"), ("n",), ("none",)),
    *(("_id",), ("_id", "k"), ("_id", "t"), ("_id", "l"), ("_id", "l", 1), ()),
)
RANKS: Final = (LEGACY_ORDER, RQL_ORDER, PLATFORM_ORDER, DQL_ORDER)


class World(NamedTuple):
    """What is searched, in one snapshot."""

    snapshot: Snapshot
    catalog: Catalog
    collection: Collection

    def lookup(self, row: Row) -> FieldLookup:
        """How a query reads a row."""
        return FieldLookup(self.catalog, self.collection, *row)

    def rows(self) -> list[Row]:
        """All living documents."""
        return list(scan_living(self.snapshot, self.collection))

    def matches(self, rows: list[Row], condition: Filter | None) -> list[Row]:
        """Those of some documents that match."""
        return [row for row in rows if condition is None or condition.test(self.lookup(row)) is True]

    def printed(self, row: Row) -> bytes:
        """A document as JSON."""
        text: bytes = core.document_json(row.document, self.collection.paths, self.catalog.replicas)
        return text

    def everything(self) -> Source:
        """The whole collection."""
        return Source(DOCUMENTS, ((self.collection.prefix, number_key(self.collection.number + 1)),))


def ids(random: Random, count: int) -> list[Any]:
    """Ids of all types; some are too long for a key and differ only behind what it keeps."""
    made: list[Any] = [*range(count // 2), True, False, 0.5, -7, 2**60]
    made += [f"id {number}" for number in range(count // 4)]
    made += [{"k": number, "t": "t\0" * (number % 45)} for number in range(count // 8)]
    made += [{"l": [number, "x"], "k": None} for number in range(count // 40)]
    made += ["long" * 125 + "-".join(str(number)) for number in range(count // 8)]
    random.shuffle(made)
    return made


def fields(random: Random) -> dict[str, Any]:
    """A document's fields; any may be missing."""
    made = {"a": random.choice(VALUES), "b": random.choice(VALUES[:12]), "c": {"d": random.choice(VALUES)}}
    made["l"] = [random.choice(VALUES) for _ in range(random.randrange(3))]
    return {key: value for key, value in made.items() if random.random() < 0.85}


def fill(store: Store, other: Store, seed: int, count: int) -> None:
    """Write documents through two stores, which know the same at the end."""
    random = Random(seed)
    names = ids(random, count)
    for start in range(0, len(names), 50):
        store.write([Upsert("things", fields(random), id=id_) for id_ in names[start : start + 50]])
    store.write([Upsert("before", {"a": 1}, id=1), Upsert("zz", {"a": 1}, id=1)])
    sync(other, store)
    for one in (store, other):
        one.write([Upsert("things", {"a": random.choice(VALUES)}, id=id_) for id_ in names[::5]])
        one.write([update(id_, Increment("n", random.choice((1, 2, 0.5)))) for id_ in names[::3]])
        one.write([update(id_, ReplaceWithCounter("b", 7)) for id_ in names[::17]])
    sync(other, store)
    store.write([remove(id_, "permanent") for id_ in names[::10]] + [remove(id_, "observed") for id_ in names[1::20]])


def update(id_: Any, command: FieldCommand) -> Update:
    """A command for one document."""
    return Update("things", "_id == $args.id", [command], args={"id": id_})


def remove(id_: Any, deletes: Literal["observed", "permanent"]) -> Remove:
    """The removal of one document."""
    return Remove("things", "_id == $args.id", args={"id": id_}, deletes=deletes)


def entry(number: int, part: int, columns: bytes, key: bytes) -> tuple[bytes, bytes]:
    """An index entry that leads to an id key."""
    head = number.to_bytes(4, "big") + bytes([part]) + columns
    if len(key) <= ID_BYTES_MAX:
        return head + key, bytes([len(key)])
    return head + blake2b(key, digest_size=16).digest(), b"\0" + key


def column(value: Any) -> bytes:
    """What an entry holds of a value."""
    key: bytes = core.value_key(value)
    return key[:COLUMN_BYTES_MAX]


def entries(world: World) -> Iterator[tuple[bytes, bytes]]:
    """The entries of index 1, over `a`, and of index 2, over the values of `l` when it is spread."""
    for row in world.rows():
        lookup = world.lookup(row)
        yield entry(1, 0, column(lookup(("a",))), id_key(row.id))
        for each in spread_columns(world, row):
            yield entry(2, 1, each, id_key(row.id))


def open_world(kind: str, folder: Path, seed: int = 1, count: int = 400) -> tuple[Store, World]:
    """Make a store of a kind, and a snapshot of it; the caller closes the store."""
    storage: Storage = MemoryStorage()
    if kind == "lmdb":
        storage = open_storage(folder / "store", create=True, read_only=False, durable=False)
    # Of two writes at the same time the origins decide, so they are the same in every run.
    store = store_on(storage, 1)
    with store_on(MemoryStorage(), 2) as other:
        fill(store, other, seed, count)
    return store, see(store)


def see(store: Store) -> World:
    """A snapshot of a store, with index entries written before."""
    with store.storage.batch() as batch:
        catalog = Catalog.load(batch)
        for key, value in entries(World(batch, catalog, catalog.by_name["things"])):
            batch.put(ENTRIES, key, value)
        batch.commit()
    snapshot = store.storage.snapshot()
    catalog = Catalog.load(snapshot)
    return World(snapshot, catalog, catalog.by_name["things"])


# --- what is asked for ---


def conditions(seed: int, count: int) -> list[Filter | None]:
    """Random filters, every third without a program, and none at all."""
    random = Random(seed)
    made = [compile_filter(pairs.condition(pairs.World(random, VALUES), 2)) for _ in range(count)]
    return [None, *made[::3], *made[1::3], *(plainly(each.test) for each in made[2::3])]


def plainly(test: Predicate) -> Filter:
    """A filter that only the plain twin evaluates."""
    return Filter(tree.Literal(True), test, None)


def orders(seed: int, count: int) -> list[Order]:
    """Random orders of one to three keys."""
    random = Random(seed)
    keys = [tuple(random.sample(PATHS, random.randrange(1, 4))) for _ in range(count)]
    return [
        Order(tuple(OrderKey(path, random.random() < 0.5) for path in paths), random.choice(RANKS)) for paths in keys
    ]


def index_range(number: int, *columns: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The entries of an index, or those that begin with one of some columns."""
    heads = [number_key(number) + bytes([number - 1]) + each for each in columns or (b"",)]
    return tuple((head, head + b"\xff") for head in heads)


def sources(world: World) -> dict[str, tuple[Source, list[Row]]]:
    """Ways to look at documents, with those that each must give, in its order."""
    rows = world.rows()
    whole = world.everything()
    prefix = world.collection.prefix
    middle = prefix + id_key(rows[len(rows) // 2].id)
    points = [rows[3], rows[-1], rows[40]]
    by_a = sorted(rows, key=lambda row: entry(1, 0, column(world.lookup(row)(("a",))), id_key(row.id))[0])
    named: dict[bytes, list[Row]] = {}
    for row in by_a:
        named.setdefault(column(world.lookup(row)(("a",))), []).append(row)
    back = [row for each in sorted(named, reverse=True) for row in named[each]]
    some = [column("a"), column(1), column("y" * 1_100)]
    items: dict[bytes, Row] = {}
    spread_rows = [(entry(2, 1, each, id_key(row.id)), row) for row in rows for each in spread_columns(world, row)]
    for _, row in sorted(spread_rows):
        items.setdefault(row.id, row)
    return {
        "all": (whole, rows),
        "nothing": (Source(DOCUMENTS, ()), []),
        "two halves": (Source(DOCUMENTS, ((middle, whole.ranges[0][1]), (prefix, middle))), halves(rows)),
        "points": (Source(DOCUMENTS, tuple(point(prefix, row) for row in points)), points),
        "backwards": (Source(DOCUMENTS, whole.ranges, descending=True), rows[::-1]),
        "index": (Source(ENTRIES, index_range(1)), by_a),
        "index backwards": (Source(ENTRIES, index_range(1), descending=True), back),
        "columns": (Source(ENTRIES, index_range(1, *some)), [row for each in some for row in named[each]]),
        "items": (Source(ENTRIES, index_range(2), repeats=True), list(items.values())),
    }


def halves(rows: list[Row]) -> list[Row]:
    """The second half, then the first."""
    return rows[len(rows) // 2 :] + rows[: len(rows) // 2]


def point(prefix: bytes, row: Row) -> tuple[bytes, bytes]:
    """The range of one document."""
    key = prefix + id_key(row.id)
    return key, key + b"\0"


def spread_columns(world: World, row: Row) -> set[bytes]:
    """The columns under which a document stands in index 2."""
    return {column(value) for value in spread(world.lookup(row), ("l",))}
