"""Documents as resources: entity tags, writes on condition, and what becomes of two who write at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from crdtstore import Remove, Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application, application
from tests.http.calling import Answered, call, exchange, headers_for

PATH = "/api/v5/collections/c/documents/a"
NEVER = f'"{bytes(16).hex()}"'


def ask(app: Application, key: str, method: str, body: Any = None, path: str = PATH, **conditions: str) -> Answered:
    """One call; `match` and `none_match` are the headers of its condition."""
    names = {"match": "if-match", "none_match": "if-none-match"}
    more = {names[name]: value for name, value in conditions.items()}
    return call(app, method, path, body, {**headers_for(key), **more})


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_a_document_is_made_read_changed_and_removed(app: Application, key: str, version: str) -> None:
    path = PATH.replace("v5", version)
    made = ask(app, key, "PATCH", {"n": 1, "m": 2}, path)
    assert (made.status, made.json) == (200, {"id": "a", "transactionId": 1})
    read = ask(app, key, "GET", path=path)
    assert (read.status, read.json) == (200, {"id": "a", "fields": {"m": 2, "n": 1}})
    assert read.headers["etag"] == made.headers["etag"]
    ask(app, key, "PATCH", {"n": 3}, path)
    assert ask(app, key, "GET", path=path).json["fields"] == {"m": 2, "n": 3}
    replaced = ask(app, key, "PUT", {"k": {"x": 1}}, path)
    read = ask(app, key, "GET", path=path)
    assert read.json["fields"] == {"k": {"x": 1}}
    assert read.headers["etag"] == replaced.headers["etag"] != made.headers["etag"]
    assert ask(app, key, "DELETE", path=path).json == {"deleted": 1, "transactionId": 4}
    assert ask(app, key, "GET", path=path).code == "not-found"
    assert ask(app, key, "DELETE", path=path).json["deleted"] == 0


def test_who_has_it_is_told_so(app: Application, key: str) -> None:
    tag = ask(app, key, "PATCH", {"n": 1}).headers["etag"]
    for same in (tag, f"W/{tag}", f'"x,y" , {NEVER},{tag}', "*"):
        answered = ask(app, key, "GET", none_match=same)
        assert (answered.status, answered.body, answered.headers["etag"]) == (304, b"", tag)
    assert ask(app, key, "GET", none_match=NEVER).status == 200
    assert ask(app, key, "GET", match=tag).status == 200
    for other in (NEVER, f"W/{tag}"):
        assert ask(app, key, "GET", match=other).code == "precondition-failed"
    cbor = call(app, "GET", PATH, None, {**headers_for(key), "if-none-match": tag, "accept": "application/cbor"})
    assert cbor.status == 304


@pytest.mark.parametrize("method", ["PATCH", "PUT", "DELETE"])
def test_a_write_on_condition(store: Store, app: Application, key: str, method: str) -> None:
    body = None if method == "DELETE" else {"n": 2}
    first = ask(app, key, "PATCH", {"n": 1}).headers["etag"]
    second = ask(app, key, "PATCH", {"n": 5}).headers["etag"]
    before = store.digest()
    for refused in ({"match": first}, {"match": f"W/{second}"}, {"none_match": "*"}, {"none_match": f"W/{second}"}):
        answered = ask(app, key, method, body, **refused)
        assert (answered.status, answered.code) == (412, "precondition-failed")
    assert store.digest() == before
    assert ask(app, key, method, body, match=f"{first}, {second}", none_match=first).status == 200
    assert store.digest() != before


def test_a_document_is_made_once(app: Application, key: str) -> None:
    assert ask(app, key, "PATCH", {"n": 1}, match="*").status == 412
    assert ask(app, key, "PATCH", {"n": 1}, none_match="*").status == 200
    assert ask(app, key, "PATCH", {"n": 2}, none_match="*").status == 412
    assert ask(app, key, "PATCH", {"n": 3}, match="*").status == 200
    ask(app, key, "DELETE")
    assert ask(app, key, "PUT", {"n": 4}, none_match="*").status == 200


@pytest.mark.parametrize("bad", ["x", '"a', '"a" "b"', "", "W/x", '"a",,', '*, "a"'])
def test_a_condition_of_another_form_is_refused(app: Application, key: str, bad: str) -> None:
    for method, body in (("GET", None), ("PATCH", {"n": 1})):
        answered = ask(app, key, method, body, match=bad)
        if bad:
            assert (answered.status, answered.code) == (400, "malformed-request")


def test_of_two_who_write_at_once_one_wins(tmp_path: Any) -> None:
    """Clients who have read the same and write at the same moment: each round exactly one is let through."""
    with Store.open(tmp_path / "store", durability="none") as store:
        keyring = KeyRing(store)
        app, key = application(store, keyring), keyring.create("test", Permission.full())
        tag = ask(app, key, "PATCH", {"n": 0}).headers["etag"]
        for number in range(8):
            answers = asyncio.run(at_once(app, key, tag, number))
            assert sorted(answered.status for answered in answers) == [200, 412, 412, 412]
            [tag] = [answered.headers["etag"] for answered in answers if answered.status == 200]
            assert ask(app, key, "GET").headers["etag"] == tag


async def at_once(app: Application, key: str, tag: str, number: int) -> list[Answered]:
    """Four writes on one condition, on their way at the same time."""
    requests = [
        exchange("PATCH", PATH, {"n": number, "by": writer}, {**headers_for(key), "if-match": tag})
        for writer in range(4)
    ]
    await asyncio.gather(*(app(request.scope, request.receive, request.send) for request in requests))
    return [request.answered for request in requests]


def test_a_retry_on_condition_is_answered_as_the_first(app: Application, key: str) -> None:
    tag = ask(app, key, "PATCH", {"n": 1}).headers["etag"]
    headers = {**headers_for(key), "if-match": tag, "idempotency-key": "one"}
    first, second = (call(app, "PATCH", PATH, {"n": 2}, headers) for _ in range(2))
    assert (second.status, second.json, second.headers["etag"]) == (200, first.json, first.headers["etag"])
    assert call(app, "PATCH", PATH, {"n": 2}, {**headers, "idempotency-key": "two"}).status == 412


def test_equal_stores_have_equal_tags(store: Store, app: Application, key: str) -> None:
    tag = ask(app, key, "PATCH", {"n": 1}).headers["etag"]
    with Store.in_memory() as other:
        other.apply(entry.record for entry in store.changes())
        keyring = KeyRing(other)
        there = ask(application(other, keyring), keyring.create("test", Permission.full()), "GET", match=tag)
    assert (there.status, there.headers["etag"]) == (200, tag)


def test_rights_are_those_of_the_collection(keyring: KeyRing, app: Application) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"})))
    writer = keyring.create("writer", Permission.of(frozenset({"write"})))
    assert ask(app, writer, "PATCH", {"n": 1}).status == 200
    for method, body in (("PATCH", {"n": 1}), ("PUT", {}), ("DELETE", None)):
        assert ask(app, reader, method, body).status == 403
    assert ask(app, reader, "GET").status == 200
    assert ask(app, writer, "GET").status == 404
    assert ask(app, writer, "GET", path=f"{PATH}/history").status == 403


@pytest.mark.parametrize("body", [None, [], {"_id": "b"}, {"n": {"": float("inf")}}, b"{"])
def test_a_body_that_is_no_document_is_refused(store: Store, app: Application, key: str, body: Any) -> None:
    for method in ("PATCH", "PUT"):
        assert ask(app, key, method, body).status == 400
    assert store.applied == 0


# --- what lives in a document ---


def conflicting() -> Store:
    """A store in which two values of one field met."""
    left, right = Store.in_memory(), Store.in_memory()
    left.write([Upsert("c", {"n": 1, "m": {"x": 1}, "k": 3}, id="a", value_types={"k": "counter"})])
    right.write([Upsert("c", {"n": 2}, id="a")])
    left.apply(entry.record for entry in right.changes())
    right.close()
    return left


@pytest.mark.parametrize("route", ["find", "findbyid", "resource"])
def test_the_full_form_shows_types_stamps_and_losers(route: str) -> None:
    with conflicting() as store:
        keyring = KeyRing(store)
        app, key = application(store, keyring), keyring.create("test", Permission.full())
        asked = {"collection": "c", "query": "true", "id": "a", "serializedAs": "full"}
        if route == "resource":
            fields = ask(app, key, "GET", path=f"{PATH}?serializedAs=full").json["fields"]
        else:
            body = call(app, "POST", f"/api/v5/store/{route}", asked, headers_for(key)).json
            fields = (body["documents"][0] if route == "find" else body)["fields"]
        expected = store.conflicts("c", "a")["n"]
        assert set(fields) == {"k", "m", "n"}
        shown = fields["n"]["register"]
        assert [shown["value"], *(loser["value"] for loser in shown["losers"])] == [each.value for each in expected]
        assert {"value", "timestamp", "actor", "origin", "losers"} == set(shown)
        assert shown["losers"][0]["origin"] != shown["origin"]
        assert fields["m"]["map"]["value"]["x"]["register"]["value"] == 1
        assert fields["k"]["counter"]["value"] == 3
        assert fields["m"]["map"]["losers"] == []


def test_an_unknown_form_is_refused(app: Application, key: str) -> None:
    assert ask(app, key, "GET", path=f"{PATH}?serializedAs=x").code == "malformed-request"


# --- its history ---


def read_history(app: Application, key: str, query: str = "") -> Any:
    answered = ask(app, key, "GET", path=f"{PATH}/history{query}")
    assert answered.status == 200
    return answered.json


def test_a_history_has_what_touched_the_document(store: Store, app: Application, key: str) -> None:
    store.write([Upsert("c", {"n": 1, "b": "a"}, id="a")])
    store.write([Upsert("c", {"n": "a"}, id="b"), Upsert("d", {"a": "a"}, id="a")])
    store.write([Upsert("c", {"n": 2, "x.y": 1}, id="a"), Upsert("c", {"n": 2}, id="ab")])
    store.write([Remove("c", "_id == 'a'")])
    store.write([Upsert("c", {"n": 3}, id="a", initial=True)])
    body = read_history(app, key)
    assert [row["transactionId"] for row in body["transactions"]] == [5, 4, 3, 1]
    assert (body["oldest"], body["complete"], body["txnId"]) == (1, True, 5)
    first = body["transactions"][-1]
    assert {(each["operation"], each.get("path"), json.dumps(each.get("value"))) for each in first["operations"]} >= {
        ("write", "n", "1"),
        ("write", "b", '"a"'),
    }
    assert set(first) == {"transactionId", "timestamp", "actor", "origin", "operations"}


def test_a_history_comes_in_parts(store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        store.write([Upsert("c", {"n": number}, id="a" if number % 3 == 0 else "b")])
    whole = [row["transactionId"] for row in read_history(app, key)["transactions"]]
    assert whole == [19, 16, 13, 10, 7, 4, 1]
    monkeypatch.setattr("crdtstore.storage.history.HISTORY_ENTRIES_MAX", 5)
    for limit in (1, 2, 100):
        got, before = [], 21
        while True:
            body = read_history(app, key, f"?limit={limit}&before={before}")
            got += [row["transactionId"] for row in body["transactions"]]
            assert before - body["oldest"] <= 5
            before = body["oldest"]
            if body["complete"]:
                break
        assert got == whole


def test_a_history_behind_a_trimmed_log_is_not_complete(store: Store, app: Application, key: str) -> None:
    for number in range(4):
        store.write([Upsert("c", {"n": number}, id="a")])
    store.trim(2)
    body = read_history(app, key)
    assert ([row["transactionId"] for row in body["transactions"]], body["complete"]) == ([4, 3], False)
    assert body["oldest"] == 3


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "before=-1", "limit=", "limit=1&limit=2"])
def test_a_history_of_another_size_is_refused(app: Application, key: str, query: str) -> None:
    assert ask(app, key, "GET", path=f"{PATH}/history?{query}").status in {400, 413}


def test_what_never_was_has_no_history(app: Application, key: str) -> None:
    assert read_history(app, key) == {"transactions": [], "oldest": 1, "complete": True, "txnId": 0}
