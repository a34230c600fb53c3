"""Finding: with and without indexes, in every order, a page at a time, always the same documents in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import InvalidCursor, LimitExceeded
from crdtstore.indexes import Indexes
from crdtstore.limits import QUERY_CACHE_MAX
from crdtstore.query import find, statistics
from crdtstore.query import plan as plan_module
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.order import DQL_ORDER, LEGACY_ORDER, RQL_ORDER, Order, OrderKey, sort_key
from crdtstore.query.tree import And, Node
from crdtstore.storage.documents import id_key
from tests.query.test_bounds import condition

COLLECTION = "things"
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    1.5,
    -3,
    "a",
    "ab",
    "b",
    "x" * 150,
    "x" * 151,
    ["a", 1],
    [],
    {"a": 1},
)
DOCUMENTS = 60
QUERIES = 60
INDEXES: tuple[tuple[str, ...], ...] = (("a",), ("b",), ("a", "b"), ("c", "a"))
PATHS = (("a",), ("b",), ("c",), ("c", "d"), ("_id",))


def documents(random: Random) -> dict[Any, dict[str, Any]]:
    """Documents by their ids: few values, many of them alike, some fields missing; in half of the worlds none long."""
    made: dict[Any, dict[str, Any]] = {}
    has_long = random.random() < 0.5
    values = [value for value in VALUES if has_long or not isinstance(value, str) or len(value) < 100]
    for number in range(DOCUMENTS):
        long_id = "i" * 100 + str(number)
        id_: Any = random.choice((number, f"id{number}", long_id if has_long and number % 9 == 0 else number + 0.5))
        fields: dict[str, Any] = {key: random.choice(values) for key in ("a", "b") if random.random() < 0.8}
        fields["c"] = {"d": random.choice(values)} if random.random() < 0.5 else random.choice((1, 2))
        made[id_] = fields
    return made


def stored(made: dict[Any, dict[str, Any]], indexes: tuple[tuple[str, ...], ...]) -> Store:
    """A store that holds them."""
    store = Store.in_memory()
    for paths in indexes[:2]:
        store.indexes.create(COLLECTION, paths)
    store.write([Upsert(COLLECTION, fields, id=id_) for id_, fields in made.items()])
    for paths in indexes[2:]:
        store.indexes.create(COLLECTION, paths)
    return store


def orders(random: Random) -> Order:
    """An order of some language."""
    keys = tuple(OrderKey(path, random.random() < 0.5) for path in random.sample(PATHS, random.randrange(3)))
    return Order(keys, random.choice((LEGACY_ORDER, LEGACY_ORDER, RQL_ORDER, DQL_ORDER)))


def expected(made: dict[Any, dict[str, Any]], node: Node, order: Order) -> list[Any]:
    """The ids that a query gives, by reading everything."""
    test = compile_match(node)
    keyed: list[tuple[bytes, Any]] = []
    for id_, fields in made.items():
        lookup = lookup_in({"_id": id_, **fields})
        if test(lookup) is True:
            keyed.append((sort_key(order, lookup, id_key(encode_id(id_))), id_))
    return [id_ for _, id_ in sorted(keyed, key=lambda pair: pair[0])]


def pages(store: Store, node: Node, order: Order, limit: int) -> Iterator[list[Any]]:
    """The ids of each page."""
    cursor = None
    while True:
        found = store.find(COLLECTION, node, order=order, limit=limit, cursor=cursor)
        yield [document.id for document in found.documents]
        cursor = found.cursor
        if cursor is None:
            return


def disagreements(seed: int, indexes: tuple[tuple[str, ...], ...]) -> list[tuple[Any, ...]]:
    """What a store finds otherwise than by reading everything."""
    random = Random(seed)
    made = documents(random)
    wrong: list[tuple[Any, ...]] = []
    with stored(made, indexes) as store:
        for _ in range(QUERIES):
            node, order = condition(random, 2), orders(random)
            wanted = expected(made, node, order)
            limit, offset = random.randrange(1, 30), random.randrange(5)
            found = [document.id for document in store.find(COLLECTION, node, order=order, offset=offset).documents]
            paged = list(pages(store, node, order, limit))
            if found != wanted[offset:] or [id_ for page in paged for id_ in page] != wanted:
                wrong.append((node, order, wanted, found, paged))
            if any(len(page) != limit for page in paged[:-1]) or store.count(COLLECTION, node).count != len(wanted):
                wrong.append((node, order, limit, paged))
    return wrong


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("indexes", [(), INDEXES], ids=["scan", "indexes"])
def test_pages_are_the_documents_that_match_in_their_order(seed: int, indexes: tuple[tuple[str, ...], ...]) -> None:
    assert disagreements(seed, indexes) == []


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read an index wherever one says anything."""
    monkeypatch.setattr(plan_module, "LOOKUP_COST", 0)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("seed", range(10, 16))
def test_pages_are_the_same_where_every_index_is_read_that_can_be(seed: int) -> None:
    assert disagreements(seed, INDEXES) == []


