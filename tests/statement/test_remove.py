"""DELETE takes away what its condition matches, TOMBSTONE buries it, EVICT is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.errors import DocumentBuried, InvalidQuery, LimitExceeded
from crdtstore.statement import targets
from tests.statement.scene import make_store, refused, rows

if TYPE_CHECKING:
    from crdtstore import Store

NUMBERS = st.lists(st.integers(0, 4), min_size=1, max_size=6)


def with_numbers(numbers: list[int]) -> Store:
    store = make_store()
    store.execute("INSERT INTO c DOCUMENTS (:all)", {"all": [{"_id": n, "n": each} for n, each in enumerate(numbers)]})
    return store


@settings(max_examples=30)
@given(NUMBERS, st.integers(0, 4), st.sampled_from(["DELETE", "TOMBSTONE"]))
def test_what_was_deleted_is_not_selected(numbers: list[int], bound: int, verb: str) -> None:
    store = with_numbers(numbers)
    going = [{"_id": id_, "n": n} for id_, n in enumerate(numbers) if n >= bound]
    done = store.execute(f"{verb} FROM c WHERE n >= :bound RETURNING *", {"bound": bound})
    assert done.items == going
    assert done.mutated == tuple(row["_id"] for row in going)
    assert rows(store) == [{"_id": id_, "n": n} for id_, n in enumerate(numbers) if n < bound]
    assert store.execute("SELECT * FROM c WHERE n >= :bound", {"bound": bound}).items == []
    assert store.execute(f"{verb} FROM c WHERE n >= :bound", {"bound": bound}).txn == store.applied == 1 + bool(going)


@settings(max_examples=30)
@given(NUMBERS, st.integers(0, 3), st.none() | st.integers(0, 3), st.booleans())
def test_order_limit_and_offset_choose(numbers: list[int], offset: int, limit: int | None, backwards: bool) -> None:  # noqa: FBT001
    store = with_numbers(numbers)
    ordered = sorted(range(len(numbers)), key=lambda id_: (-numbers[id_] if backwards else numbers[id_], id_))
    going = ordered[offset:][:limit]
    direction = "DESC" if backwards else "ASC"
    text = f"DELETE FROM c AS d ORDER BY d.n * 2 {direction}" + (" LIMIT :limit" if limit is not None else "")
    done = store.execute(f"{text} OFFSET :offset RETURNING _id", {"limit": limit, "offset": offset})
    assert list(done.mutated) == [row["_id"] for row in done.items] == going
    assert {row["_id"] for row in rows(store)} == set(range(len(numbers))) - set(going)


def test_without_order_the_first_ids_go() -> None:
    store = with_numbers([4, 3, 2, 1])
    store.indexes.create("c", ["n"], name="n")
    assert store.execute("DELETE FROM c WHERE n < 4 LIMIT 2").mutated == (1, 2)


def test_ids_alone_name_what_goes() -> None:
    store = with_numbers([1, 2, 3])
    assert store.execute("DELETE FROM c USE IDS 2, 0, 9").mutated == (0, 2)
    assert store.execute("TOMBSTONE FROM c USE IDS LIST :ids", {"ids": [1]}).mutated == (1,)
    assert rows(store) == []


def test_a_deleted_id_is_free_and_a_buried_one_is_used_up() -> None:
    store = with_numbers([1, 2])
    store.execute("DELETE FROM c WHERE _id = 0")
    store.execute("TOMBSTONE FROM c WHERE _id = 1")
    assert store.execute("INSERT INTO c DOCUMENTS ({'_id': 0})").mutated == (0,)
    refused(store, "INSERT INTO c DOCUMENTS ({'_id': 1})", error=DocumentBuried)
    assert store.execute("UPDATE c USE IDS 1 SET a = 1").mutated == ()


@pytest.mark.parametrize("text", ["EVICT FROM c", "EVICT FROM c USE IDS 1", "EVICT FROM nowhere WHERE FALSE"])
def test_nothing_is_evicted(text: str) -> None:
    assert refused(with_numbers([1]), text, error=InvalidQuery).data["reason"] == "evict"


@pytest.mark.parametrize("tail", ["LIMIT -1", "LIMIT 'a'", "OFFSET 1.5", "LIMIT NULL"])
def test_a_limit_is_a_number_of_documents(tail: str) -> None:
    refused(with_numbers([1]), f"DELETE FROM c {tail}", error=InvalidQuery)


def test_too_many_documents_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = with_numbers([1, 2, 3])
    monkeypatch.setattr(targets, "STATEMENT_CHANGED_MAX", 2)
    for text in ("DELETE FROM c", "DELETE FROM c ORDER BY n", "DELETE FROM c LIMIT 2 OFFSET 1"):
        assert refused(store, text, error=LimitExceeded).data["limit"] == "STATEMENT_CHANGED_MAX"
    assert store.execute("DELETE FROM c LIMIT 2").mutated == (0, 1)


def test_a_system_collection_is_not_deleted_from() -> None:
    refused(make_store(), "DELETE FROM system:indexes", error=InvalidQuery)
