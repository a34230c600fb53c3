"""Indexes and system parameters by statements: made, waited for, dropped, set, shown, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.errors import (
    CallerError,
    IndexExists,
    InvalidIndex,
    InvalidQuery,
    InvalidValue,
    LimitExceeded,
    StatementTimeout,
    StoreReadOnly,
    UnknownIndex,
    VersionNotAvailable,
)
from crdtstore.limits import INDEX_PATHS_MAX, INDEXES_MAX
from crdtstore.query.dql.profile import Profile
from crdtstore.statement.system_parameters import SYSTEM_PARAMETERS
from crdtstore.storage import index_build

DOCUMENTS = 25
CREATE = "CREATE INDEX by_name ON cities (name)"
SELECT = "SELECT _id FROM cities WHERE name = 'city 7'"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 10)
    monkeypatch.setattr(index_build, "INDEX_DROP_ENTRIES", 10)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory(clock=lambda: 1) as opened:
        opened.write([Upsert("cities", {"name": f"city {n}", "area": {"zone": n}}, id=n) for n in range(DOCUMENTS)])
        yield opened


def settle(store: Store) -> None:
    """Wait for what goes on in the background."""
    while (thread := store.indexes.thread) is not None:
        thread.join()


# --- indexes ---


def test_an_index_is_made_and_its_row_answered(store: Store) -> None:
    made = store.execute("CREATE INDEX by_zone ON cities (area.zone, name)")
    shown = store.execute("SELECT * FROM system:indexes")
    assert made.items == shown.items
    assert (made.items[0]["state"], made.items[0]["fields"], made.warnings) == ("ready", ["area.zone", "name"], ())
    assert store.indexes.find("by_zone").paths == (("area", "zone"), ("name",))


def test_an_index_changes_no_answer(store: Store) -> None:
    before = store.execute(SELECT).items
    store.execute(CREATE)
    during = store.execute(SELECT).items
    store.execute("DROP INDEX by_name ON cities")
    assert before == during == store.execute(SELECT).items == [{"_id": 7}]
    assert store.execute("SELECT * FROM system:indexes").items == []


def test_what_is_not_ready_in_time_is_built_in_the_background(store: Store) -> None:
    made = store.execute(CREATE, seconds=0.0)
    assert made.items[0]["collection"] == "cities"
    settle(store)
    assert store.execute("SELECT state FROM system:indexes").items == [{"state": "ready"}]


def test_an_index_that_is_being_built_is_said_to_be(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.indexes, "start", lambda: None)
    made = store.execute(CREATE, seconds=0.0)
    assert (made.items[0]["state"], made.items[0]["documents"], made.items[0]["documents_total"]) == ("building", 0, 25)
    assert made.warnings == ("Index 'by_name' is being built in the background: 0 of 25 documents.",)
    assert store.execute(SELECT).items == [{"_id": 7}]
    again = store.execute("CREATE INDEX IF NOT EXISTS by_name ON cities (name)")
    assert (again.items[0]["state"], again.warnings) == ("ready", ())


def test_what_is_dropped_is_gone_at_once_and_removed_in_the_background(store: Store) -> None:
    store.execute(CREATE)
    dropped = store.execute("DROP INDEX by_name ON cities", seconds=0.0)
    assert (dropped.items, dropped.mutated) == ([], ())
    with pytest.raises(UnknownIndex):
        store.execute("DROP INDEX by_name ON cities")
    settle(store)
    assert store.execute("SELECT * FROM system:indexes").items == []


def test_an_index_that_exists_is_left_alone_if_asked_so(store: Store) -> None:
    store.execute(CREATE)
    for text, error in ((CREATE, IndexExists), ("CREATE INDEX other ON cities (name)", IndexExists)):
        with pytest.raises(error):
            store.execute(text)
    same = store.execute("CREATE INDEX IF NOT EXISTS by_name ON cities (name)")
    other = store.execute("CREATE INDEX IF NOT EXISTS by_name ON cities (area)")
    assert same.items == other.items == store.execute("SELECT * FROM system:indexes").items
    assert (same.warnings, other.warnings) == ((), ("Index 'by_name' is there already, with other paths.",))
    with pytest.raises(IndexExists, match="'by_name'"):
        store.execute("CREATE INDEX IF NOT EXISTS other ON cities (name)")


def test_an_index_that_does_not_exist_is_not_dropped(store: Store) -> None:
    with pytest.raises(UnknownIndex, match="'by_name' in collection 'cities'"):
        store.execute("DROP INDEX by_name ON cities")
    assert store.execute("DROP INDEX IF EXISTS by_name ON cities").items == []
    store.execute(CREATE)
    assert store.execute("DROP INDEX IF EXISTS by_name ON rivers").items == []
    assert len(store.indexes.list()) == 1


def test_several_at_once_make_one(store: Store) -> None:
    """All of them are answered as if theirs had been the one."""
    states: list[str] = []

    def make() -> None:
        states.append(store.execute("CREATE INDEX IF NOT EXISTS by_name ON cities (name)").items[0]["state"])

    threads = [Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == ["ready"] * 6
    assert len(store.indexes.list()) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("CREATE INDEX i ON cities (name, name)", InvalidIndex),
        (f"CREATE INDEX i ON cities ({', '.join(f'f{n}' for n in range(INDEX_PATHS_MAX + 1))})", LimitExceeded),
        ("CREATE INDEX i ON __own (name)", InvalidQuery),
        ("CREATE INDEX `` ON cities (name)", CallerError),
    ],
)
def test_what_no_index_may_be_is_refused(store: Store, text: str, error: type[CallerError]) -> None:
    with pytest.raises(error):
        store.execute(text)
    assert store.indexes.list() == ()


def test_indexes_are_bounded(store: Store) -> None:
    for number in range(INDEXES_MAX):
        store.execute(f"CREATE INDEX i{number} ON new (f{number})")
    with pytest.raises(LimitExceeded):
        store.execute("CREATE INDEX more ON new (more)")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("SHOW unheard_of", (1, 6)),
        ("ALTER SYSTEM SET\n  unheard_of = 1", (2, 3)),
        ("SELECT *\nFROM system:unheard_of", (2, 13)),
        ("DROP INDEX `not there` ON cities", (1, 12)),
        ("INSERT INTO __own DOCUMENTS ({})", (1, 13)),
        ("EXPLAIN SELECT * FROM cities USE INDEX unheard_of", (1, 40)),
    ],
)
def test_errors_show_where_it_stands(store: Store, text: str, place: tuple[int, int]) -> None:
    with pytest.raises(CallerError) as caught:
        store.execute(text)
    assert (caught.value.data["line"], caught.value.data["column"]) == place
    assert str(caught.value).endswith(f"line {place[0]}, column {place[1]}.")


def test_a_definition_is_part_of_no_transaction(store: Store) -> None:
    for text in (CREATE, "DROP INDEX by_name ON cities", "ALTER SYSTEM SET DQL_STRICT_MODE = true"):
        with pytest.raises(InvalidQuery):
            store.execute_together(["INSERT INTO cities DOCUMENTS ({'_id': 99})", text])
    assert store.execute("SELECT * FROM cities WHERE _id = 99").items == []


def test_a_transaction_that_is_not_applied_is_not_waited_for(store: Store) -> None:
    with pytest.raises(VersionNotAvailable):
        store.execute(CREATE, after=2)
    assert store.execute(CREATE, after=1).txn == 1


def test_statements_run_while_indexes_come_and_go(store: Store) -> None:
    """Each finds what it would find without; kept statements and their plans too."""
    wrong: list[object] = []
    done: list[bool] = []

    def look() -> None:
        runs = 0
        while not done or runs < 20:
            runs += 1
            for n in (3, 7):
                found = store.execute("SELECT _id FROM cities WHERE name = :name", {"name": f"city {n}"}).items
                if found != [{"_id": n}]:
                    wrong.append(found)

    threads = [Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for turn in range(15):
        store.execute(CREATE if turn % 2 else "CREATE INDEX by_name ON cities (name, area.zone)", seconds=0.0)
        store.execute("DROP INDEX by_name ON cities", seconds=0.0)
    done.append(True)
    for thread in threads:
        thread.join()
    settle(store)
    assert wrong == []


def test_writing_statements_of_one_group_see_indexes_as_they_are(store: Store) -> None:
    """An index that this group made, dropped or wrote to is not yet so among the rows of its batch."""
    store.execute(CREATE)
    store.execute("INSERT INTO cities DOCUMENTS ({'_id': 90, 'name': 'city 7'})")
    found = store.execute_together([SELECT, "INSERT INTO cities DOCUMENTS ({'_id': 91})", SELECT])
    assert [len(each.items) for each in found] == [2, 0, 2]


# --- system parameters ---


@pytest.mark.parametrize("name", SYSTEM_PARAMETERS)
@pytest.mark.parametrize("profile", ["v4", "v5"])
def test_a_parameter_is_shown_as_it_was_set(store: Store, name: str, profile: Profile) -> None:
    parameter = SYSTEM_PARAMETERS[name]
    default = store.execute(f"SHOW {name}", profile=profile).items
    for value in (parameter.least, parameter.greatest) if parameter.type != "boolean" else (False, True):
        store.execute(f"ALTER SYSTEM SET {name.lower()} = :value", {"value": value})
        assert store.execute(f"SHOW {name.lower()}", profile=profile).items == [{name: value}]
    store.execute(f"ALTER SYSTEM SET {name} = null")
    assert store.execute(f"SHOW {name}", profile=profile).items == default
    assert default == [{name: profile == "v4" if parameter.default is None else parameter.default}]


@pytest.mark.parametrize("name", SYSTEM_PARAMETERS)
def test_a_parameter_takes_nothing_else(store: Store, name: str) -> None:
    parameter = SYSTEM_PARAMETERS[name]
    refused: list[Any] = ["true", 0, -1, [1], {}, b"", "x"]
    refused += [0.5] if parameter.type == "integer" else [parameter.greatest + 1]
    for value in refused:
        with pytest.raises(InvalidValue, match=name):
            store.execute(f"ALTER SYSTEM SET {name} = :value", {"value": value})
    before = store.execute(f"SHOW {name}").items
    with pytest.raises(InvalidQuery):
        store.execute(f"ALTER SYSTEM SET {name} = other")
    assert store.execute(f"SHOW {name}").items == before


def test_a_parameter_that_there_is_not_is_refused_with_those_that_there_are(store: Store) -> None:
    for text in ("SHOW unheard_of", "ALTER SYSTEM SET unheard_of = 1", "SHOW dql.strict"):
        with pytest.raises(InvalidQuery) as caught:
            store.execute(text)
        assert caught.value.data["known"] == list(SYSTEM_PARAMETERS)
        assert all(name in caught.value.message for name in SYSTEM_PARAMETERS)


def test_parameters_bound_every_statement_that_says_nothing_else(store: Store) -> None:
    store.execute("ALTER SYSTEM SET STATEMENT_EXAMINED_MAX = 10")
    with pytest.raises(LimitExceeded, match="10 documents"):
        store.execute("SELECT * FROM cities")
    store.execute("ALTER SYSTEM SET STATEMENT_EXAMINED_MAX = null")
    assert len(store.execute("SELECT * FROM cities").items) == DOCUMENTS
    with pytest.raises(StatementTimeout):
        store.execute("SELECT * FROM cities", seconds=-1.0)


def test_strictness_is_the_stores_unless_a_caller_says_more(store: Store) -> None:
    """A profile that names a version only; what is kept of a statement's text is of one strictness."""
    change, look = "UPDATE cities SET area.zone = 1 WHERE _id = 1", "SELECT area FROM cities WHERE _id = 1"
    assert store.execute(look).items == [{"area": {"zone": 1}}]
    store.execute("ALTER SYSTEM SET DQL_STRICT_MODE = true")
    assert store.execute(look).items == [{}]
    assert store.execute(look, profile="v4-lenient").items == [{"area": {"zone": 1}}]
    with pytest.raises(CallerError, match="REGISTER"):
        store.execute(change)
    with store.stream(look) as rows:
        assert list(rows) == [b"{}"]
    store.execute("ALTER SYSTEM SET DQL_STRICT_MODE = false")
    assert store.execute(look, profile="v4").items == [{"area": {"zone": 1}}]
    assert store.execute(look, profile="v5-strict").items == [{}]
    assert store.execute(change).mutated == (1,)


def test_parameters_outlive_the_process_that_set_them(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        store.execute("ALTER SYSTEM SET STATEMENT_SECONDS = 2.5")
    with Store.open(tmp_path / "store") as store:
        assert store.execute("SHOW STATEMENT_SECONDS").items == [{"STATEMENT_SECONDS": 2.5}]
        assert store.applied == 0, "it is no transaction"


def test_a_read_only_store_shows_and_refuses(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        store.execute("ALTER SYSTEM SET DQL_STRICT_MODE = true")
        store.execute(CREATE)
    with Store.open(tmp_path / "store", read_only=True) as store:
        assert store.execute("SHOW DQL_STRICT_MODE").items == [{"DQL_STRICT_MODE": True}]
        assert store.execute("SELECT _id FROM system:indexes").items == [{"_id": "by_name"}]
        for text in (CREATE, "DROP INDEX by_name ON cities", "ALTER SYSTEM SET STATEMENT_SECONDS = 1"):
            with pytest.raises(StoreReadOnly, match="read-only"):
                store.execute(text)
