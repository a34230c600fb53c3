"""System collections: rows like any others, of what the store knows of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event, Thread

import msgspec
import pytest

from crdtstore import Store, Upsert
from crdtstore.command.command import Remove
from crdtstore.crdt.actor import format_actor
from crdtstore.errors import CallerError, InvalidQuery, StatementTimeout
from crdtstore.limits import REQUEST_TEXT_CHARS_MAX
from crdtstore.query.dql.source_parser import SYSTEM_ALIASES
from crdtstore.statement import run
from crdtstore.statement.system import SYSTEM_COLLECTIONS
from crdtstore.storage.peers import Peer, put_peer

ORIGINS = (bytes(15) + b"\1", bytes(15) + b"\2")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store", clock=lambda: 1_000) as opened:
        opened.write([Upsert("cities", {"name": f"city {n}"}, id=n) for n in range(5)])
        opened.write([Upsert("rivers", {"name": "Rhine", "km": 1_230}, id="r")])
        yield opened


@pytest.mark.parametrize("name", SYSTEM_COLLECTIONS)
def test_every_row_has_the_fields_that_are_told(store: Store, name: str) -> None:
    store.execute("CREATE INDEX by_name ON cities (name)")
    store.run(lambda batch, _catalog, _head: put_peer(batch, Peer(ORIGINS[0])))
    rows = store.execute(f"SELECT * FROM system:{name}").items
    assert rows
    assert all(tuple(row) == ("_id", *SYSTEM_COLLECTIONS[name].fields) for row in rows)


def test_they_go_through_the_same_steps_as_documents(store: Store) -> None:
    names = store.execute("SELECT name FROM system:collections ORDER BY documents DESC").items
    assert names == [{"name": "cities"}, {"name": "rivers"}]
    found = store.execute("SELECT c.name FROM system:collections c WHERE c.documents > :least", {"least": 1}).items
    assert found == [{"name": "cities"}]
    assert store.execute("SELECT * FROM system:collections LIMIT 1 OFFSET 1").items[0]["_id"] == "rivers"


def test_they_can_be_named_as_collections(store: Store) -> None:
    for alias, name in SYSTEM_ALIASES.items():
        assert store.execute(f"SELECT * FROM {alias}").items == store.execute(f"SELECT * FROM system:{name}").items


def test_collections_are_counted(store: Store) -> None:
    store.execute("CREATE INDEX by_name ON cities (name)")
    store.execute("CREATE INDEX early ON lakes (name)")
    store.write([Remove("cities", "_id == 1", deletes="permanent"), Remove("rivers", "true")])
    rows = {row.pop("_id"): row for row in store.execute("SELECT * FROM system:collections").items}
    counted = {name: (row["documents"], row["buried"], row["indexes"]) for name, row in rows.items()}
    assert counted == {"cities": (4, 1, 1), "lakes": (0, 0, 1), "rivers": (0, 0, 0)}
    total = sum(int.from_bytes(bytes.fromhex(row["digest"]), "little") for row in rows.values())
    assert (total % 2**128).to_bytes(16, "little") == store.digest()


def test_peers_are_those_that_were_met(store: Store) -> None:
    def meet(batch: object, *_: object) -> None:
        put_peer(batch, Peer(ORIGINS[0], met=2_000, acknowledged=7))  # type: ignore[arg-type]
        put_peer(batch, Peer(ORIGINS[1], divergence="two histories"))  # type: ignore[arg-type]

    assert store.execute("SELECT * FROM system:data_sync_info").items == []
    store.run(meet)
    rows = store.execute("SELECT * FROM system:data_sync_info").items
    assert [row["_id"] for row in rows] == [format_actor(origin) for origin in ORIGINS]
    assert rows[0] == {**rows[0], "met": "1970-01-01T00:00:02.000Z", "acknowledged": 7, "quarantined": False}
    assert (rows[1]["quarantined"], rows[1]["divergence"]) == (True, "two histories")


def test_the_systems_row_says_what_stats_say(store: Store) -> None:
    (row,) = store.execute("SELECT * FROM system:system_info").items
    stats = store.stats().as_dict()
    assert row["_id"] == format_actor(store.origin)
    same = {name: value for name, value in row.items() if name in stats and name != "collections"}
    assert same == {name: stats[name] for name in same}
    assert (row["collections"], row["documents"]) == (2, 6)


def test_the_past_has_its_own(store: Store) -> None:
    with store.pin() as pin:
        store.write([Upsert("lakes", {"x": 1}, id=1)])
        text = "SELECT name FROM system:collections"
        assert len(store.execute(text, at=pin.txn).items) == 2
        assert len(store.execute(text).items) == 3


def test_a_transaction_reads_them_too(store: Store) -> None:
    texts = [f"SELECT * FROM system:{name}" for name in SYSTEM_COLLECTIONS]
    found = store.execute_together(texts)
    assert [len(each.items) for each in found] == [0, 2, 0, 1, 1, 1]


def test_one_row_for_expressions(store: Store) -> None:
    assert store.execute("SELECT 1 + 1 AS two FROM system:dual").items == [{"two": 2}]


# --- what runs now ---


def test_a_statement_sees_itself_run(store: Store) -> None:
    text = "SELECT * FROM system:active_requests -- " + "x" * REQUEST_TEXT_CHARS_MAX
    (row,) = store.execute(text).items
    assert (row["statement"], row["started"]) == (text[:REQUEST_TEXT_CHARS_MAX], "1970-01-01T00:00:01.000Z")
    assert store.requests.list() == []


def test_a_stream_runs_until_it_is_left(store: Store) -> None:
    text = "SELECT * FROM cities"
    with store.stream(text) as rows:
        next(rows)
        running = store.execute("SELECT statement FROM system:active_requests").items
        assert running[0] == {"statement": text}
    assert store.requests.list() == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("SELECT * FROM cities", -1.0),
        ("SELECT * FROM cities WHERE name = :absent", 1.0),
        ("INSERT INTO cities DOCUMENTS ({'_id': 1})", 1.0),
        ("SHOW unheard_of", 1.0),
    ],
)
def test_what_fails_runs_no_longer(store: Store, text: str, seconds: float) -> None:
    with pytest.raises((CallerError, StatementTimeout)):
        store.execute(text, seconds=seconds)
    with pytest.raises((CallerError, StatementTimeout)):
        store.execute_together([text], seconds=seconds)
    assert store.requests.list() == []


def test_many_run_at_once_and_each_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, leave = Barrier(5), Event()
    keep = run.keep_rows

    def wait(rows: Iterator[bytes]) -> tuple[bytes, ...]:
        begun.wait()
        leave.wait()
        return keep(rows)

    monkeypatch.setattr(run, "keep_rows", wait)
    threads = [Thread(target=store.execute, args=(f"SELECT {n} FROM cities",)) for n in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    shown = [request.text for _, request in store.requests.list()]
    leave.set()
    for thread in threads:
        thread.join()
    assert sorted(shown) == [f"SELECT {n} FROM cities" for n in range(4)]
    assert store.requests.list() == []


# --- what is refused ---


def test_what_there_is_not_is_refused_with_what_there_is(store: Store) -> None:
    with pytest.raises(InvalidQuery) as caught:
        store.execute("SELECT * FROM system:unheard_of")
    assert caught.value.data["known"] == list(SYSTEM_COLLECTIONS)
    assert all(f"system:{name}" in caught.value.message for name in SYSTEM_COLLECTIONS)


@pytest.mark.parametrize("source", ["system:indexes", "system:unheard_of", "__collections", "__own"])
@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO {} DOCUMENTS ({{'_id': 1}})",
        "UPDATE {} SET a = 1",
        "DELETE FROM {}",
        "TOMBSTONE FROM {}",
        "EVICT FROM {}",
    ],
)
def test_nobody_writes_to_them(store: Store, source: str, text: str) -> None:
    before = store.digest()
    with pytest.raises(InvalidQuery) as caught:
        store.execute(text.format(source))
    assert caught.value.data["reason"] == "reserved-collection"
    assert store.digest() == before


def test_rows_are_json_of_the_value_model(store: Store) -> None:
    for name in SYSTEM_COLLECTIONS:
        for row in store.execute(f"SELECT * FROM system:{name}").rows_json:
            assert isinstance(msgspec.json.decode(row), dict)
