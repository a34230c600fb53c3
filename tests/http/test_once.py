"""`Idempotency-Key` and `dryRun`, on every route that writes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.auth.session import Session
from crdtstore.http.server import Application, application
from tests.http.calling import ACTOR, Answered, call, headers_for

ADD = {"method": "update", "collection": "c", "query": "true", "commands": [{"method": "increment", "path": "n"}]}
WRITE = {"commands": [ADD, {"method": "upsert", "collection": "made", "value": {"x": 1}}]}
EXECUTE = {"statement": "UPDATE COLLECTION c (n COUNTER) APPLY n PN_INCREMENT BY 1.0 RETURNING n"}
TOGETHER = {"statements": [EXECUTE["statement"], "SELECT * FROM c"]}
ROUTES = [(f"/api/{version}/store/write", WRITE) for version in ("v2", "v3", "v4", "v5")] + [
    (f"/api/{version}/store/execute", body) for version in ("v4", "v5") for body in (EXECUTE, TOGETHER)
]


@pytest.fixture(autouse=True)
def counter(store: Store) -> None:
    store.write([Upsert("c", {"n": 0}, id="a", value_types={"n": "counter"})])


def amount(store: Store) -> Any:
    document = store.get("c", "a")
    assert document is not None
    return document.fields["n"]


def ask(
    app: Application, key: str, path: str, body: Any, idempotency_key: str = "k-1", more: Mapping[str, str] = {}
) -> Answered:
    return call(app, "POST", path, body, {**headers_for(key), **more, "idempotency-key": idempotency_key})


OLDER: list[tuple[str, Any]] = [
    ("/api/v1/store", {"method": "write", "parameters": WRITE}),
    ("/api/v1/collections/c/documents/b", {"n": 1}),
]
EVENTS = "/api/v1/timeseries/s/events"


@pytest.mark.parametrize(("path", "body"), OLDER)
def test_a_retry_of_version_1_is_answered_as_the_first(
    store: Store, app: Application, key: str, path: str, body: Any
) -> None:
    first, second = (ask(app, key, path, body) for _ in range(2))
    assert first.status in {200, 202}
    assert (second.status, second.json) == (first.status, first.json)
    assert second.headers["idempotency-replayed"] == "true"
    assert store.applied == first.json.get("txn_id", 3)


def test_events_are_appended_once(store: Store, app: Application, key: str) -> None:
    lines = b'{"_time": "2026-01-01T00:00:00Z", "n": 1}\n'
    headers = {**headers_for(key), "content-type": "application/json-l", "idempotency-key": "e"}
    first, second = (call(app, "POST", EVENTS, lines, headers) for _ in range(2))
    assert first.status in {200, 202}, first.body
    assert (second.status, second.body) == (first.status, first.body)
    assert second.headers["idempotency-replayed"] == "true"
    assert store.applied == 2


def test_what_was_left_of_a_line_of_transactions_is_done(store: Store, app: Application, key: str) -> None:
    """The first two of three commands are on disk when the server dies: a retry does the third."""
    path, body = "/api/v1/store", {"method": "write", "parameters": {"commands": [ADD, ADD, ADD]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "submit_each", lambda self, commands, **how: submit_each(self, commands[:2], **how))
        ask(app, key, path, body)
    assert amount(store) == 2
    again = ask(app, key, path, body)
    assert [result["transactionId"] for result in again.json["results"]] == [2, 3, 4]
    assert again.headers["idempotency-replayed"] == "true"
    assert amount(store) == 3


submit_each = Session.submit_each


def test_version_1_tries_nothing_out(store: Store, app: Application, key: str) -> None:
    body = {"method": "write", "parameters": {"commands": [ADD], "dryRun": True}}
    assert call(app, "POST", "/api/v1/store", body, headers_for(key)).status == 400
    assert store.applied == 1


@pytest.mark.parametrize(("path", "body"), ROUTES)
def test_a_retry_is_answered_as_the_first(store: Store, app: Application, key: str, path: str, body: Any) -> None:
    first, second = (ask(app, key, path, body) for _ in range(2))
    assert first.status == 200
    assert (second.status, second.json) == (200, first.json)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["x-ditto-txn-id"] == first.headers["x-ditto-txn-id"]
    assert (amount(store), store.applied) == (1, 2)


def test_another_body_path_or_condition_is_refused(store: Store, app: Application, key: str) -> None:
    path, body = ROUTES[0]
    ask(app, key, path, body)
    changed = {"commands": [*WRITE["commands"], ADD]}
    refused = [
        ask(app, key, path, changed),
        ask(app, key, path + "?x=1", body),
        ask(app, key, "/api/v3/store/write", body),
        ask(app, key, path, body, more={"if-match": '"x"'}),
        ask(app, key, path, body, more={"x-event-ttl-seconds": "9"}),
    ]
    assert {(answered.status, answered.code) for answered in refused} == {(422, "idempotency-conflict")}
    assert amount(store) == 1


def test_keys_are_of_one_credential_and_client(store: Store, keyring: KeyRing, app: Application, key: str) -> None:
    path, body = ROUTES[0]
    ask(app, key, path, body)
    other = keyring.create("other", Permission.full())
    assert "idempotency-replayed" not in ask(app, other, path, body).headers
    client = ACTOR.replace("U", "Y")
    assert "idempotency-replayed" not in ask(app, key, path, body, more={"x-ditto-client-id": client}).headers
    assert amount(store) == 3


def test_who_may_not_write_any_more_is_not_answered(store: Store, keyring: KeyRing, app: Application) -> None:
    path, body = ROUTES[0]
    writer = keyring.create("writer", Permission.full())
    assert ask(app, writer, path, body).status == 200
    keyring.revoke(writer.partition("_")[0])
    assert ask(app, writer, path, body).status == 401


@pytest.mark.parametrize("bad", ["", " ", "a b", "é", "x" * 256])
def test_a_key_of_another_form_is_refused(app: Application, key: str, bad: str) -> None:
    path, body = ROUTES[0]
    assert ask(app, key, path, body, bad).code == "malformed-request"


def test_retries_at_the_same_time_are_one(store: Store, app: Application, key: str) -> None:
    answers: list[Answered] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(app, key, *ROUTES[0]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answered.json for answered in answers] == [answers[0].json] * 6
    assert sum("idempotency-replayed" not in answered.headers for answered in answers) == 1
    assert amount(store) == 1


def test_a_key_works_after_a_restart(store: Store, keyring: KeyRing, app: Application, key: str) -> None:
    first = ask(app, key, *ROUTES[0])
    again = ask(application(store, KeyRing(store)), key, *ROUTES[0])
    assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")


@pytest.mark.parametrize(("path", "body"), ROUTES)
def test_a_dry_run_leaves_nothing(store: Store, app: Application, key: str, path: str, body: Any) -> None:
    before = (store.digest(), list(store.changes()), store.stats())
    answered = call(app, "POST", path, {**body, "dryRun": True}, headers_for(key))
    assert answered.status == 200
    assert (store.digest(), list(store.changes()), store.stats()) == before
    results = answered.json.get("results", [answered.json])
    assert all("transactionId" not in result for result in results if result.get("queryType") != "select")
    done = call(app, "POST", path, body, headers_for(key)).json
    for tried, real in zip(results, done.get("results", [done]), strict=True):
        assert set(tried) ^ set(real) <= {"transactionId", "dryRun"}
        same = {name for name in set(tried) & set(real) if not (name == "id" and tried["method"] == "upsert")}
        assert {name: tried[name] for name in same - {"transactionId"}} == {
            name: real[name] for name in same - {"transactionId"}
        }


def test_a_dry_run_is_refused_as_the_write(store: Store, app: Application, keyring: KeyRing, key: str) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"})))
    body = {**WRITE, "dryRun": True}
    assert call(app, "POST", ROUTES[0][0], body, headers_for(reader)).status == 403
    assert call(app, "POST", ROUTES[0][0], body, headers_for(key, txn="9")).status == 404
    assert call(app, "POST", ROUTES[0][0], {**WRITE, "dryRun": 1}, headers_for(key)).status == 400
    index = {"statement": "CREATE INDEX i ON c (n)", "dryRun": True}
    assert call(app, "POST", "/api/v5/store/execute", index, headers_for(key)).status == 400
