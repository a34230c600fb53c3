"""What a statement did is a record: a store that applies it is equal, and concurrent statements merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import core
from crdtstore.errors import CallerError, ReplicationError
from crdtstore.storage.draft import DraftDocument
from tests.statement.scene import make_store, rows

if TYPE_CHECKING:
    from crdtstore import Store

TEMPLATES = (
    "INSERT INTO c DOCUMENTS ({'_id': :a, 'n': :b, 'm': {'x': :b}})",
    "INSERT INTO c DOCUMENTS ({'_id': :a, 'm': {'y': :b}, 'r': [:b]}) ON ID CONFLICT DO UPDATE",
    "INSERT INTO c DOCUMENTS ({'_id': :a, 'm': {'x': :b, 'y': 1}}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
    "INSERT INTO c DOCUMENTS ({'_id': :a, 'n': :b}), ({'_id': 7}) ON ID CONFLICT DO NOTHING",
    "INSERT INTO c INITIAL DOCUMENTS ({'_id': :a, 'm': {'z': :b}, 'k': 1})",
    (
        "INSERT INTO COLLECTION c (k COUNTER, o REGISTER) DOCUMENTS ({'_id': :a, 'k': :b, 'o': {'a': 1}}) "
        "ON ID CONFLICT DO UPDATE"
    ),
    "INSERT INTO c SELECT _id + 4 AS _id, m FROM c WHERE _id < 4 ON ID CONFLICT DO UPDATE",
    "UPDATE c SET n = n + :b, m.x = :b WHERE _id <= :a",
    "UPDATE c SET m = {'w': :b}, s -> default()",
    "UPDATE c SET m = :b WHERE _id = :a",
    "UPDATE c UNSET m.x, n WHERE _id >= :a",
    "UPDATE COLLECTION c (k COUNTER) APPLY k INCREMENT BY :b WHERE _id >= :a",
    "UPDATE c APPLY k RESTART WITH :b WHERE _id = :a",
    "DELETE FROM c WHERE _id = :a",
    "DELETE FROM c ORDER BY n DESC LIMIT 1",
    "TOMBSTONE FROM c USE IDS :b",
)
STATEMENTS = st.lists(
    st.tuples(st.sampled_from(TEMPLATES), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6
)


def run(store: Store, statements: list[tuple[str, int, int]]) -> None:
    """Run statements one by one; what is refused changes nothing."""
    for text, a, b in statements:
        try:
            store.execute(text, {"a": a, "b": b})
        except CallerError:
            continue


def deliver(source: Store, target: Store) -> None:
    target.apply(entry.record for entry in source.changes())


def check_copy(statements: list[tuple[str, int, int]]) -> None:
    """A store that applies the records of another that ran statements is equal to it."""
    left, right = make_store(1), make_store(2)
    run(left, statements)
    deliver(left, right)
    assert right.digest() == left.digest()
    assert rows(right) == rows(left)


@settings(max_examples=60)
@given(STATEMENTS)
def test_a_store_that_applies_the_records_is_equal(statements: list[tuple[str, int, int]]) -> None:
    check_copy(statements)


@pytest.mark.parametrize("text", ["UPDATE c SET s = :a, n = :b", "UPDATE c UNSET n", "DELETE FROM c"])
def test_a_record_that_lacks_an_operation_is_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    statements = [("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 1, 'm': {'x': 1}})", 0, 0), (text, 2, 3)]
    check_copy(statements)
    merge = DraftDocument.merge

    def forget(self: DraftDocument) -> bytes:
        after = merge(self)
        if self.before:
            self.operations = core.encode_operations(self.fold.operations()[:-1])
        return after

    monkeypatch.setattr(DraftDocument, "merge", forget)
    with pytest.raises((AssertionError, ReplicationError)):
        check_copy(statements)


@settings(max_examples=60)
@given(STATEMENTS, STATEMENTS, STATEMENTS)
def test_stores_that_exchange_are_equal(
    common: list[tuple[str, int, int]], ours: list[tuple[str, int, int]], theirs: list[tuple[str, int, int]]
) -> None:
    left, right, third = make_store(1), make_store(2), make_store(3)
    run(left, common)
    deliver(left, right)
    run(left, ours)
    run(right, theirs)
    deliver(left, third)
    deliver(right, left)
    deliver(left, right)
    deliver(right, third)
    assert left.digest() == right.digest() == third.digest()
    assert rows(left) == rows(right) == rows(third)


@settings(max_examples=20)
@given(st.lists(st.integers(-5, 5), max_size=4), st.lists(st.integers(-5, 5), max_size=4))
def test_increments_of_two_stores_add(ours: list[int], theirs: list[int]) -> None:
    left, right = make_store(1), make_store(2)
    left.execute("INSERT INTO COLLECTION c (k COUNTER) DOCUMENTS ({'_id': 1, 'k': 100})")
    deliver(left, right)
    for store, deltas in ((left, ours), (right, theirs)):
        for delta in deltas:
            store.execute("UPDATE c APPLY k INCREMENT BY :delta", {"delta": delta})
    deliver(left, right)
    deliver(right, left)
    assert rows(left) == rows(right) == [{"_id": 1, "k": 100 + sum(ours) + sum(theirs)}]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("UPDATE c SET m.x = 2", "UPDATE c SET m.y = 3", {"m": {"x": 2, "y": 3}, "n": 1}),
        ("UPDATE c SET m = {'x': 2}", "UPDATE c SET m = {'y': 3}", {"m": {"x": 2, "y": 3}, "n": 1}),
        ("UPDATE c SET n = 2", "UPDATE c SET n = 3", {"m": {"x": 1}, "n": 3}),
        ("UPDATE c UNSET n", "UPDATE c SET n = 3", {"m": {"x": 1}, "n": 3}),
        ("DELETE FROM c", "UPDATE c SET n = 3", {"n": 3}),
        ("DELETE FROM c", "INSERT INTO c INITIAL DOCUMENTS ({'_id': 1})", None),
        ("TOMBSTONE FROM c", "UPDATE c SET n = 3", None),
        ("UPDATE c UNSET m.x", "UPDATE c SET m.y = 3", {"m": {"y": 3}, "n": 1}),
        ("UPDATE c SET n = 2", "INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 1}) ON ID CONFLICT DO UPDATE_LOCAL_DIFF",
         {"m": {"x": 1}, "n": 2}),
    ],
)  # fmt: skip
def test_concurrent_statements_merge(ours: str, theirs: str, expected: dict[str, Any] | None) -> None:
    left, right = make_store(1), make_store(2)
    left.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'm': {'x': 1}, 'n': 1})")
    deliver(left, right)
    left.execute(ours)
    right.execute(theirs)
    deliver(left, right)
    deliver(right, left)
    assert left.digest() == right.digest()
    assert rows(left) == rows(right) == ([] if expected is None else [{"_id": 1, **expected}])
