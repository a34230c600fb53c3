"""The store API, version 3: what a caller gets for write, find and findbyid.

Rules: each test is one promise of `docs/http.md`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from crdtstore import Store, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.crdt.actor import format_actor
from crdtstore.http.server import Application
from tests.http.calling import ACTOR, Answered, call, headers_for, upsert

WRITE = "/api/v3/store/write"
FIND = "/api/v3/store/find"
FIND_BY_ID = "/api/v3/store/findbyid"


def write(app: Application, key: str, body: Any) -> Answered:
    answered = call(app, "POST", WRITE, body, headers_for(key))
    assert answered.status == 200, answered
    return answered


def find(app: Application, key: str, **asked: Any) -> Answered:
    return call(app, "POST", FIND, {"collection": "c", "query": "true", **asked}, headers_for(key))


def test_a_write_answers_one_result_for_each_command_with_one_transaction(app: Application, key: str) -> None:
    commands = [
        {"method": "upsert", "collection": "c", "id": 1, "value": {"n": 1}},
        {"method": "upsert", "collection": "c", "id": "b", "value": {"n": 2}},
        {
            "method": "update",
            "collection": "c",
            "query": "_id == 'b'",
            "commands": [{"method": "set", "path": "n", "value": 3}],
        },
        {"method": "remove", "collection": "c", "query": "_id == 1"},
    ]
    answered = write(app, key, {"commands": commands})
    assert answered.json == {
        "results": [
            {"method": "upsert", "transactionId": 1, "id": 1},
            {"method": "upsert", "transactionId": 1, "id": "b"},
            {
                "method": "update",
                "transactionId": 1,
                "updated": 1,
                "error": 0,
                "internalError": 0,
                "permissionDenied": 0,
            },
            {"method": "remove", "transactionId": 1, "deleted": 1, "internalError": 0, "permissionDenied": 0},
        ]
    }
    assert answered.headers["x-ditto-txn-id"] == "1"
    assert answered.headers["content-type"] == "application/json"


def test_transaction_ids_increase_by_one(app: Application, key: str) -> None:
    ids = [write(app, key, upsert("a", n=n)).json["results"][0]["transactionId"] for n in range(3)]
    assert ids == [1, 2, 3]


def test_an_upsert_without_id_answers_the_id_that_it_was_given(app: Application, key: str) -> None:
    body = {"commands": [{"method": "upsert", "collection": "c", "value": {"n": 1}}]}
    identifier = write(app, key, body).json["results"][0]["id"]
    assert isinstance(identifier, str)
    assert [row["id"] for row in find(app, key).json["documents"]] == [identifier]


def test_unknown_keys_beside_the_commands_are_tolerated(app: Application, key: str) -> None:
    write(app, key, {"collection": "c", **upsert("a", n=1)})


def test_find_answers_ids_fields_and_the_transaction(app: Application, key: str) -> None:
    write(app, key, upsert("a", name="Susan", book={"title": "x", "year": 1925}, tags=[1, 2.5, None]))
    answered = find(app, key, query="book.title == 'x'")
    assert answered.json == {
        "documents": [
            {
                "id": "a",
                "fields": {"name": "Susan", "book": {"title": "x", "year": 1925}, "tags": [1, 2.5, None]},
            }
        ],
        "txnId": 1,
    }
    assert answered.headers["x-ditto-txn-id"] == "1"


def test_find_pages_in_the_order_of_ids(app: Application, key: str) -> None:
    commands = [command for name in "dbca" for command in upsert(name, x=1)["commands"]]
    write(app, key, {"commands": commands})
    rows = find(app, key, limit=2, offset=1).json["documents"]
    assert [row["id"] for row in rows] == ["b", "c"]


def test_find_takes_arguments_and_tolerates_unknown_keys(app: Application, key: str) -> None:
    write(app, key, {"commands": [*upsert("a", age=40)["commands"], *upsert("b", age=17)["commands"]]})
    answered = find(app, key, query="age == $args.a", args={"a": 40}, describe=False, later=1)
    assert [row["id"] for row in answered.json["documents"]] == ["a"]


def test_find_in_a_collection_that_is_not_there_is_empty(app: Application, key: str) -> None:
    assert find(app, key, collection="none").json == {"documents": [], "txnId": 0}


@pytest.mark.parametrize("identifier", ["a", 1, 1.5, True, {"b": 1, "a": [2]}])
def test_findbyid_finds_every_kind_of_id(app: Application, key: str, identifier: Any) -> None:
    write(app, key, upsert(identifier, n=1))
    answered = call(app, "POST", FIND_BY_ID, {"collection": "c", "id": identifier}, headers_for(key))
    assert answered.json == {"txnId": 1, "document": {"id": identifier, "fields": {"n": 1}}}


def test_findbyid_answers_null_for_what_is_not_there(app: Application, key: str) -> None:
    answered = call(app, "POST", FIND_BY_ID, {"collection": "c", "id": "a"}, headers_for(key))
    assert (answered.status, answered.json) == (200, {"txnId": 0, "document": None})


@pytest.mark.parametrize("path", [FIND, FIND_BY_ID])
def test_get_with_a_body_is_as_post(app: Application, key: str, path: str) -> None:
    write(app, key, upsert("a", n=1))
    body = {"collection": "c", "query": "true", "id": "a"}
    got, posted = (call(app, method, path, body, headers_for(key)) for method in ("GET", "POST"))
    assert got == posted
    assert got.status == 200


def test_text_comes_back_as_it_was_written(app: Application, key: str) -> None:
    text = '\x00 \u2028 é \U0001f600 \uffff \\ " </script>'
    write(app, key, upsert("a", **{text: text}))
    row = call(app, "POST", FIND_BY_ID, {"collection": "c", "id": "a"}, headers_for(key)).json["document"]
    assert row["fields"] == {text: text}


def test_a_long_body_is_parsed_all_the_same(app: Application, key: str) -> None:
    text = "x" * (limits.INLINE_BODY_BYTES_MAX + 1)
    write(app, key, upsert("a", text=text))
    assert find(app, key).json["documents"][0]["fields"]["text"] == text


BAD_BODIES: list[tuple[str, bytes, str]] = [
    (WRITE, b"", "malformed-json"),
    (WRITE, b"{", "malformed-json"),
    (WRITE, b'{"commands":[]}{"commands":[]}', "malformed-json"),
    (WRITE, b'{"commands":[],"commands":[]}', "malformed-json"),
    (WRITE, b'{"commands":[{"method":"upsert","collection":"c","value":{"x":NaN}}]}', "malformed-json"),
    (WRITE, b'{"commands":[{"method":"upsert","collection":"c","value":{"x":1e400}}]}', "malformed-json"),
    (WRITE, b'{"commands":[{"method":"upsert","collection":"c","value":{"x":"\xff"}}]}', "malformed-json"),
    (WRITE, '{"commands":[]}'.encode("utf-16"), "malformed-json"),
    (WRITE, b"[" * 100_000 + b"]" * 100_000, "malformed-json"),
    (WRITE, b"[]", "malformed-request"),
    (WRITE, b'{"commands":{"0":{}}}', "malformed-request"),
    (WRITE, b'{"commands":[{"method":"find","collection":"c","query":"true"}]}', "malformed-request"),
    (
        WRITE,
        b'{"commands":[{"method":"upsert","collection":"c","value":{},"lamport":1}]}',
        "malformed-request",
    ),
    (WRITE, b'{"commands":[{"method":"upsert","collection":"c","id":null,"value":{}}]}', "invalid-id"),
    (FIND, b'{"query":"true"}', "malformed-request"),
    (FIND, b'{"collection":"c"}', "malformed-request"),
    (FIND, b'{"collection":1,"query":"true"}', "malformed-request"),
    (FIND, b'{"collection":"c","query":"true","limit":-1}', "malformed-request"),
    (FIND, b'{"collection":"c","query":"true","limit":10001}', "limit-exceeded"),
    (FIND, b'{"collection":"c","query":"true","limit":1.5}', "malformed-request"),
    (FIND, b'{"collection":"c","query":"true","offset":-1}', "malformed-request"),
    (FIND, b'{"collection":"c","query":"true","args":[1]}', "malformed-request"),
    (FIND, b'{"collection":"c","query":"true","serializedAs":"everything"}', "malformed-request"),
    (FIND, b'{"collection":"c","query":"a =="}', "query-syntax"),
    (FIND_BY_ID, b'{"collection":"c"}', "malformed-request"),
    (FIND_BY_ID, b'{"collection":"c","id":null}', "invalid-id"),
    (FIND_BY_ID, b'{"collection":"c","id":[1]}', "invalid-id"),
]


@pytest.mark.parametrize(("path", "body", "code"), BAD_BODIES)
def test_a_bad_body_is_refused_and_nothing_is_written(
    store: Store, app: Application, key: str, path: str, body: bytes, code: str
) -> None:
    answered = call(app, "POST", path, body, headers_for(key))
    assert (answered.status, answered.code) == (400, code)
    assert answered.json["error"]["code"] == 400
    assert answered.json["message"] == answered.json["error"]["message"]
    assert answered.headers["x-ditto-txn-id"] == "0"
    assert store.applied == 0


def test_a_body_that_does_not_fit_is_refused_with_its_json_path(app: Application, key: str) -> None:
    answered = find(app, key, limit="ten")
    assert answered.json["error"]["data"]["path"] == "$.limit"
    body = {"commands": [*upsert("a", n=1)["commands"], {"method": "remove", "collection": "c", "query": 1}]}
    assert "$.commands[1].query" in call(app, "POST", WRITE, body, headers_for(key)).json["message"]


def test_too_many_commands_are_refused(store: Store, app: Application, key: str) -> None:
    command = {"method": "upsert", "collection": "c", "value": {}}
    body = {"commands": [command] * (limits.COMMANDS_MAX + 1)}
    answered = call(app, "POST", WRITE, body, headers_for(key))
    assert (answered.status, store.applied) == (413, 0)
    assert answered.json["error"]["data"]["limit"] == "COMMANDS_MAX"


@pytest.mark.parametrize("text", [None, "", "AAAA", "AAAAAAAAAAU=", "AAAAAAAAAAUAAAAAAAAAAB==", "é" * 24])
def test_a_write_needs_a_client_id(store: Store, app: Application, key: str, text: str | None) -> None:
    headers = headers_for(key)
    del headers["x-ditto-client-id"]
    if text is not None:
        headers["x-ditto-client-id"] = text
    answered = call(app, "POST", WRITE, upsert("a", n=1), headers)
    assert (answered.status, answered.code, store.applied) == (400, "malformed-client-id", 0)


@pytest.mark.parametrize("text", [ACTOR, "AAAAAAAAAAAAAAAAAAAAew=="])
def test_any_16_bytes_are_a_client_id(app: Application, key: str, text: str) -> None:
    headers = {**headers_for(key), "x-ditto-client-id": text}
    assert call(app, "POST", WRITE, upsert("a", n=1), headers).status == 200


def test_a_client_may_not_pass_for_the_store(store: Store, app: Application, key: str) -> None:
    headers = {**headers_for(key), "x-ditto-client-id": format_actor(store.origin)}
    answered = call(app, "POST", WRITE, upsert("a", n=1), headers)
    assert (answered.status, answered.code, store.applied) == (403, "forbidden", 0)


def test_who_writes_with_a_new_client_id_each_time_comes_to_a_bound(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"commands": [{"method": "upsert", "collection": "c", "id": "a", "value": {"n": 1}}]}
    authors = [base64.b64encode(number.to_bytes(16, "big")).decode() for number in range(1, 8)]
    replicas = store.sequencer.catalog.replicas
    monkeypatch.setattr(replicas, "maximum", len(replicas.texts) + 5)

    def write_as(author: str) -> int:
        return call(app, "POST", WRITE, body, {**headers_for(key), "x-ditto-client-id": author}).status

    assert list(map(write_as, authors)) == [200] * 5 + [429] * 2
    assert (write_as(authors[0]), store.applied) == (200, 6)


def test_a_read_needs_no_client_id_but_refuses_a_malformed_one(app: Application, key: str) -> None:
    headers = headers_for(key)
    del headers["x-ditto-client-id"]
    body = {"collection": "c", "query": "true"}
    assert call(app, "POST", FIND, body, headers).status == 200
    assert call(app, "POST", FIND, body, {**headers, "x-ditto-client-id": "AAAA"}).status == 400


def test_the_body_of_an_answer_is_json_to_the_last_byte(app: Application, key: str) -> None:
    commands = [upsert(i, text=f'"{i}"')["commands"][0] for i in range(50)]
    write(app, key, {"commands": commands})
    answered = find(app, key)
    assert answered.headers["content-length"] == str(len(answered.body))
    assert [row["fields"]["text"] for row in json.loads(answered.body)["documents"]] == [f'"{i}"' for i in range(50)]


def test_a_key_that_may_only_read_reads_and_writes_nothing(store: Store, keyring: KeyRing, app: Application) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"})))
    refused = call(app, "POST", WRITE, upsert("a", n=1), headers_for(reader))
    assert (refused.status, refused.code, store.applied) == (403, "forbidden", 0)
    assert find(app, reader).status == 200


def test_a_key_that_may_only_write_writes_and_reads_nothing(store: Store, keyring: KeyRing, app: Application) -> None:
    writer = keyring.create("writer", Permission.of(frozenset({"write"})))
    assert call(app, "POST", WRITE, upsert("a", n=1), headers_for(writer)).status == 200
    assert find(app, writer).json["documents"] == []
    body = {"collection": "c", "id": "a"}
    ours = call(app, "POST", FIND_BY_ID, body, headers_for(writer))
    theirs = call(app, "POST", FIND_BY_ID, {**body, "id": "none"}, headers_for(writer))
    assert (ours.status, ours.json) == (theirs.status, theirs.json)


def test_an_id_that_was_deleted_permanently_is_used_up(app: Application, key: str) -> None:
    write(app, key, upsert("a", n=1))
    write(app, key, {"commands": [{"method": "remove", "collection": "c", "query": "true", "deletes": "permanent"}]})
    assert find(app, key).json["documents"] == []
    answered = call(app, "POST", WRITE, upsert("a", n=2), headers_for(key))
    assert (answered.status, answered.json["error"]["data"]["code"]) == (409, "document-buried")
    initial = {"method": "upsert", "collection": "c", "id": "a", "value": {"n": 3}, "initial": True}
    write(app, key, {"commands": [initial]})
    assert find(app, key).json["documents"] == []


def test_an_attachment_is_written_and_answered_as_its_token(app: Application, key: str) -> None:
    token = {"id": "RUGM_a", "len": 3, "metadata": {"name": "a.txt"}}
    body = upsert("a", file=token)
    body["commands"][0]["valueTypeOverrides"] = {"file": "attachment"}
    write(app, key, body)
    change = {"method": "setAttachment", "path": "other", "value": {"id": "b", "len": 0}}
    write(app, key, {"commands": [{"method": "update", "collection": "c", "query": "true", "commands": [change]}]})
    [found] = find(app, key).json["documents"]
    assert found["fields"] == {"file": token, "other": {"id": "b", "len": 0, "metadata": {}}}
