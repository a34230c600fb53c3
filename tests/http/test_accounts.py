"""The routes of accounts, and requests with one: who manages them, and that what they change holds at once."""

from __future__ import annotations

import logging
from base64 import b64encode
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application, Rates, application
from tests.http.calling import Answered, call, headers_for, upsert

ACCOUNTS = "/admin/accounts"
FIND = "/api/v4/store/find"
QUERY = {"collection": "c", "query": "true"}
READ_C = {"read": {"everything": False, "queriesByCollection": {"c": ["true"]}}}
FULL = {verb: {"everything": True, "queriesByCollection": {}} for verb in ("read", "write")}


def basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


def added(app: Application, key: str, name: str, permissions: object) -> str:
    """Add an account; its header."""
    answered = call(app, "POST", ACCOUNTS, {"name": name, "permissions": permissions}, headers_for(key))
    assert answered.status == 200
    return basic(name, answered.json["password"])


def ask(app: Application, authorization: str, collection: str = "c") -> Answered:
    return call(app, "POST", FIND, {**QUERY, "collection": collection}, headers_for("", authorization=authorization))


def test_an_account_may_do_what_was_said_until_it_is_revoked(app: Application, store: Store, key: str) -> None:
    header = added(app, key, "alice", READ_C)
    for name in "cd":
        store.write([Upsert(name, {}, id="a")])
    assert [len(ask(app, header, name).json["documents"]) for name in "cd"] == [1, 0]
    [listed] = call(app, "GET", ACCOUNTS, headers=headers_for(key)).json["accounts"]
    assert (listed["name"], "password" in listed, listed["lastUsedAt"] is None) == ("alice", False, False)
    gone = call(app, "DELETE", f"{ACCOUNTS}/alice", headers=headers_for(key))
    assert (gone.status, gone.json) == (200, {"name": "alice"})
    assert ask(app, header).status == 401
    assert call(app, "DELETE", f"{ACCOUNTS}/alice", headers=headers_for(key)).status == 404


def test_a_password_that_was_chosen_is_not_told(app: Application, key: str) -> None:
    asked = {"name": "alice", "permissions": READ_C, "password": "correct horse"}
    answered = call(app, "POST", ACCOUNTS, asked, headers_for(key))
    assert (answered.status, answered.json["password"]) == (200, None)
    assert ask(app, basic("alice", "correct horse")).status == 200
    again = call(app, "POST", ACCOUNTS, asked, headers_for(key))
    assert (again.status, b"horse" in again.body) == (400, False)


def test_only_who_may_do_everything_manages_accounts(app: Application, key: str) -> None:
    headers = {"authorization": added(app, key, "alice", READ_C), "content-type": "application/json"}
    body = {"name": "bob", "permissions": FULL}
    for method, path in (("GET", ACCOUNTS), ("POST", ACCOUNTS), ("DELETE", f"{ACCOUNTS}/alice")):
        assert call(app, method, path, body if method == "POST" else None, headers).status == 403


def test_what_an_account_does_to_keys_bears_its_name(app: Application, keyring: KeyRing, key: str) -> None:
    headers = {"authorization": added(app, key, "root", FULL), "content-type": "application/json"}
    assert call(app, "POST", "/admin/keys", {"name": "n", "permissions": READ_C}, headers).status == 200
    assert [each.by for each in keyring.changes()][-1] == "account:root"


def test_what_is_done_once_is_done_once_for_each_account(app: Application, key: str) -> None:
    answers = []
    for name in ("alice", "bob"):
        headers = headers_for("", authorization=added(app, key, name, FULL), **{"idempotency-key": "k"})
        answers += [call(app, "POST", "/api/v4/store/write", upsert(name), headers) for _ in range(2)]
    assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, True] * 2


def test_an_account_has_its_rate(store: Store, keyring: KeyRing) -> None:
    app = application(store, keyring, rates=Rates(key=0.1))
    key = keyring.create("root", Permission.full())
    header = added(app, key, "alice", READ_C)
    assert [ask(app, header).status for _ in range(2)] == [200, 429]


def test_the_password_stands_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Add accounts, use one well and badly, and look for a password in the log, the store's files and all answers."""
    caplog.set_level(logging.DEBUG)
    said = bytearray()
    secret = "canary in a coal mine"
    with Store.open(tmp_path / "store") as store:
        keyring = KeyRing(store)
        app, key = application(store, keyring), keyring.create("root", Permission.full())
        for asked in ({"name": "alice"}, {"name": "alice"}, {"name": "a/b"}, {"name": "bob", "x": 1}):
            body = {"permissions": READ_C, "password": secret, **asked}
            said += call(app, "POST", ACCOUNTS, body, headers_for(key)).body
        said += call(app, "GET", "/admin/key-changes", headers=headers_for(key)).body
        for password in (secret, secret + "x"):
            answered = ask(app, basic("alice", password))
            said += answered.body + repr(answered.headers).encode()
            assert (answered.status == 200) == (password == secret)
        said += repr([*keyring.verified.items(), *keyring.refused.items()]).encode()
    stored = b"".join(file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())
    logged = "\n".join(logging.Formatter("%(message)s").format(record) for record in caplog.records).encode()
    for place in (bytes(said), stored, logged):
        assert secret.encode() not in place
        assert basic("alice", secret).partition(" ")[2].encode() not in place
    assert b"account:alice" in logged, "the search would find it there"
    assert b"alice" in stored
