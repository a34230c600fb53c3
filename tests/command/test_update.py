"""Update and remove: which documents, which steps, what a failed step leaves, what a command sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crdtstore.command.command import Increment, Remove, ReplaceWithCounter, Set, Update, Upsert
from crdtstore.command.result import Removed, Result, Updated
from crdtstore.crdt.record import decode_record
from crdtstore.errors import CrdtStoreError, InvalidDocument, InvalidId, LimitExceeded, QuerySyntaxError
from crdtstore.store import Store
from tests.version.stores import fresh, kept, log, now


@pytest.fixture
def store() -> Iterator[Store]:
    """Five documents with a register, a counter, a map and an array."""
    with Store.in_memory(clock=now) as made:
        value = {"n": 10, "m": {"k": 1}, "l": [1, 2], "s": "text"}
        made.write([Upsert("c", {**value, "x": id_}, id_, {"n": "counter"}) for id_ in range(5)])
        yield made


def fields(store: Store, id: Any = 1) -> Any:
    """The fields of a document; None when it does not exist."""
    document = store.get("c", id)
    return None if document is None else document.fields


def run(store: Store, *commands: Any) -> tuple[Result, ...]:
    """What a transaction's commands answered; memory and storage agree afterwards."""
    results = store.write(commands).results
    assert kept(store) == fresh(store.storage)
    return results


def ids(store: Store) -> list[Any]:
    """The documents that exist."""
    return [document.id for document in store.find("c").documents]


# --- steps ---


@pytest.mark.parametrize(
    ("steps", "path", "expected"),
    [
        ([Set("x", 7)], "x", 7),
        ([Set("x", 7), Set("x", 8)], "x", 8),
        ([Set("new.a.b", [1, {"c": None}])], "new", {"a": {"b": [1, {"c": None}]}}),
        ([Set("new", {"a": {}, "b": 1})], "new", {"a": {}, "b": 1}),
        ([Set("m.k", 2), Set("m.j", 3)], "m", {"j": 3, "k": 2}),
        ([Set("m", {"j": 3})], "m", {"j": 3, "k": 1}),
        ([Set("x")], "x", None),
        ([Set("['odd key'].b", 1)], "odd key", {"b": 1}),
        ([Increment("n")], "n", 11),
        ([Increment("n", 2), Increment("n", 2.5)], "n", 14.5),
        ([Increment("n", -20)], "n", -10),
        ([Increment("fresh", 3)], "fresh", 3),
        ([Increment("fresh.deep", 3), Increment("fresh.deep", 4)], "fresh", {"deep": 7}),
        ([ReplaceWithCounter("n")], "n", 0),
        ([ReplaceWithCounter("n", 100)], "n", 100),
        ([ReplaceWithCounter("n", 100), Increment("n", 5)], "n", 105),
        ([Increment("n", 5), ReplaceWithCounter("n", 100)], "n", 100),
        ([Increment("n", 5), ReplaceWithCounter("n", 100), Increment("n"), Increment("n")], "n", 102),
        ([ReplaceWithCounter("x", 5), Increment("x", 1)], "x", 6),
        ([Set("n", 1)], "n", 1),
        ([], "x", 1),
    ],
)
def test_steps_that_hold(store: Store, steps: list[Any], path: str, expected: Any) -> None:
    """Each sequence gives what its steps say, one after the other; the other documents stay."""
    assert run(store, Update("c", "_id == 1", steps)) == (Updated(1, 0),)
    assert fields(store)[path] == expected
    assert fields(store, 2) == {"n": 10, "m": {"k": 1}, "l": [1, 2], "s": "text", "x": 2}


