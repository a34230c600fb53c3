"""Calls by name: find, findById and write in JSON and in CBOR, each command of a write a transaction of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Store, Upsert
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.command.command import Command, Remove
from crdtstore.command.serial import submit_serially
from crdtstore.errors import CrdtStoreError, InvalidId, Overloaded, StoreFull
from crdtstore.http.server import Application, application
from crdtstore.limits import FIND_LIMIT_MAX
from crdtstore.writing import answer
from tests.http.calling import Answered, call, headers_for

STORE = "/api/v1/store"
GOOD = {"method": "upsert", "collection": "c", "value": {"n": 1}}
BAD = {"method": "upsert", "collection": "c", "value": {"_id": [1]}}


def ask(app: Application, key: str, method: str, headers: dict[str, str] | None = None, **parameters: Any) -> Answered:
    """Make a call."""
    body = {"method": method, "parameters": parameters}
    return call(app, "POST", STORE, body, headers_for(key) | (headers or {}))


def upsert(id_: Any, **fields: Any) -> dict[str, Any]:
    return {"method": "upsert", "collection": "c", "value": {"_id": id_, **fields}}


# --- reads ---


def test_documents_are_raw(app: Application, key: str) -> None:
    assert ask(app, key, "write", commands=[upsert("b", n=1), upsert({"k": 1}, n=2), upsert(7)]).status == 200
    found = ask(app, key, "find", collection="c", query="n > 0", args=None)
    assert found.json == {"documents": [{"_id": "b", "n": 1}, {"_id": {"k": 1}, "n": 2}], "txnId": 3, "version": 3}
    assert found.headers["x-ditto-txn-id"] == "3"
    assert ask(app, key, "find", collection="c", query="true", limit=1, offset=1).json["documents"] == [
        {"_id": "b", "n": 1}
    ]
    assert ask(app, key, "findById", collection="c", _id={"k": 1}).json["document"] == {"_id": {"k": 1}, "n": 2}
    assert ask(app, key, "findById", collection="c", _id=8).json == {"document": None, "txnId": 3, "version": 3}


def test_a_find_is_described(app: Application, store: Store, key: str) -> None:
    store.write([Upsert("c", {"n": number}, id=number) for number in range(50)])
    described = ask(app, key, "find", collection="c", query="n == 1", describe=True).json
    assert described["documents"] == [{"_id": "query_details", "full_scan": {}}]
    store.indexes.create("c", ["n"])
    described = ask(app, key, "find", collection="c", query="n == 1", describe=True).json
    assert described["documents"] == [{"_id": "query_details", "index_scan": {"path": ["n"]}}]


def test_the_limit_has_a_bound(app: Application, key: str) -> None:
    assert ask(app, key, "find", collection="c", query="true", limit=FIND_LIMIT_MAX).status == 200
    refused = ask(app, key, "find", collection="c", query="true", limit=FIND_LIMIT_MAX + 1)
    assert (refused.status, refused.json["error"]["data"]["limit"]) == (400, "FIND_LIMIT_MAX")


def test_a_read_waits_for_its_transaction(app: Application, key: str) -> None:
    headers = {"x-ditto-txn-id": "9", "prefer": "wait=0"}
    for method, more in (("find", {"query": "true"}), ("findById", {"_id": 1})):
        refused = ask(app, key, method, headers, collection="c", **more)
        assert (refused.status, refused.code) == (404, "version-not-available")


# --- both representations ---


def test_cbor_says_what_json_says(app: Application, key: str) -> None:
    body = cbor2.dumps({"method": "write", "parameters": {"commands": [upsert("a", data=b"\x00\xff", n=1.5)]}})
    written = call(app, "POST", STORE, body, headers_for(key) | {"content-type": "application/cbor"})
    assert written.json["results"] == [{"method": "upsert", "transactionId": 1, "id": "a"}]
    plain = ask(app, key, "find", collection="c", query="true")
    packed = ask(app, key, "find", {"accept": "application/cbor"}, collection="c", query="true")
    assert packed.headers["content-type"] == "application/cbor"
    assert cbor2.loads(packed.body) == plain.json
    assert plain.json["documents"] == [{"_id": "a", "data": "AP8=", "n": 1.5}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"method": "find"},
        {"parameters": {}},
        {"method": "find", "parameters": None},
        {"method": "evict", "parameters": {"collection": "c", "query": "true"}},
        {"method": "find", "parameters": {"collection": "c"}},
        {"method": "find", "parameters": {"collection": "c", "query": "("}},
        {"method": "find", "parameters": {"collection": "c", "query": "true", "limit": -1}},
        {"method": "find", "parameters": {"collection": "c", "query": "true", "limit": 1.5}},
        {"method": "findById", "parameters": {"collection": "c", "_id": [1]}},
        {"method": "findById", "parameters": {"collection": "c"}},
        {"method": "write", "parameters": {"commands": [{"method": "evict"}]}},
        {"method": "write", "parameters": {"commands": [GOOD], "dryRun": True}},
        {"method": "write", "parameters": {"commands": [{**GOOD, "unknown": 1}]}},
        {"method": "write", "parameters": {"commands": [{**GOOD, "value": 1}]}},
    ],
)
@pytest.mark.parametrize("media_type", ["application/json", "application/cbor"])
def test_what_does_not_fit_is_refused_as_a_whole(app: Application, key: str, body: Any, media_type: str) -> None:
    data = cbor2.dumps(body) if media_type == "application/cbor" else json.dumps(body).encode()
    refused = call(app, "POST", STORE, data, headers_for(key) | {"content-type": media_type})
    assert (refused.status, list(refused.json)) == (400, ["error"])
    assert refused.headers["x-ditto-txn-id"] == "0"


# --- writes ---


def test_each_command_is_a_transaction_of_its_own(app: Application, store: Store, key: str) -> None:
    commands = [
        upsert("car", make="Toyota", year=2004),
        {
            "method": "update",
            "collection": "c",
            "query": "year == 2004",
            "args": None,
            "commands": [
                {"method": "set", "path": "make", "value": None},
                {"method": "replaceWithCounter", "path": "seen"},
                {"method": "increment", "path": "seen", "value": 2},
            ],
        },
        {"method": "remove", "collection": "c", "query": "seen == $args.seen", "args": {"seen": 2}},
    ]
    written = ask(app, key, "write", commands=commands)
    never = {"internalError": 0, "permissionDenied": 0}
    assert written.json == {
        "results": [
            {"method": "upsert", "transactionId": 1, "id": "car"},
            {"method": "update", "transactionId": 2, "updated": 1, "error": 0, **never},
            {"method": "remove", "transactionId": 3, "deleted": 1, **never},
        ]
    }
    assert written.headers["x-ditto-txn-id"] == "3"
    assert store.applied == 3


def test_an_upsert_without_an_id_makes_one(app: Application, store: Store, key: str) -> None:
    [result] = ask(app, key, "write", commands=[GOOD]).json["results"]
    assert store.get("c", result["id"]) is not None


def test_nothing_is_done_by_no_commands(app: Application, key: str) -> None:
    assert ask(app, key, "write", commands=[]).json == {"results": []}


def test_what_was_written_before_a_failure_stays_and_nothing_behind_it_is_run(
    app: Application, store: Store, key: str
) -> None:
    refused = ask(app, key, "write", commands=[upsert("a"), upsert("b"), BAD, upsert("d"), upsert("e")])
    assert (refused.status, refused.code) == (400, "invalid-id")
    data = refused.json["error"]["data"]
    assert data["command"] == 2
    assert [each["transactionId"] for each in data["results"]] == [1, 2]
    assert [each.id for each in store.find("c").documents] == ["a", "b"]


def test_a_failure_is_told_as_problem_details_too(app: Application, key: str) -> None:
    refused = ask(app, key, "write", {"accept": "application/problem+json"}, commands=[upsert("a"), BAD])
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json["status"], refused.json["command"], len(refused.json["results"])) == (400, 1, 1)


def test_nothing_is_written_that_one_command_is_not_allowed_for(
    app: Application, store: Store, keyring: KeyRing
) -> None:
    lesser = keyring.create("lesser", Permission.of(frozenset({"read", "write"}), frozenset({"c"})))
    refused = ask(app, lesser, "write", commands=[upsert("a"), {**upsert("b"), "collection": "d"}])
    assert (refused.status, refused.code, store.applied) == (403, "forbidden", 0)


def test_a_precondition_holds_for_all(app: Application, store: Store, key: str) -> None:
    refused = ask(app, key, "write", {"x-ditto-txn-id": "1"}, commands=[upsert("a"), upsert("b")])
    assert (refused.status, refused.code, store.applied) == (404, "version-not-available", 0)


def test_a_write_that_comes_again_goes_on_where_it_failed(app: Application, store: Store, key: str) -> None:
    commands = [upsert("a"), upsert("b"), BAD, upsert("d")]
    headers = {"idempotency-key": "one"}
    first, again = (ask(app, key, "write", headers, commands=commands).json["error"]["data"] for _ in range(2))
    assert first == again
    assert (first["command"], store.applied) == (2, 2)
    other = {"idempotency-key": "two"}
    whole = ask(app, key, "write", other, commands=[upsert("a", n=1), upsert("d")])
    assert ask(app, key, "write", other, commands=[upsert("a", n=1), upsert("d")]).body == whole.body
    assert store.applied == 4


def test_a_write_needs_a_client_id(app: Application, key: str) -> None:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    body = {"method": "write", "parameters": {"commands": [GOOD]}}
    assert call(app, "POST", STORE, body, headers).code == "malformed-client-id"


# --- one after the other, on a store with a writer's thread ---


@pytest.fixture
def threaded(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", durability="none") as store:
        yield store


def outcomes(pending: list[Future[Any]]) -> list[type[BaseException] | None]:
    return [None if (error := future.exception()) is None else type(error) for future in pending]


@pytest.mark.parametrize("bad", [0, 1, 57, 99])
def test_a_failure_in_a_group_ends_the_line(threaded: Store, bad: int) -> None:
    commands = [Upsert("c", {}, id=[] if number == bad else number) for number in range(100)]
    got = outcomes(submit_serially(threaded.sequence, commands, answer))
    assert got[: bad + 1] == [None] * bad + [InvalidId]
    assert set(got[bad + 1 :]) <= {CrdtStoreError}
    assert len(threaded.find("c").documents) == bad


def test_a_group_that_is_dropped_ends_the_line(threaded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands were accepted, and then not committed: the next group must not go on."""
    sequencer, finish = threaded.sequencer, threaded.sequencer.finish
    groups = 0

    class Full:
        def __init__(self, batch: Any) -> None:
            self.batch = batch

        def commit(self) -> None:
            self.batch.abort()
            raise StoreFull("Full.")

    def finish_once(batch: Any, jobs: Any, done: Any) -> None:
        nonlocal groups
        groups += 1
        finish(Full(batch) if groups == 1 else batch, jobs, done)  # type: ignore[arg-type]  # all of it that is used

    monkeypatch.setattr(sequencer, "finish", finish_once)
    monkeypatch.setattr("crdtstore.version.writer.GROUP_TRANSACTIONS_MAX", 3)
    got = outcomes(submit_serially(threaded.sequence, [Upsert("c", {}, id=number) for number in range(50)], answer))
    assert got[0] is StoreFull
    assert set(got) <= {StoreFull, CrdtStoreError}
    assert groups > 1
    assert threaded.find("c").documents == ()


