"""What is kept of a statement's text: bounded in number and in bytes, and never more than the text says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtstore import Store, Upsert
from crdtstore.limits import STATEMENT_KEPT_BYTES_MAX, STATEMENTS_KEPT_MAX
from crdtstore.statement import run

LOOK = "SELECT * FROM cities WHERE name = :name ORDER BY people LIMIT 3"


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory(clock=lambda: 1) as opened:
        opened.write([Upsert("cities", {"name": f"city {n % 40}", "people": n}, id=n) for n in range(400)])
        yield opened
    run.kept.cache_clear()
    run.ready_kept.cache_clear()


def test_a_text_is_read_once(store: Store) -> None:
    run.kept.cache_clear()
    for number in range(5):
        store.execute(LOOK, {"name": f"city {number}"})
    assert run.kept.cache_info().misses == 1


def test_long_texts_are_not_kept(store: Store) -> None:
    run.kept.cache_clear()
    run.ready_kept.cache_clear()
    long = f"{LOOK} -- {'x' * STATEMENT_KEPT_BYTES_MAX}"
    assert store.execute(long, {"name": "city 7"}).items == store.execute(LOOK, {"name": "city 7"}).items
    assert (run.kept.cache_info().currsize, run.ready_kept.cache_info().currsize) == (1, 1)


def test_so_many_are_kept(store: Store) -> None:
    for number in range(STATEMENTS_KEPT_MAX + 10):
        store.execute(f"SELECT {number} FROM system:dual")
    assert run.kept.cache_info().currsize == run.ready_kept.cache_info().currsize == STATEMENTS_KEPT_MAX


def test_an_index_makes_nothing_that_is_kept_stale(store: Store) -> None:
    """A text that was run before an index came uses it, and one that used it does without when it went."""
    expected = store.execute(LOOK, {"name": "city 7"}).items
    ways: list[str | None] = []
    for text in (
        "CREATE INDEX i ON cities (name, people)",
        "DROP INDEX i ON cities",
        "CREATE INDEX i ON cities (people)",
        "DROP INDEX i ON cities",
        "CREATE INDEX i ON cities (name)",
    ):
        store.execute(text)
        assert store.execute(LOOK, {"name": "city 7"}).items == expected
        ways.append(store.execute(f"EXPLAIN {LOOK}", {"name": "city 7"}).items[0]["access"])
    assert ways == ["index", "scan", "index", "scan", "index"]
    store.execute("INSERT INTO cities DOCUMENTS ({'_id': 1000, 'name': 'city 7', 'people': -1})")
    assert store.execute(LOOK, {"name": "city 7"}).items[0]["_id"] == 1_000


def test_other_names_make_nothing_that_is_kept_stale(store: Store) -> None:
    """A collection that comes after its statement was first run; the same text on two stores."""
    text = "SELECT * FROM rivers"
    assert store.execute(text).items == []
    store.write([Upsert("rivers", {"km": 1}, id=1)])
    with Store.in_memory(clock=lambda: 1) as other:
        other.write([Upsert("rivers", {"km": 2}, id=1)])
        assert [each.execute(text).items for each in (store, other, store)] == [
            [{"_id": 1, "km": 1}],
            [{"_id": 1, "km": 2}],
            [{"_id": 1, "km": 1}],
        ]