def always_exact(reading: Any) -> Any:
    return None if reading is None else reading._replace(exact=True)


PLANTED: dict[str, tuple[str, Any]] = {
    "entries are taken to say all": ("covers", lambda node, paths: True),
    "long values are not cut": ("cut_range", lambda each: each),
    "any order is served": ("is_canonical", lambda order: True),
    "ranges are points": ("is_points", lambda ranges: True),
}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, *PLANTED[name])
    assert any(disagreements(seed, INDEXES) for seed in range(10, 20))


# --- which way is taken ---


@pytest.fixture(scope="module")
def cities() -> Iterator[Store]:
    with Store.in_memory() as store:
        store.indexes.create("cities", ["country", "population"])
        store.indexes.create("cities", ["name"])
        made = [
            Upsert(
                "cities", {"name": f"city {number}", "country": number % 50, "population": number, "even": 1}, id=number
            )
            for number in range(2_000)
        ]
        store.write(made)
        yield store


@pytest.mark.parametrize(
    ("query", "order", "access", "examined"),
    [
        ("_id == 7", (), "ids", 1),
        ("name == 'city 7'", (), "index", 1),
        ("starts_with(name, 'city 77')", (), "index", 11),
        ("country == 7", (), "index", 40),
        ("country == 7 && population >= 1000", (), "index", 20),
        ("country == 7 && population >= 1000 && even == 1", (), "index", 20),
        ("contains([7, 8], country)", (), "scan", 258),
        ("even == 1", (), "scan", 11),
        ("population >= 1990", (), "scan", 2_000),
        ("country >= 5", (), "scan", 16),
        ("even == 1", ("-name",), "index", 11),
        ("country == 7", ("-population",), "index", 11),
        ("true", ("population",), "scan", 2_000),
    ],
)
def test_the_cheapest_way_is_taken(
    cities: Store, query: str, order: tuple[str, ...], access: str, examined: int
) -> None:
    plan = cities.explain("cities", query, order=order, limit=10)
    assert (plan["access"], plan["examined"]["rows"]) == (access, examined)


LONG = "x" * 120
LONG_ONES = [f"{LONG}{last}" for last in "abc"]
"""Values that differ behind what an index keeps of them."""


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("paths", [("a",), ("a", "b")])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("contains(:long, a)", ["0", "1", "2"]),
        ("contains(:two, a)", ["0", "1"]),
        ("contains(:two, a) && b == 1", ["0", "1"]),
        ("contains(:two, a) && b > 0", ["0", "1"]),
        ("!(a == :one)", ["1", "2", "3"]),
        ("a < :one || a > :one", ["1", "2", "3"]),
    ],
)
def test_values_that_share_a_column_are_found_once(paths: tuple[str, ...], query: str, found: list[str]) -> None:
    args: dict[str, Any] = {"long": LONG_ONES, "two": LONG_ONES[:2], "one": LONG_ONES[0]}
    with Store.in_memory() as store:
        values = [*LONG_ONES, "y"]
        store.write([Upsert("c", {"a": value, "b": 1}, id=str(at)) for at, value in enumerate(values)])
        Indexes(store).create("c", paths)
        assert store.explain("c", query, args=args)["access"] == "index"
        assert [document.id for document in store.find("c", query, args=args).documents] == found
        assert store.count("c", query, args=args).count == len(found)


def test_a_plan_is_told_without_running_it(cities: Store) -> None:
    plan = cities.explain("cities", "country == 7", run=False)
    assert plan["index"]["paths"] == [("country",), ("population",)]
    assert "examined" not in plan


@pytest.mark.parametrize("seed", range(3))
def test_a_condition_of_a_layer_above_shows_nothing_else(seed: int) -> None:
    """Joined before planning, it holds for documents, pages, counts and distinct values alike."""
    random = Random(seed)
    made = documents(random)
    allowed = condition(random, 1)
    test = compile_match(allowed)
    shown = {id_: fields for id_, fields in made.items() if test(lookup_in({"_id": id_, **fields})) is True}
    with stored(made, INDEXES) as everything, stored(shown, ()) as permitted:
        for _ in range(QUERIES):
            asked, order = condition(random, 2), orders(random)
            joined = And((allowed, asked))
            assert list(pages(everything, joined, order, 7)) == list(pages(permitted, asked, order, 7))
            assert everything.count(COLLECTION, joined).count == permitted.count(COLLECTION, asked).count
            values = everything.distinct(COLLECTION, "a", joined).values
            assert values == permitted.distinct(COLLECTION, "a", asked).values