def test_a_full_queue_ends_the_line(store: Store) -> None:
    calls = 0

    def sequence(evaluate: Any, finish: Any, *, once: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Overloaded("Full.")
        return store.sequence(evaluate, finish, once=once)

    commands: list[Command] = [*(Upsert("c", {}, id=number) for number in range(4)), Remove("c", "true")]
    assert outcomes(submit_serially(sequence, commands, answer)) == [None, None, Overloaded]
    assert len(store.find("c").documents) == 2


# --- whatever is sent ---

IDS = st.sampled_from(["a", "b", 1, None, [1], {"k": 1}, ""])
COMMANDS = st.lists(
    st.builds(lambda id_, n: upsert(id_, n=n), IDS, st.integers(0, 3))
    | st.builds(
        lambda query: {"method": "remove", "collection": "c", "query": query},
        st.sampled_from(["n == 1", "(", "true"]),
    ),
    max_size=6,
)


@given(COMMANDS)
@settings(max_examples=60)
def test_a_write_is_its_commands_one_by_one(commands: list[dict[str, Any]]) -> None:
    """As many requests with one command each, up to the first that fails, leave the same store."""
    with pytest.MonkeyPatch.context() as patch, Store.in_memory() as together, Store.in_memory() as apart:
        patch.setattr(api_key, "SCRYPT_N", 2)
        keyrings = [KeyRing(together), KeyRing(apart)]
        keys = [keyring.create("test", Permission.full()) for keyring in keyrings]
        apps = [application(store, keyring) for store, keyring in zip((together, apart), keyrings, strict=True)]
        whole = ask(apps[0], keys[0], "write", commands=commands)
        results: list[Any] = []
        for command in commands:
            one = ask(apps[1], keys[1], "write", commands=[command])
            if one.status != 200:
                assert (whole.status, whole.code) == (one.status, one.code)
                assert whole.json["error"]["data"]["command"] == len(results)
                break
            results += one.json["results"]
        told = whole.json["results"] if whole.status == 200 else whole.json["error"]["data"]["results"]
        assert told == results
        assert [each.json for each in together.find("c").documents] == [each.json for each in apart.find("c").documents]
