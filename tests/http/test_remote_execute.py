"""Statements for peers: the store that is asked answers for itself, or nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from crdtstore import Store, Upsert, format_actor
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application
from crdtstore.query.dql.remote import parse_remote
from crdtstore.statement.answer import Executed
from tests.http.calling import Answered, call, headers_for

PATHS = ("/api/v4/sync/remote_execute", "/api/v5/sync/remote_execute")


@pytest.fixture(autouse=True)
def cars(store: Store) -> None:
    store.write([Upsert("cars", {"color": color}, id=color) for color in ("blue", "red")])


def ask(app: Application, key: str, statement: str, args: Any = None, path: str = PATHS[0], **more: str) -> Answered:
    body = {"statement": statement} if args is None else {"statement": statement, "args": args}
    return call(app, "POST", path, body, headers_for(key, **more))


@pytest.mark.parametrize("path", PATHS)
def test_the_store_answers_for_itself(app: Application, key: str, store: Store, path: str) -> None:
    statement = "SYNC CONTEXT ( PEERS WHERE peerKeyString = :peer ) SELECT * FROM cars WHERE color = :color"
    mine = format_actor(store.origin)
    answered = ask(app, key, statement, {"peer": mine, "color": "red"}, path)
    assert answered.status == 200
    [result] = answered.json["result"]
    assert isinstance(result.pop("elapsedMilliseconds"), int)
    items = [{"_id": "red", "color": "red"}]
    assert result == {"peer": mine, "items": items, "warnings": [], "totalWarningsCount": 0}


@pytest.mark.parametrize("condition", ["peerKeyString = 'pkAg'", "false", "null", "model = 1", "1"])
def test_who_is_not_meant_does_not_answer(app: Application, key: str, condition: str) -> None:
    answered = ask(app, key, f"SYNC CONTEXT (PEERS WHERE {condition}) SELECT * FROM cars")
    assert (answered.status, answered.json) == (200, {"result": []})


def test_the_answer_is_that_of_the_statement_by_itself(app: Application, key: str) -> None:
    select = "SELECT color, COUNT(*) AS n FROM cars GROUP BY color ORDER BY color"
    alone = call(app, "POST", "/api/v4/store/execute", {"statement": select}, headers_for(key)).json
    [result] = ask(app, key, f"SYNC CONTEXT (PEERS WHERE true) {select}").json["result"]
    assert result["items"] == alone["items"] != []


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("SELECT * FROM cars", 1),
        ("SYNC CONTEXT SELECT * FROM cars", 14),
        ("SYNC CONTEXT (PEERS) SELECT * FROM cars", 20),
        ("SYNC CONTEXT (PEERS WHERE true SELECT * FROM cars", 32),
        ("SYNC CONTEXT (PEERS WHERE true) DELETE FROM cars", 33),
        ("SYNC CONTEXT (PEERS WHERE true)", 32),
        ("SYNC CONTEXT (PEERS WHERE false) SELECT * FROM cars LIMIT x y", 61),
        ("SYNC CONTEXT (PEERS WHERE true) SELECT FROM cars", 40),
    ],
)
def test_what_is_no_statement_for_peers_is_refused_with_its_place(
    app: Application, key: str, store: Store, statement: str, column: int
) -> None:
    answered = ask(app, key, statement)
    assert answered.status == 400
    assert answered.json["message"] == answered.json["error"]["message"]
    assert answered.json["error"]["data"]["column"] == column, answered.json
    assert store.applied == 1


def test_places_are_those_of_the_whole_text() -> None:
    text = "SYNC CONTEXT\n  (PEERS WHERE a = 'ü\n(') -- why\n  SELECT 1 FROM c"
    remote = parse_remote(text, "v5")
    assert remote.select.index("SELECT") == text.index("SELECT")
    assert [len(line) for line in remote.select.split("\n")] == [len(line) for line in text.split("\n")]
    assert remote.select.split() == ["SELECT", "1", "FROM", "c"]


def test_an_argument_that_is_missing_is_the_callers(app: Application, key: str) -> None:
    for statement in (
        "SYNC CONTEXT (PEERS WHERE peerKeyString = :peer) SELECT * FROM cars",
        "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM cars WHERE color = :color",
    ):
        answered = ask(app, key, statement)
        assert answered.status == 400
        assert "was not provided" in answered.json["message"]


@pytest.mark.parametrize(
    "permission",
    [
        Permission.of(frozenset()),
        Permission.of(frozenset({"write"})),
        Permission.of(frozenset({"read", "write"}), frozenset({"cars"})),
    ],
    ids=["none", "write", "some"],
)
def test_it_takes_the_right_to_read_the_whole_store(app: Application, keyring: KeyRing, permission: Permission) -> None:
    limited = keyring.create("limited", permission)
    for condition in ("true", "false"):
        answered = ask(app, limited, f"SYNC CONTEXT (PEERS WHERE {condition}) SELECT * FROM cars")
        assert (answered.status, answered.code) == (403, "forbidden")


def test_who_may_read_all_may_ask_but_not_what_is_told_of_the_store(app: Application, keyring: KeyRing) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"})))
    statement = "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM "
    assert len(ask(app, reader, statement + "cars").json["result"][0]["items"]) == 2
    assert ask(app, reader, statement + "system:indexes").status == 403


def test_what_the_peer_gave_up_on_is_its_error(app: Application, key: str, store: Store) -> None:
    store.execute("ALTER SYSTEM SET STATEMENT_EXAMINED_MAX = 1")
    answered = ask(app, key, "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM cars")
    assert answered.status == 200
    [result] = answered.json["result"]
    assert result["items"] == []
    assert "1" in result["error"]["description"]


def test_warnings_are_told(app: Application, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = Executed(1, warnings=tuple(f"warning {n}" for n in range(12)))
    monkeypatch.setattr("crdtstore.auth.session.Session.execute", lambda *_, **__: done)
    [result] = ask(app, key, "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM cars").json["result"]
    assert result["totalWarningsCount"] == 12
    assert result["warnings"] == [{"description": f"warning {n}"} for n in range(10)]


def test_a_transaction_is_waited_for(app: Application, key: str) -> None:
    statement = "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM cars"
    assert ask(app, key, statement, txn="1").status == 200
    app.wait_seconds = 0
    assert ask(app, key, statement, txn="2").status == 404
