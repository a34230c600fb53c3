"""EXPLAIN says what a statement does, and PROFILE what it did; neither changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.errors import CallerError, InvalidQuery, LimitExceeded, StatementTimeout, StoreReadOnly, UnknownIndex

DOCUMENTS = 300
READING = (
    "SELECT * FROM cities WHERE name = 'city 7'",
    "SELECT name FROM cities WHERE people > :least ORDER BY name DESC LIMIT 3 OFFSET 1",
    "SELECT land, COUNT(*) AS towns FROM cities WHERE char_length(name) > 6 GROUP BY land HAVING COUNT(*) > 1",
    "SELECT DISTINCT land FROM cities ORDER BY land",
    "SELECT COUNT(*) FROM cities",
    "SELECT COUNT(*) FROM cities WHERE people > :least",
    "SELECT c.name, l.name FROM cities c JOIN lands l ON c.land = l._id WHERE c.people < 9 AND l.name > 'a'",
    "SELECT * FROM cities USE IDS 1, 2, 3 WHERE people > 1",
    "SELECT * FROM unheard_of WHERE a = 1",
    "SELECT * FROM system:collections WHERE documents > 1",
)
WRITING = (
    "UPDATE cities SET people = 0, seen = true UNSET note WHERE name = 'city 7'",
    "DELETE FROM cities WHERE people > :least ORDER BY people LIMIT 2",
    "TOMBSTONE FROM cities WHERE name = 'city 8'",
    "INSERT INTO cities DOCUMENTS ({'_id': 1000}), ({'_id': 1001})",
    "INSERT INTO towns SELECT * FROM cities WHERE people < 5",
)
LEAST = {"least": DOCUMENTS - 20}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", clock=lambda: 1) as opened:
        places = [{"name": f"city {n}", "people": n, "land": f"land {n % 7}"} for n in range(DOCUMENTS)]
        opened.write([Upsert("cities", place, id=n) for n, place in enumerate(places)])
        opened.write([Upsert("lands", {"name": f"l{n}"}, id=f"land {n}") for n in range(7)])
        yield opened


def tell(store: Store, text: str) -> list[dict[str, Any]]:
    """The rows of a statement that says something of another."""
    return store.execute(text, LEAST).items


# --- explain ---


def test_the_way_that_is_told_is_the_one_that_indexes_make(store: Store) -> None:
    text = "EXPLAIN SELECT * FROM cities WHERE name = 'city 7' AND char_length(land) > 2"
    scan, shown = tell(store, text)
    assert (scan["access"], scan["filter"], scan["evaluated"]) == ("scan", "name = 'city 7'", "char_length(land) > 2")
    assert shown == {"step": "show", "columns": "*"}
    store.execute("CREATE INDEX by_name ON cities (name)")
    read = tell(store, text)[0]
    assert (read["access"], read["index"], read["bounds"]) == ("index", "by_name", [['"city 7"', '"city 7"+']])
    assert read["filter"] is None, "the entries that are read say all of it"
    assert read["cost"] < scan["cost"]
    store.execute("DROP INDEX by_name ON cities")
    assert tell(store, text) == [scan, shown]


def test_steps_stand_in_their_order(store: Store) -> None:
    text = """EXPLAIN SELECT DISTINCT land, COUNT(*) AS n FROM cities WHERE people > 3 AND 1 = people % 2 GROUP BY land
        HAVING COUNT(*) > 1 ORDER BY n DESC, land LIMIT 5 OFFSET 2"""
    rows = tell(store, text)
    assert [row["step"] for row in rows] == ["read", "group", "having", "distinct", "sort", "limit", "show"]
    by_step = {row["step"]: row for row in rows}
    assert by_step["group"] == {"step": "group", "by": ["land"], "aggregates": ["COUNT(*)"]}
    assert by_step["sort"] == {"step": "sort", "by": ["n DESC", "land"], "kept": 7}
    assert by_step["limit"] == {"step": "limit", "limit": 5, "offset": 2}


def test_what_comes_in_order_is_not_sorted(store: Store) -> None:
    """By an index of the order, for a statement that is answered as a find and for one that is not."""
    texts = (
        "SELECT * FROM cities ORDER BY people DESC LIMIT 3",
        "SELECT name FROM cities ORDER BY people DESC LIMIT 3",
        "SELECT name FROM cities WHERE char_length(name) > 6 ORDER BY people LIMIT 3 OFFSET 1",
    )
    before = [store.execute(text).items for text in texts]
    for text in texts:
        rows = tell(store, f"EXPLAIN {text}")
        assert [row["step"] for row in rows] == ["read", "sort", "limit", "show"]
        assert rows[0]["ordered"] is False
    store.execute("CREATE INDEX by_people ON cities (people)")
    for text, items in zip(texts, before, strict=True):
        rows = tell(store, f"EXPLAIN {text}")
        assert [row["step"] for row in rows] == ["read", "limit", "show"]
        assert (rows[0]["index"], rows[0]["ordered"], rows[0]["descending"]) == ("by_people", True, "DESC" in text)
        *_, total = tell(store, f"PROFILE {text}")
        assert total["examined"] < DOCUMENTS
        assert total["entries"] == total["examined"]
        assert store.execute(text).items == items


def test_a_transaction_is_sorted_in_any_case(store: Store) -> None:
    store.execute("CREATE INDEX by_people ON cities (people)")
    text = "INSERT INTO towns SELECT * FROM cities ORDER BY people LIMIT 3"
    assert [row["step"] for row in tell(store, f"EXPLAIN {text}")] == ["read", "sort", "limit", "show", "insert"]
    *steps, _ = tell(store, f"PROFILE {text}")
    assert next(row for row in steps if row["step"] == "sort")["rows"] == 3


def test_a_join_tells_how_documents_are_looked_up(store: Store) -> None:
    text = "EXPLAIN SELECT * FROM cities c JOIN lands l ON c.land = {} WHERE c.people < 9 AND l.name > c.name"
    read, join, where, _ = tell(store, text.format("l._id"))
    assert (read["collection"], read["filter"], join["access"]) == ("cities", "c.people < 9", "ids")
    assert where == {"step": "where", "condition": "l.name > c.name"}
    store.execute("CREATE INDEX by_name ON lands (name)")
    join = tell(store, text.format("l.name"))[1]
    assert (join["access"], join["index"], join["on"]) == ("index", "by_name", "c.land = l.name")


def test_what_is_counted_is_not_read(store: Store) -> None:
    assert tell(store, "EXPLAIN SELECT COUNT(*) FROM cities")[0] == {
        "step": "count",
        "collection": "cities",
        "access": "counts",
    }
    assert tell(store, "EXPLAIN SELECT COUNT(*) FROM cities WHERE people > 3")[0]["step"] == "count"
    assert tell(store, "EXPLAIN SELECT COUNT(*) FROM cities WHERE people % 2 = 1")[0]["step"] == "read"
    assert tell(store, "EXPLAIN SELECT COUNT(land) FROM cities")[0]["step"] == "read"


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("UPDATE cities SET a.b = 1 UNSET c APPLY d INCREMENT BY 1", {"paths": ["d", "a.b", "c"]}),
        ("TOMBSTONE FROM cities", {"step": "tombstone"}),
        ("INSERT INTO cities DOCUMENTS ({}), ({})", {"step": "insert", "documents": 2, "policy": "fail"}),
        ("INSERT INTO cities INITIAL DOCUMENTS ({})", {"policy": "initial"}),
        ("INSERT INTO cities SELECT * FROM lands ON ID CONFLICT DO NOTHING", {"policy": "nothing"}),
        ("CREATE INDEX i ON c (a)", {"step": "define", "statement": "CREATE INDEX i ON c (a)"}),
        ("SHOW DQL_STRICT_MODE", {"step": "define"}),
    ],
)
def test_what_comes_of_it_is_the_last_step(store: Store, text: str, step: dict[str, Any]) -> None:
    last = tell(store, f"EXPLAIN {text}")[-1]
    assert {name: last[name] for name in step} == step


@pytest.mark.parametrize("text", READING + WRITING)
@pytest.mark.parametrize("verb", ["EXPLAIN", "PROFILE", "ADVISE"])
def test_nothing_changes(store: Store, verb: str, text: str) -> None:
    before = (store.applied, store.digest(), store.collections(), store.indexes.list())
    store.execute(f"{verb} {text}", LEAST)
    assert (store.applied, store.digest(), store.collections(), store.indexes.list()) == before
    assert [entry.txn for entry in store.changes()] == [1, 2]


def test_nothing_is_read_to_explain(store: Store) -> None:
    """Whatever the statement would cost."""
    store.execute("ALTER SYSTEM SET STATEMENT_EXAMINED_MAX = 1")
    for text in READING + WRITING:
        store.execute(f"EXPLAIN {text}", LEAST)
    with pytest.raises(LimitExceeded):
        store.execute("SELECT * FROM cities WHERE people % 2 = 1")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SELECT * FROM cities WHERE a = :unheard_of", CallerError),
        ("SELECT * FROM cities USE INDEX unheard_of", UnknownIndex),
        ("SELECT * FROM cities c JOIN lands l ON c.land = l.name", InvalidQuery),
        ("UPDATE system:indexes SET a = 1", InvalidQuery),
        ("SELECT * FROM cities LIMIT 'a'", InvalidQuery),
    ],
)
def test_what_the_statement_refuses_explaining_it_refuses(store: Store, text: str, error: type[CallerError]) -> None:
    for verb in ("", "EXPLAIN", "PROFILE"):
        with pytest.raises(error):
            store.execute(f"{verb} {text}")


# --- profile ---


@pytest.mark.parametrize("text", READING)
def test_the_figures_of_a_select_are_those_of_its_rows(store: Store, text: str) -> None:
    explained = [row["step"] for row in tell(store, f"EXPLAIN {text}")]
    *steps, total = tell(store, f"PROFILE {text}")
    returned = len(tell(store, text))
    assert [row["step"] for row in steps] == explained
    assert (total["step"], total["returned"]) == ("total", returned)
    assert all(row["milliseconds"] >= 0 for row in (*steps, total) if "milliseconds" in row)
    shown = steps[-1].get("rows", returned)
    assert shown == returned


def test_the_figures_say_what_each_step_gave(store: Store) -> None:
    text = "PROFILE SELECT land, COUNT(*) FROM cities WHERE people % 2 = 1 GROUP BY land HAVING land > 'land 2'"
    rows = {row["step"]: row.get("rows") for row in tell(store, text)}
    assert rows == {"read": DOCUMENTS // 2, "group": 7, "having": 4, "show": 4, "total": None}


@pytest.mark.parametrize("text", WRITING)
def test_what_writes_is_only_tried(store: Store, text: str) -> None:
    *_, total = tell(store, f"PROFILE {text}")
    mutated = store.execute(text, LEAST).mutated
    assert total["changed"] == len(mutated) > 0


def test_what_cannot_be_written_is_not_tried_either(store: Store) -> None:
    before = store.digest()
    for text in ("INSERT INTO cities DOCUMENTS ({'_id': 1})", "UPDATE cities SET _bad = :unheard_of"):
        with pytest.raises(CallerError):
            store.execute(f"PROFILE {text}")
    for text in ("CREATE INDEX i ON cities (name)", "SHOW DQL_STRICT_MODE", "ALTER SYSTEM SET STATEMENT_SECONDS = 1"):
        with pytest.raises(InvalidQuery, match="PROFILE"):
            store.execute(f"PROFILE {text}")
    assert (store.digest(), store.indexes.list()) == (before, ())


def test_a_profile_costs_what_the_statement_may(store: Store) -> None:
    for text in ("SELECT * FROM cities WHERE people % 2 = 1", "UPDATE cities SET a = 1"):
        with pytest.raises(StatementTimeout):
            store.execute(f"PROFILE {text}", seconds=-1.0)
    assert store.requests.list() == []


def test_a_read_only_store_explains_and_profiles_reading(store: Store, tmp_path: Path) -> None:
    store.close()
    with Store.open(tmp_path / "store", read_only=True) as reader:
        for text in READING:
            reader.execute(f"PROFILE {text}", LEAST)
        for text in READING + WRITING:
            reader.execute(f"EXPLAIN {text}", LEAST)
            reader.execute(f"ADVISE {text}", LEAST)
        for text in WRITING:
            with pytest.raises(StoreReadOnly):
                reader.execute(f"PROFILE {text}", LEAST)


def test_explaining_is_part_of_no_transaction(store: Store) -> None:
    for verb in ("EXPLAIN", "PROFILE", "ADVISE"):
        with pytest.raises(InvalidQuery):
            store.execute_together([f"{verb} SELECT * FROM cities"])
