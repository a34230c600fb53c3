"""ADVISE: what it advises is used once it is there and makes the statement cheaper; it never advises in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Store, Upsert
from crdtstore.errors import InvalidQuery
from crdtstore.limits import INDEX_PATHS_MAX
from crdtstore.statement import advise

DOCUMENTS = 1_000

HELPED = {
    "SELECT * FROM cities WHERE name = 'city 7'": ["name"],
    "SELECT * FROM cities WHERE people > 990": ["people"],
    "SELECT * FROM cities c WHERE c.people BETWEEN 5 AND 9 AND char_length(c.name) > 2": ["people"],
    "SELECT * FROM cities WHERE half = 1 AND land = 'land 3' AND people > 900": ["half", "land", "people"],
    "SELECT * FROM cities WHERE name IN ('city 1', 'city 2')": ["name"],
    "SELECT * FROM cities WHERE address.zone = 17": ["address.zone"],
    "UPDATE cities SET a = 1 WHERE name = 'city 7'": ["name"],
    "DELETE FROM cities WHERE people < 5": ["people"],
    "INSERT INTO towns SELECT * FROM cities WHERE name = 'city 7'": ["name"],
    "SELECT COUNT(*) FROM cities WHERE name = 'city 7'": ["name"],
    "SELECT * FROM cities ORDER BY people DESC LIMIT 5": ["people"],
    "SELECT name FROM cities WHERE half = 1 ORDER BY people LIMIT 5": ["half", "people"],
}
NOT_HELPED = (
    "SELECT * FROM cities",
    "SELECT * FROM cities WHERE half = 1",
    "SELECT * FROM cities WHERE people > 1",
    "SELECT * FROM cities WHERE _id = 7",
    "SELECT * FROM cities WHERE char_length(name) > 2",
    "SELECT * FROM cities WHERE name != 'city 7'",
    "SELECT * FROM cities WHERE 'tag 9' IN tags",
    "SELECT * FROM unheard_of WHERE a = 1",
    "SELECT * FROM system:indexes WHERE state = 'ready'",
    "INSERT INTO cities DOCUMENTS ({'a': 1})",
    "CREATE INDEX i ON cities (name)",
    "SHOW DQL_STRICT_MODE",
    "SELECT * FROM cities c JOIN lands l ON c.land = l._id",
)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("advise") / "store", clock=lambda: 1) as store:
        store.write([Upsert("cities", place(n), id=n) for n in range(DOCUMENTS)])
        store.write([Upsert("lands", {"name": f"land {n}"}, id=n) for n in range(50)])
        yield store


def place(n: int) -> dict[str, Any]:
    """A document whose fields tell it apart more or less well."""
    return {
        "name": f"city {n}",
        "people": n,
        "half": n % 2,
        "land": f"land {n % 50}",
        "address": {"zone": n},
        "tags": [f"tag {n}"],
    }


@pytest.fixture
def store(full: Store) -> Iterator[Store]:
    yield full
    for state in full.indexes.list():
        full.indexes.drop(state.name, collection=state.collection)


def advised(store: Store, text: str) -> list[dict[str, Any]]:
    """What is advised for a statement."""
    return store.execute(f"ADVISE {text}").items


@pytest.mark.parametrize("text", HELPED)
def test_what_is_advised_is_used(store: Store, text: str) -> None:
    before = store.execute(f"EXPLAIN {text}").items[0]
    (advice,) = advised(store, text)
    assert (advice["collection"], advice["cost"]) == ("cities", before["cost"])
    made = store.execute(advice["statement"]).items[0]
    after = store.execute(f"EXPLAIN {text}").items[0]
    assert (after["access"], after["index"]) == ("index", made["_id"])
    assert after["cost"] <= before["cost"] * advise.WORTH
    assert advised(store, text) == []


@pytest.mark.parametrize("text", HELPED)
def test_it_is_of_the_paths_that_tell_documents_apart(store: Store, text: str) -> None:
    (advice,) = advised(store, text)
    made = store.execute(advice["statement"]).items[0]
    assert set(made["fields"]) <= set(HELPED[text])


@pytest.mark.parametrize("text", NOT_HELPED)
def test_what_no_index_helps_is_advised_none(store: Store, text: str) -> None:
    assert advised(store, text) == []


def test_a_join_that_is_refused_is_advised_what_it_lacks(store: Store) -> None:
    text = "SELECT c.name FROM cities c JOIN lands l ON c.land = l.name WHERE c.name = 'city 7'"
    with pytest.raises(InvalidQuery, match="ADVISE"):
        store.execute(text)
    rows = advised(store, text)
    assert [row["collection"] for row in rows] == ["cities", "lands"]
    assert rows[1] == {
        "statement": "CREATE INDEX lands_name ON lands (name)",
        "collection": "lands",
        "reason": "Without it the join is refused.",
    }
    for row in rows:
        store.execute(row["statement"])
    assert store.execute(text).items == [{"name": "city 7"}]
    assert advised(store, text) == []


def test_a_join_that_no_index_helps_is_refused(store: Store) -> None:
    with pytest.raises(InvalidQuery):
        advised(store, "SELECT * FROM cities c JOIN lands l ON c.land > l.name")


def test_names_that_are_taken_are_not_advised(store: Store) -> None:
    store.execute("CREATE INDEX cities_name ON cities (people)")
    (advice,) = advised(store, "SELECT * FROM cities WHERE name = 'city 7'")
    assert advice["statement"] == "CREATE INDEX cities_name_2 ON cities (name)"


def test_names_are_written_so_that_they_can_be_read(store: Store) -> None:
    store.write([Upsert("two words", {"a-b": n}, id=n) for n in range(100)])
    (advice,) = advised(store, "SELECT * FROM `two words` WHERE `a-b` = 7")
    assert advice["statement"] == "CREATE INDEX two_words_a_b ON `two words` (`a-b`)"
    store.execute(advice["statement"])


PATHS = ("name", "people", "half", "land", "address.zone", "tags")
PARTS = st.one_of(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(["=", "<", ">"]), st.integers(-1, DOCUMENTS)),
    st.tuples(st.sampled_from(("name", "land")), st.sampled_from(["=", "<", ">"]), st.integers(-1, DOCUMENTS)),
)


@settings(max_examples=30)
@given(st.lists(PARTS, min_size=1, max_size=INDEX_PATHS_MAX + 2), st.sampled_from([" AND ", " OR "]))
def test_no_advice_is_in_vain(full: Store, parts: list[tuple[str, str, int]], word: str) -> None:
    written = [f"{path} {sign} {value_of(path, n)}" for path, sign, n in parts]
    text = f"SELECT _id FROM cities WHERE {word.join(written)}"
    rows = full.execute(text).items
    for advice in advised(full, text):
        made = full.execute(advice["statement"]).items[0]["_id"]
        assert full.execute(f"EXPLAIN {text}").items[0]["index"] == made
        found = full.execute(text).items
        full.execute(f"DROP INDEX {made} ON cities")
        assert sorted(row["_id"] for row in found) == sorted(row["_id"] for row in rows)


def value_of(path: str, n: int) -> str:
    """A value as it stands at a path."""
    return f"'{ {'name': 'city', 'land': 'land'}[path] } {n}'" if path in ("name", "land") else str(n)


def test_the_sample_stands_for_the_rest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advise, "ADVISE_DOCUMENTS_MAX", 100)
    for text in ("SELECT * FROM cities WHERE name = 'city 7'", "SELECT * FROM cities WHERE land = 'land 3'"):
        (advice,) = advised(store, text)
        store.execute(advice["statement"])
        assert store.execute(f"EXPLAIN {text}").items[0]["access"] == "index"


def test_an_empty_collection_needs_none(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        store.execute("CREATE INDEX i ON empty (a)")
        assert advised(store, "SELECT * FROM empty WHERE b = 1") == []
