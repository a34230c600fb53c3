"""Prepared queries: whatever the arguments and the indexes are, they give what `find` gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import Store, Upsert, prepared
from crdtstore.errors import InvalidValue
from crdtstore.prepared import Prepared

COLLECTION = "things"
DATE = "2022-04-29T00:55:31Z"
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 1.0, 1.5, -3, 2**53, 2**53 + 1, "", "a", "ab", DATE, "2022-04-29T02:55:31+02:00"),
    *("x" * 98, ["a"], {"a": 1}),
)
LONG = ("x" * 99, "x" * 120)
"""Where a document holds one, the index serves no look."""

QUERIES = (
    ("a == $args.a", ()),
    ("$args.a == a", ()),
    ("a == 'ab'", ()),
    ("a == :a && b == :b", ()),
    ("a == :a && b >= :low && b < :high", ("b",)),
    ("a > :low", ("a", "b")),
    ("a <= :high && a > 0", ("a", "b")),
    ("a == :a || b == :b", ()),
    ("a != :a", ()),
    ("a == :a && c == 1", ("b",)),
)
INDEXES = (("a",), ("a", "b"), ("b", "c"))
DOCUMENTS = 150
RUNS = 150


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store.in_memory() if request.param == "memory" else Store.open(tmp_path / "store") as opened:
        yield opened


def some(random: Random) -> dict[str, Any]:
    """Fields of a document."""
    values = LONG if random.random() < 0.002 else VALUES
    return {key: random.choice(values) for key in "abc" if random.random() < 0.9}


def differences(store: Store, seed: int) -> list[tuple[Any, ...]]:
    """Where running a prepared query is not finding, while documents and indexes come and go."""
    random = Random(seed)
    store.write([Upsert(COLLECTION, some(random), id=number) for number in range(DOCUMENTS)])
    ready = [(query, order, store.prepare(COLLECTION, query, order=order)) for query, order in QUERIES]
    wrong: list[tuple[Any, ...]] = []
    for _ in range(RUNS):
        change(store, random)
        query, order, one = random.choice(ready)
        args = {name: random.choice(random.choice((VALUES, VALUES, LONG))) for name in one.names}
        found = [document.json for document in store.find(COLLECTION, query, args=args, order=order).documents]
        if one.find_json(**args) != found or [each.json for each in one.find(**args).documents] != found:
            wrong.append((query, args))
    return wrong


def change(store: Store, random: Random) -> None:
    """Write a document, or make or drop an index, now and then."""
    kind = random.randrange(8)
    if kind < 3:
        store.write([Upsert(COLLECTION, some(random), id=random.randrange(DOCUMENTS))])
    elif kind == 3:
        paths = random.choice(INDEXES)
        known = {state.paths: state.name for state in store.indexes.list(COLLECTION)}
        key = tuple((path,) for path in paths)
        if key in known:
            store.indexes.drop(known[key], collection=COLLECTION)
        else:
            store.indexes.create(COLLECTION, paths)


@pytest.mark.parametrize("seed", range(4))
def test_running_is_finding(store: Store, seed: int) -> None:
    assert differences(store, seed) == []


PLANTED = {
    "dates are texts": ("parse_instant", lambda _: None),
    "a bound is the key": ("behind", lambda key: key),
    "every value has a type of its own": ("NUMBER_TAG", 0),
}


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, *PLANTED[name])

    def found(seed: int) -> bool:
        with Store.in_memory() as store:
            return differences(store, seed) != []

    assert any(map(found, range(8)))


def has_look(one: Prepared) -> bool:
    """Whether it looks into an index."""
    return one.way is not None


def test_an_index_is_taken_when_it_comes_and_left_when_it_goes() -> None:
    with Store.in_memory() as store:
        store.write([Upsert(COLLECTION, {"a": 1}, id=1)])
        one = store.prepare(COLLECTION, "a == :a")
        assert one.find_json(a=1) == [b'{"a":1}']
        assert not has_look(one)
        store.indexes.create(COLLECTION, ["a"])
        assert one.find_json(a=1) == [b'{"a":1}']
        assert has_look(one)
        store.indexes.drop("a")
        assert one.find_json(a=1) == [b'{"a":1}']
        assert not has_look(one)


@pytest.mark.parametrize("args", [{}, {"b": 1}, {"a": 1, "b": 2}, {"a": 2**63}, {"a": float("nan")}, {"a": "\ud800"}])
def test_arguments_that_do_not_fit_are_refused(args: dict[str, Any]) -> None:
    with Store.in_memory() as store:
        store.indexes.create(COLLECTION, ["a"])
        one = store.prepare(COLLECTION, "a == :a")
        with pytest.raises(InvalidValue):
            one.find_json(**args)


def test_a_collection_that_does_not_exist_is_empty() -> None:
    with Store.in_memory() as store:
        assert Prepared(store, "none", "a == :a").find_json(a=1) == []


def test_arguments_are_taken_by_their_names_alone(store: Store) -> None:
    store.write([Upsert(COLLECTION, {"a": number, "b": -number}, id=number) for number in range(3)])
    store.indexes.create(COLLECTION, ["a", "b"])
    find = store.prepare(COLLECTION, "a == $args.first && b == $args.second").find_json
    for _ in range(3):
        assert find(second=-2, first=2) == find(**{b"first".decode(): 2, b"second".decode(): -2}) == [b'{"a":2,"b":-2}']
        assert find(first=2, second=2) == []
        for wrong in ({}, {"first": 2}, {"first": 2, "third": 2}, {"first": 2, "second": 2, "third": 2}):
            with pytest.raises(InvalidValue):
                find(**wrong)
        with pytest.raises(TypeError):
            find(2, -2)