@pytest.mark.parametrize(
    "steps",
    [
        [Set("x", 7), Increment("s", 1)],
        [Set("x", 7), Increment("l", 1)],
        [Set("x", 7), Increment("m", 1)],
        [Set("x", 7), Increment("x", 1)],
        [Set("x", 7), Increment("n", "1")],
        [Set("x", 7), Increment("n", None)],
        [Set("x", 7), Increment("n", True)],
        [Set("x", 7), ReplaceWithCounter("n", "1")],
        [Set("x", 7), ReplaceWithCounter("x", 1)],
        [Set("x", 7), Set("x.y", 1)],
        [Set("x.y", 1), Set("x", 7)],
        [Set("x", 7), Set("y", float("inf"))],
        [Set("x", 7), Set("y", 2**63)],
        [Increment("n", 2**63 - 1), Increment("n", 1)],
        [Increment("n", 1), Set("n", 1)],
        [Increment("fresh", 1), Increment("fresh.below", 1)],
    ],
    ids=repr,
)
def test_a_step_that_fails_leaves_its_document(store: Store, steps: list[Any]) -> None:
    """It counts as an error; nothing of the other steps is left; no transaction is made of it."""
    before = store.digest(), store.applied
    assert run(store, Update("c", "x == 1", steps)) == (Updated(0, 1),)
    assert (store.digest(), store.applied) == before


def test_each_document_on_its_own(store: Store) -> None:
    """Where the steps hold they are done, where one fails none is."""
    run(store, Upsert("c", {"v": "text"}, id=1), Upsert("c", {"v": 5}, 2, {"v": "counter"}))
    assert run(store, Update("c", "true", [Set("done", True), Increment("v", 1)])) == (Updated(4, 1),)
    assert [fields(store, id_).get("done") for id_ in range(5)] == [True, None, True, True, True]
    assert [fields(store, id_)["v"] for id_ in range(5)] == [1, "text", 6, 1, 1]


def test_a_failed_step_keeps_what_an_earlier_command_did(store: Store) -> None:
    """Only the failed command's steps are taken back, also in the record."""
    results = run(
        store,
        Update("c", "_id == 1", [Set("x", 50), Increment("n", 5)]),
        Update("c", "_id == 1", [Set("x", 60), Set("y", 1), Increment("n", 1), Increment("s", 1)]),
        Update("c", "_id == 1", [Increment("n", 1)]),
    )
    assert results == (Updated(1, 0), Updated(0, 1), Updated(1, 0))
    assert (fields(store)["x"], fields(store)["n"], "y" in fields(store)) == (50, 16, False)
    with Store.in_memory(clock=now) as other:
        other.apply(log(store))
        assert other.digest() == store.digest()


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("_id", InvalidDocument),
        ("_id.k", InvalidDocument),
        ("l[0]", InvalidDocument),
        ("m.l[1].x", InvalidDocument),
        ("", QuerySyntaxError),
        ("a..b", QuerySyntaxError),
        ("a b", QuerySyntaxError),
        ("'", QuerySyntaxError),
    ],
)
@pytest.mark.parametrize("step", [Set, Increment, ReplaceWithCounter])
def test_paths_that_cannot_be_written(store: Store, step: Any, path: str, error: type[CrdtStoreError]) -> None:
    """Refused as a whole, also where no document matches: the path is wrong for every one of them."""
    before = store.digest(), store.applied, kept(store)
    for query in ("true", "false"):
        with pytest.raises(error):
            store.write([Upsert("new", {"y": 1}, id=1), Update("c", query, [step(path, 1)])])
    assert (store.digest(), store.applied, kept(store)) == before


def test_depth_refuses_the_transaction(store: Store) -> None:
    """A passed bound is no document's own error."""
    deep: Any = 1
    for _ in range(64):
        deep = {"k": deep}
    with pytest.raises(LimitExceeded):
        store.write([Update("c", "true", [Set("a", deep)])])
    assert "a" not in fields(store)


# --- which documents ---


@pytest.mark.parametrize(
    ("query", "args", "expected"),
    [
        ("true", None, [0, 1, 2, 3, 4]),
        ("false", None, []),
        ("x > 2", None, [3, 4]),
        ("_id == 1", None, [1]),
        ("_id == 1.0", None, [1]),
        ("_id == 1 || _id == 3 || _id == 9", None, [1, 3]),
        ("_id == 1 && x == 2", None, []),
        ("_id == 9", None, []),
        ("_id == null", None, []),
        ("x == $args.x", {"x": 4}, [4]),
        ("_id == $args.id", {"id": 2}, [2]),
        ("n == 10 && m.k == 1 && l[1] == 2 && _id < 2", None, [0, 1]),
    ],
)
def test_selecting(store: Store, query: str, args: Any, expected: list[int]) -> None:
    """Update, find and remove agree about what matches, by query and by id."""
    assert [document.id for document in store.find("c", query, args=args).documents] == expected
    assert run(store, Update("c", query, [Set("hit", 1)], args)) == (Updated(len(expected), 0),)
    assert [id_ for id_ in range(5) if "hit" in fields(store, id_)] == expected
    assert run(store, Remove("c", query, args)) == (Removed(len(expected)),)
    assert ids(store) == [id_ for id_ in range(5) if id_ not in expected]
    assert run(store, Remove("c", query, args)) == (Removed(0),)


