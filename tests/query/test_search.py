"""Searching: what is counted, printed and kept is what a naive search of all documents gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cmp_to_key, partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import limits
from crdtstore.command.command import Upsert
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import Corrupted, LimitExceeded, StoreClosed
from crdtstore.query import search
from crdtstore.query import source as reading
from crdtstore.query.order import (
    DQL_ORDER,
    LEGACY_ORDER,
    PLATFORM_ORDER,
    RQL_ORDER,
    Order,
    OrderKey,
    sort_key,
)
from crdtstore.query.relation import TYPES, is_less
from crdtstore.query.search import search_count, search_json, search_range_json, search_rows, search_top
from crdtstore.query.source import Examined, Source
from crdtstore.query.tree import MISSING, TYPE_NAMES
from crdtstore.storage.documents import Row, id_key
from tests.query.searching import (
    DOCUMENTS,
    ENTRIES,
    RANKS,
    VALUES,
    World,
    conditions,
    entry,
    index_range,
    open_world,
    orders,
    sources,
)
from tests.query.strategies import values

KINDS = ("memory", "lmdb")


@pytest.fixture(params=KINDS, scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    store, made = open_world(request.param, tmp_path_factory.mktemp("search"))
    with store:
        yield made


def shown(world: World, rows: list[Row]) -> list[tuple[bytes, bytes]]:
    """What a search gives of documents."""
    return [(row.id, world.printed(row)) for row in rows]


# --- sources and filters ---


def test_every_source_gives_its_documents(world: World) -> None:
    for name, (source, rows) in sources(world).items():
        found, examined = search_json(world.snapshot, world.catalog, world.collection, source, None, 0, 10_000)
        assert found == shown(world, rows), name
        assert examined.rows == len(rows), name
        assert (examined.entries >= examined.rows) is (source.table == ENTRIES or not rows), name


def test_filters_choose(world: World) -> None:
    wanted = conditions(1, 12)
    for (source, rows), condition in product(sources(world).values(), wanted):
        given_to = (world.snapshot, world.catalog, world.collection, source, condition)
        matching = world.matches(rows, condition)
        assert search_json(*given_to, 0, 10_000)[0] == shown(world, matching)
        assert search_count(*given_to)[0] == len(matching)
        assert list(search_rows(*given_to)) == matching
    assert len({len(world.matches(world.rows(), condition)) for condition in wanted}) > 4


@pytest.mark.parametrize(("skip", "limit"), [(0, 0), (0, 1), (1, 1), (7, 200), (100, 1_000), (10_000, 5)])
def test_a_page_is_cut_out(world: World, skip: int, limit: int) -> None:
    for (source, rows), condition in product(sources(world).values(), conditions(2, 1)):
        found, examined = search_json(world.snapshot, world.catalog, world.collection, source, condition, skip, limit)
        matching = world.matches(rows, condition)[skip : skip + limit]
        assert found == shown(world, matching)
        if limit and len(found) == limit:
            # Nothing behind the last one was looked at.
            assert rows[examined.rows - 1] == matching[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_range_is_searched_in_a_snapshot_of_its_own(kind: str, tmp_path: Path) -> None:
    store, world = open_world(kind, tmp_path)
    with store:
        find = partial(search_range_json, store.storage, world.catalog, world.collection)
        for (source, rows), condition in product(sources(world).values(), conditions(6, 3)):
            if source.repeats or source.descending or len(source.ranges) != 1:
                continue
            texts = [world.printed(row) for row in world.matches(rows, condition)]
            start, end = source.ranges[0]
            for limit in (0, 1, 130, 10_000):
                assert find(source.table, start, end, condition, limit) == texts[:limit]
        written = world.rows()[0]
        store.write([Upsert("things", {"a": "new"}, id=decode_id(written.id))])
        assert b'"a":"new"' in find(DOCUMENTS, *world.everything().ranges[0], None, 1)[0]
        source = Source(ENTRIES, ((b"\0", b"\0\0\0\x01"),))
        assert find(source.table, *source.ranges[0], None, 5) == []
    with pytest.raises(StoreClosed):
        find(DOCUMENTS, b"\0", b"\1", None, 1)


def test_a_buried_document_never_shows(world: World) -> None:
    whole = world.everything()
    stored = sum(1 for _ in world.snapshot.scan(whole.table, *whole.ranges[0]))
    count, examined = search_count(world.snapshot, world.catalog, world.collection, whole, None)
    assert count == examined.rows == world.collection.living < stored


# --- orders ---


def naive_order(order: Order, world: World) -> Callable[[Row, Row], int]:
    """The order of two documents, by its definition."""

    def compare(one: Row, other: Row) -> int:
        left, right = world.lookup(one), world.lookup(other)
        for path, descending in order.keys:
            found = compare_values(left(path), right(path), order.ranks)
            if found:
                return -found if descending else found
        return (id_key(one.id) > id_key(other.id)) - (id_key(one.id) < id_key(other.id))

    return compare


def compare_values(left: Any, right: Any, ranks: bytes) -> int:
    """The order of two values: by the ranks of their types, then within the type."""
    first, second = (ranks[TYPE_NAMES.index(TYPES[value.__class__])] for value in (left, right))
    if first != second:
        return -1 if first < second else 1
    return compare_alike(left, right)


def compare_alike(left: Any, right: Any) -> int:
    """The order of two values of one type; inside arrays types stand as in the legacy language."""
    if isinstance(left, list):
        pairs_of = [compare_values(one, other, LEGACY_ORDER) for one, other in zip(left, right, strict=False)]
        return next(filter(None, pairs_of), (len(left) > len(right)) - (len(left) < len(right)))
    if isinstance(left, dict) or left is None or left is MISSING:
        return 0
    return is_less(right, left, dates=False) - is_less(left, right, dates=False)


def test_the_top_is_the_beginning_of_the_order(world: World) -> None:
    wanted = conditions(3, 2)
    for order in orders(1, 6):
        long = long_ids(world, order)
        rows = sorted(world.rows(), key=cmp_to_key(naive_order(order, world)))
        for condition, keep in product(wanted, (1, 7, 1_000)):
            found, matched, _ = search_top(
                world.snapshot, world.catalog, world.collection, world.everything(), condition, order, keep
            )
            matching = [row for row in world.matches(rows, condition) if row.id not in long]
            assert matched == len(world.matches(rows, condition))
            kept = [(id_, text) for _, id_, text in found if id_ not in long]
            assert kept == shown(world, matching)[: len(kept)]
            assert len(found) == min(keep, matched)
            assert [key for key, _, _ in found] == sorted(key for key, _, _ in found)


def long_ids(world: World, order: Order) -> set[bytes]:
    """The documents whose sort keys hold less of a value than there is."""
    rows = [(row.id, [world.lookup(row)(key.path) for key in order.keys]) for row in world.rows()]
    size = limits.SORT_KEY_BYTES_MAX - 2
    return {
        id_ for id_, shown_values in rows if any(isinstance(each, str) and len(each) > size for each in shown_values)
    }


def test_texts_alike_as_far_as_a_key_goes_come_by_id(world: World) -> None:
    order = Order((OrderKey(("a",), descending=True),), LEGACY_ORDER)
    found, _, _ = search_top(world.snapshot, world.catalog, world.collection, world.everything(), None, order, 1_000)
    alike = long_ids(world, order)
    long = [id_ for _, id_, _ in found if id_ in alike]
    assert len(long) > 10
    assert [id_key(id_) for id_ in long] == sorted(id_key(id_) for id_ in long)


def test_after_gives_exactly_the_rest(world: World) -> None:
    for order in orders(2, 3):
        top = partial(search_top, world.snapshot, world.catalog, world.collection, world.everything(), None, order)
        found, matched, _ = top(1_000)
        for number in range(0, len(found), 23):
            rest, rest_matched, _ = top(30, after=found[number][0])
            assert rest == found[number + 1 : number + 31]
            assert rest_matched == matched


@given(st.lists(values, min_size=2, max_size=2), st.sampled_from(RANKS), st.sampled_from((1, -1)))
def test_sort_keys_stand_as_values_do(two: list[Any], ranks: bytes, direction: int) -> None:
    order = Order((OrderKey(("a",), descending=direction < 0),), ranks)
    keys = [sort_key(order, lambda _, value=value: value, b"id") for value in two]  # type: ignore[arg-type]
    expected = compare_values(two[0], two[1], ranks)
    assert (keys[0] > keys[1]) - (keys[0] < keys[1]) == direction * expected


def test_ranks_are_those_of_the_languages() -> None:
    assert tuple(TYPE_NAMES) == ("missing", "null", "boolean", "number", "string", "binary", "array", "object")
    assert bytes(range(8)) == LEGACY_ORDER
    assert [RQL_ORDER[TYPE_NAMES.index(name)] for name in ("missing", "null")] == [0, 0]
    rising = {
        RQL_ORDER: ["null", "number", "string", "binary", "object", "array", "boolean"],
        PLATFORM_ORDER: ["null", "number", "string", "boolean", "binary", "array", "object"],
        DQL_ORDER: ["boolean", "number", "binary", "string", "array", "object", "null", "missing"],
    }
    for ranks, names in rising.items():
        assert sorted(names, key=lambda name: ranks[TYPE_NAMES.index(name)]) == names


# --- what must not be ---


@pytest.mark.parametrize("kind", KINDS)
def test_an_entry_that_leads_nowhere_is_damage(kind: str, tmp_path: Path) -> None:
    store, world = open_world(kind, tmp_path, count=8)
    buried = next(row for row in world.snapshot.scan(1, world.collection.prefix) if row[0][4:] not in ids_of(world))
    with store:
        for number, key in enumerate([b"\x20nobody", b"\x20" + b"n" * 70, buried[0][4:]], 5):
            with store.storage.batch() as batch:
                batch.put(ENTRIES, *entry(number, number - 1, b"\0", key))
                batch.commit()
            with store.storage.snapshot() as snapshot, pytest.raises(Corrupted) as caught:
                search_count(snapshot, world.catalog, world.collection, Source(ENTRIES, index_range(number)), None)
            assert (caught.value.table, caught.value.key) == ("documents", world.collection.prefix + key)


def ids_of(world: World) -> set[bytes]:
    """The id keys of the living documents."""
    return {id_key(row.id) for row in world.rows()}


@pytest.mark.parametrize(
    ("rest", "value"),
    [(b"", b"\x01"), (b"ab", b""), (b"ab", b"\x03"), (b"ab", b"\x01x"), (b"a" * 16, b"\0"), (b"a" * 15, b"\0x")],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_entry_is_damage(kind: str, rest: bytes, value: bytes, tmp_path: Path) -> None:
    store, world = open_world(kind, tmp_path, count=8)
    with store:
        with store.storage.batch() as batch:
            batch.put(ENTRIES, b"\0\0\0\x05\x04" + rest, value)
            batch.commit()
        for descending in (False, True):
            source = Source(ENTRIES, index_range(5), descending=descending)
            with store.storage.snapshot() as snapshot, pytest.raises(Corrupted, match="no index entry"):
                search_count(snapshot, world.catalog, world.collection, source, None)


def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SEARCH_REPEATS_MAX", 20)
    source = Source(ENTRIES, index_range(2), repeats=True)
    with pytest.raises(LimitExceeded) as caught:
        search_count(world.snapshot, world.catalog, world.collection, source, None)
    assert caught.value.data["limit"] == "SEARCH_REPEATS_MAX"
    assert search_count(world.snapshot, world.catalog, world.collection, source._replace(repeats=False), None) > (
        20,
        Examined(0, 0),
    )


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The plain twins, whatever the snapshot."""
    monkeypatch.setattr(search, "is_compiled", lambda _: False)
    return monkeypatch


def test_the_harness_finds_a_search_that_shows_graves(world: World, plain: pytest.MonkeyPatch) -> None:
    plain.setattr(reading, "is_grave", lambda _: False)
    with pytest.raises(AssertionError):
        test_every_source_gives_its_documents(world)


def test_the_harness_finds_an_order_without_ranks(world: World, plain: pytest.MonkeyPatch) -> None:
    def without_ranks(order: Order, lookup: Any, key: bytes) -> bytes:
        return sort_key(order._replace(ranks=bytes(8)), lookup, key)

    plain.setattr(search, "sort_key", without_ranks)
    with pytest.raises(AssertionError):
        test_the_top_is_the_beginning_of_the_order(world)


def test_the_worlds_hold_what_they_must(world: World) -> None:
    assert len(world.rows()) > 300
    found = {world.lookup(row)(("a",)).__class__ for row in world.rows()}
    assert len(found) == len(TYPES)
    assert {value.__class__ for value in VALUES} < found
    assert any(len(row.id) > 480 for row in world.rows())
    assert any(world.lookup(row).conflicted(()) for row in world.rows())