def test_a_find_by_id_looks_at_no_index(cities: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the table of indexes was read")

    monkeypatch.setattr(statistics, "read_indexes", refuse)
    assert [document.id for document in cities.find("cities", "_id == 7").documents] == [7]
    with pytest.raises(AssertionError):
        cities.find("cities", "country == 7")


def test_only_an_index_that_may_serve_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    measure = statistics.measure

    def note(snapshot: Any, index: Any) -> Any:
        measured.append(index.name)
        return measure(snapshot, index)

    monkeypatch.setattr(statistics, "measure", note)
    with Store.in_memory() as store:
        for path in ("a", "b"):
            store.indexes.create("c", [path])
        store.write([Upsert("c", {"a": number, "b": number}, id=number) for number in range(20)])
        store.find("c", "n == 1")
        assert measured == []
        store.find("c", "a == 1")
        store.find("c", "a == 2")
        assert measured == ["a"]


def test_filters_of_large_conditions_are_not_kept() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": 1}, id=1)])
        before = find.kept_filter.cache_info().currsize
        large = ["x" * 5_000, 1]
        assert store.find("c", "contains($args.l, n)", args={"l": large}).documents
        assert find.kept_filter.cache_info().currsize == before
        assert store.find("c", "contains($args.l, n)", args={"l": ["this one is small", 1]}).documents
        assert find.kept_filter.cache_info().currsize == min(before + 1, QUERY_CACHE_MAX)


# --- cursors ---


def test_a_cursor_belongs_to_its_query_its_order_and_its_store(cities: Store) -> None:
    cursor = cities.find("cities", "country == 7", limit=3).cursor
    assert cursor is not None
    refused: list[dict[str, Any]] = [{"query": "country == 8"}, {"query": "country == 7", "order": ["name"]}]
    for asked in refused:
        with pytest.raises(InvalidCursor):
            cities.find("cities", cursor=cursor, **asked)
    with Store.in_memory() as other:
        other.write([Upsert("cities", {"country": 7}, id=1)])
        with pytest.raises(InvalidCursor):
            other.find("cities", "country == 7", cursor=cursor)


def test_every_altered_cursor_is_refused(cities: Store) -> None:
    cursor = cities.find("cities", "country == 7", limit=3).cursor
    assert cursor is not None
    random = Random(5)
    for _ in range(300):
        place = random.randrange(len(cursor))
        character = random.choice("ABCDxyz019-_=+/ \N{SNOWMAN}")
        altered = random.choice((cursor[:place], cursor[:place] + character + cursor[place + 1 :], cursor + character))
        if altered != cursor:
            with pytest.raises(InvalidCursor):
                cities.find("cities", "country == 7", cursor=altered)


def test_documents_that_come_behind_a_cursor_appear() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"n": number}, id=number) for number in range(0, 10, 2)])
        first = store.find("c", order=["n"], limit=2)
        store.write([Upsert("c", {"n": 1}, id=1), Upsert("c", {"n": 5}, id=5)])
        rest = store.find("c", order=["n"], cursor=first.cursor)
        assert [document.id for document in rest.documents] == [4, 5, 6, 8]


def test_a_page_that_would_sort_too_much_is_refused(cities: Store) -> None:
    with pytest.raises(LimitExceeded, match="cursor"):
        cities.find("cities", order=["even"], offset=10_000_000)


# --- distinct values and projections ---


def test_distinct_values_are_the_same_with_an_index_and_without() -> None:
    random = Random(2)
    made = documents(random)
    with stored(made, ()) as plain, stored(made, (("a",), ("b",))) as indexed:
        for path in ("a", "b"):
            for query in ("true", "a != null"):
                assert (
                    plain.distinct(COLLECTION, path, query).values == indexed.distinct(COLLECTION, path, query).values
                )
    assert plain is not indexed


def test_a_projection_shows_only_what_it_names() -> None:
    with Store.in_memory() as store:
        store.write([Upsert("c", {"a": {"b": 1, "c": 2.0}, "d": [1], "e": None}, id=1)])
        shown = store.find("c", fields=["a.b", "d", "e", "nothing.here"]).documents[0]
        assert shown.json == b'{"d":[1],"e":null,"a":{"b":1}}'
        assert store.find("c", fields=["a.c", "a"]).documents[0].json == b'{"a":{"b":1,"c":2.0}}'


def test_conflicts_are_found_by_an_index_and_resolved_by_writing() -> None:
    with Store.in_memory() as one, Store.in_memory() as other:
        one.indexes.create("c", kind="conflicts")
        one.write([Upsert("c", {"a": 0, "b": 0}, id=number) for number in range(200)])
        other.apply([entry.record for entry in one.changes()])
        one.write([Upsert("c", {"a": 1}, id=7)])
        other.write([Upsert("c", {"a": 2}, id=7), Upsert("c", {"b": 2}, id=9)])
        one.apply([entry.record for entry in other.changes()])
        for query, ids in {
            "conflicted()": [7],
            "conflicted(a)": [7],
            "conflicted(b)": [],
            "!conflicted(a)": None,
        }.items():
            found = one.find("c", query)
            if ids is not None:
                assert [document.id for document in found.documents] == ids
                assert one.explain("c", query)["access"] == "index"
        one.write([Upsert("c", {"a": 3}, id=7)])
        assert one.find("c", "conflicted()").documents == ()