def test_a_bad_query_refuses_the_transaction(store: Store) -> None:
    """With everything before it."""
    before = store.digest()
    for command in (Update("c", "x ==", [Set("y", 1)]), Remove("c", "x == $args.none")):
        with pytest.raises(CrdtStoreError):
            store.write([Upsert("c", {"y": 1}, id=1), command])
    assert store.digest() == before


def test_removing_everything(store: Store) -> None:
    """The collection is empty then and not listed; what comes after is as new."""
    assert run(store, Remove("c", "true")) == (Removed(5),)
    assert (ids(store), store.collections(), store.stats().documents) == ([], (), 0)
    assert store.digest() == bytes(16)
    run(store, Upsert("c", {"y": 1}, id=1))
    assert fields(store) == {"y": 1}


# --- what a command sees ---


def test_commands_see_earlier_ones(store: Store) -> None:
    """Written, changed and removed documents, by query and by id; the transaction is one record."""
    results = run(
        store,
        Upsert("c", {"x": 100}, id="new"),
        Update("c", "x == 100", [Set("x", 101)]),
        Update("c", "x == 100", [Set("x", 999)]),
        Update("c", "_id == 'new'", [Increment("count", 2)]),
        Update("c", "_id == 'new' && count == 2", [Increment("count", 3)]),
        Remove("c", "_id == 0"),
        Update("c", "_id == 0 || x == 0", [Set("x", 5)]),
        Remove("c", "x == 101 || x == 1"),
        Remove("c", "true"),
        Upsert("c", {"y": 1}, id=1),
        Update("c", "true", [Set("z", 2)]),
    )
    assert results[1:-2] == (
        Updated(1, 0),
        Updated(0, 0),
        Updated(1, 0),
        Updated(1, 0),
        Removed(1),
        Updated(0, 0),
        Removed(2),
        Removed(3),
    )
    assert results[-1] == Updated(1, 0)
    assert (ids(store), fields(store)) == ([1], {"y": 1, "z": 2})
    assert store.applied == 2
    changes = decode_record(log(store)[1]).changes
    assert len(changes) == 5, "what came and went within the transaction is not in its record"


def test_a_command_does_not_see_its_own_work(store: Store) -> None:
    """Matches are taken before the first of them changes."""
    assert run(store, Update("c", "x < 3", [Set("x", 2)])) == (Updated(3, 0),)
    assert run(store, Update("c", "x == 2", [Set("x", 9)])) == (Updated(3, 0),)


def test_a_refused_command_refuses_all(store: Store) -> None:
    """Whichever of them it is."""
    before = store.digest(), kept(store)
    good = [Upsert("c", {"y": 1}, id=1), Remove("c", "_id == 2"), Update("c", "true", [Set("q", 1)])]
    for place in range(4):
        commands: list[Any] = [*good[:place], Upsert("c", {}, id=[]), *good[place:]]
        with pytest.raises(InvalidId):
            store.write(commands)
    assert (store.digest(), kept(store)) == before


def test_a_transaction_of_no_commands(store: Store) -> None:
    """It answers with the newest txn id and writes nothing."""
    assert store.write([]) == (1, (), (), ())
    assert store.applied == 1


def test_a_transaction_that_comes_back_to_where_it_was(store: Store) -> None:
    """A document that was made and removed within it leaves no record."""
    assert run(store, Upsert("c", {"x": 1}, id="gone"), Remove("c", "_id == 'gone'"))[1] == Removed(1)
    assert store.applied == 1
