"""The routes of API keys: what they change holds from the next request on; only who may do everything gets there."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import VERBS, Permission
from crdtstore.http.admin.keys import KEY_ROUTES
from crdtstore.http.server import Application, application
from tests.http.calling import call, headers_for, upsert
from tests.http.samples import sample_of

KEYS = "/admin/keys"
FIND = "/api/v4/store/find"
WRITE = "/api/v4/store/write"
SOME = {"read": {"everything": False, "queriesByCollection": {"c": ["true"], "d": [" true "], "e": []}}}


def prefix_of(key: str) -> str:
    return key.partition(FIXED_PART)[0]


def asked_to_read(query: str, *, everything: bool) -> dict[str, object]:
    """A key that may read what a query matches."""
    return {"permissions": {"read": {"everything": everything, "queriesByCollection": {"c": ["true", query]}}}}


def status(app: Application, key: str, collection: str = "c", path: str = FIND) -> int:
    body = {"collection": collection, "query": "true", "commands": upsert("a")["commands"]}
    body["commands"][0]["collection"] = collection
    return call(app, "POST", path, body, headers_for(key)).status


def seen(app: Application, key: str, name: str) -> int:
    """How many documents of a collection a key counts."""
    counted = call(app, "POST", "/api/v4/store/count", {"collection": name, "query": "true"}, headers_for(key))
    assert counted.status == 200
    number: int = counted.json["count"]
    return number


def test_a_key_that_is_made_may_do_what_was_said(app: Application, key: str) -> None:
    made = call(app, "POST", KEYS, {"name": "n", "permissions": SOME, "description": "d"}, headers_for(key))
    assert made.status == 200
    for name in "cde":
        assert status(app, key, name, WRITE) == 200
    new = made.json["key"]
    assert made.json["prefix"] == prefix_of(new)
    assert made.json["permissions"]["read"] == {
        "everything": False,
        "queriesByCollection": {"c": ["true"], "d": ["true"]},
    }
    assert [seen(app, new, name) for name in "cde"] == [1, 1, 0]
    assert status(app, new, "c", WRITE) == 403
    [found] = [each for each in call(app, "GET", KEYS, headers=headers_for(key)).json["keys"] if each["name"] == "n"]
    assert found == {
        **{name: value for name, value in made.json.items() if name != "key"},
        "lastUsedAt": found["lastUsedAt"],
    }
    assert found["lastUsedAt"] is not None
    explained = call(app, "GET", f"{KEYS}/{prefix_of(new)}", headers=headers_for(key))
    assert explained.json == found


def test_what_is_revoked_is_refused_from_the_next_request_on(store: Store, app: Application, key: str) -> None:
    new = call(app, "POST", KEYS, {"name": "n", "permissions": SOME}, headers_for(key)).json["key"]
    elsewhere = application(store, KeyRing(store))
    assert (status(app, new), status(elsewhere, new)) == (200, 200)
    gone = call(app, "DELETE", f"{KEYS}/{prefix_of(new)}", headers=headers_for(key))
    assert (gone.status, gone.json) == (200, {"prefix": prefix_of(new)})
    assert (status(app, new), status(elsewhere, new)) == (401, 401)
    assert call(app, "DELETE", f"{KEYS}/{prefix_of(new)}", headers=headers_for(key)).status == 404


def test_a_key_that_is_rotated_has_a_new_secret_and_for_a_while_the_old_one(app: Application, key: str) -> None:
    path = f"{KEYS}/{prefix_of(key)}/rotate"
    kept = call(app, "POST", path, {}, headers_for(key)).json
    assert kept["oldValidUntil"] is not None
    assert (status(app, key), status(app, kept["key"])) == (200, 200)
    newest = call(app, "POST", path, {"oldValidSeconds": 0}, headers_for(kept["key"])).json
    assert newest["oldValidUntil"] is None
    assert [status(app, each) for each in (key, kept["key"], newest["key"])] == [401, 401, 200]


def test_a_key_is_taken_until_it_ends(store: Store, app: Application, keyring: KeyRing, key: str) -> None:
    body = {"name": "n", "permissions": SOME, "expiresAt": "2099-01-31T01:00:00+01:00"}
    made = call(app, "POST", KEYS, body, headers_for(key)).json
    assert made["expiresAt"] == "2099-01-31T00:00:00Z"
    end = int(datetime(2099, 1, 31, tzinfo=UTC).timestamp() * 1_000)
    assert status(application(store, KeyRing(store, clock=lambda: end - 1)), made["key"]) == 200
    assert status(application(store, KeyRing(store, clock=lambda: end)), made["key"]) == 401


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (
            {
                "permissions": {
                    "read": {"everything": False, "queriesByCollection": {"c": ["_id + 1 = 2"]}},
                    "qlVersion": 1,
                }
            },
            "unsupported-permission",
        ),
        (
            {"permissions": {"read": {"everything": True, "queriesByCollection": {"c": ["a =="]}}}},
            "query-syntax",
        ),
        ({"permissions": {"write": {"everything": False, "queriesByCollection": {"": ["true"]}}}}, "invalid-document"),
        ({"permissions": {"read": {"queriesByCollection": {}}}}, "malformed-request"),
        ({"permissions": {"delete": {"everything": True}}}, "malformed-request"),
        ({"permissions": {"qlVersion": 2}}, "malformed-request"),
        ({"permissions": {}, "expiresAt": "2020-01-01T00:00:00Z"}, "caller"),
        ({"permissions": {}, "expiresAt": "2099-01-01T00:00:00"}, "malformed-request"),
        ({"permissions": {}, "name": ""}, "caller"),
        ({"permissions": {}, "name": "a\nb"}, "caller"),
        ({"permissions": {}, "expires": "2099-01-01T00:00:00Z"}, "malformed-request"),
        ({}, "malformed-request"),
    ],
)
def test_what_cannot_be_kept_to_is_not_made(app: Application, key: str, asked: dict[str, object], code: str) -> None:
    answered = call(app, "POST", KEYS, {"name": "n", **asked}, headers_for(key))
    assert (answered.status, answered.code) == (400, code)
    assert len(call(app, "GET", KEYS, headers=headers_for(key)).json["keys"]) == 1


def test_a_permission_names_so_many_collections(app: Application, key: str) -> None:
    rules = {"everything": False, "queriesByCollection": {f"c{number}": ["true"] for number in range(1_001)}}
    answered = call(app, "POST", KEYS, {"name": "n", "permissions": {"read": rules}}, headers_for(key))
    assert (answered.status, answered.json["error"]["data"]["limit"]) == (400, "PERMISSION_COLLECTIONS_MAX")
    rules["queriesByCollection"].popitem()  # type: ignore[attr-defined]
    assert call(app, "POST", KEYS, {"name": "n", "permissions": {"read": rules}}, headers_for(key)).status == 200


LESSER = [
    Permission(),
    Permission.of({"read"}),
    Permission.of({"write"}),
    Permission.of(VERBS, frozenset({"c"})),
    Permission(read=None, write=frozenset({"c"}), remote_query=True),
]


@pytest.mark.parametrize("permission", LESSER, ids=range(len(LESSER)))
@pytest.mark.parametrize("number", range(len(KEY_ROUTES)))
def test_only_who_may_do_everything_gets_there(
    app: Application, keyring: KeyRing, key: str, permission: Permission, number: int
) -> None:
    route, lesser = KEY_ROUTES[number], keyring.create("lesser", permission)
    before = list(keyring.known())
    for method in route.methods:
        sample = sample_of(route, method)
        answered = call(app, method, sample.target.replace("0" * 11, prefix_of(key)), sample.body, headers_for(lesser))
        assert (answered.status, answered.code) == (403, "forbidden")
    assert list(keyring.known()) == before


@pytest.mark.parametrize("prefix", ["0" * 11, "a", "%00", "a" * 3_000, "%F0%9F%94%91" * 11])
def test_a_prefix_that_none_has_is_not_found(app: Application, key: str, prefix: str) -> None:
    for method, path in (("GET", prefix), ("DELETE", prefix), ("POST", f"{prefix}/rotate")):
        assert call(app, method, f"{KEYS}/{path}", {}, headers_for(key)).status == 404


def test_what_became_of_keys_names_whose_hand_it_was(app: Application, key: str) -> None:
    made = call(app, "POST", KEYS, {"name": "n", "permissions": {}}, headers_for(key)).json
    call(app, "POST", f"{KEYS}/{made['prefix']}/rotate", {}, headers_for(key))
    call(app, "DELETE", f"{KEYS}/{made['prefix']}", headers=headers_for(key))
    noted = call(app, "GET", "/admin/key-changes", headers=headers_for(key)).json["changes"]
    assert [(each["what"], each["prefix"], each["by"]) for each in noted] == [
        ("created", prefix_of(key), "here"),
        *((what, made["prefix"], prefix_of(key)) for what in ("created", "rotated", "revoked")),
    ]


def test_scrypt_runs_in_a_thread_whatever_is_asked(app: Application, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request is answered in the thread that calls: that of its event loop."""
    seen: list[int] = []
    derive = api_key.derive
    monkeypatch.setattr(api_key, "derive", lambda *given: (seen.append(threading.get_ident()), derive(*given))[1])  # type: ignore[func-returns-value]
    made = call(app, "POST", KEYS, {"name": "n", "permissions": {}}, headers_for(key)).json
    call(app, "POST", f"{KEYS}/{made['prefix']}/rotate", {}, headers_for(key))
    call(app, "GET", KEYS, headers=headers_for(made["key"]))
    assert len(seen) >= 4
    assert threading.get_ident() not in seen


def test_keys_that_are_made_over_http_stand_in_one_answer_and_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the store, a backup of it, the log, nor in what is told of keys; their prefixes are found there."""
    caplog.set_level(logging.DEBUG)
    with Store.open(tmp_path / "store") as store:
        keyring = KeyRing(store)
        root = keyring.create("root", Permission.full())
        app = application(store, keyring)
        asked = {"name": "canary", "description": "d", "permissions": SOME}
        made = [call(app, "POST", KEYS, asked, headers_for(root)).json]
        made.append(call(app, "POST", f"{KEYS}/{made[0]['prefix']}/rotate", {}, headers_for(root)).json)
        for each in made:
            assert status(app, each["key"]) == 200
            assert status(app, each["key"][:-1] + "!") == 401
            assert call(app, "POST", KEYS, {"name": each["key"], "wrong": each["key"]}, headers_for(root)).status == 400
        paths = (KEYS, f"{KEYS}/{made[0]['prefix']}", "/admin/key-changes", "/admin/stats")
        told = b"".join(call(app, "GET", path, headers=headers_for(root)).body for path in paths)
        backup = call(app, "GET", "/admin/backup", headers=headers_for(root))
        assert backup.status == 200
    stored = b"".join(file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())
    logged = "\n".join(record.getMessage() for record in caplog.records).encode()
    places = {"told": told, "backup": backup.body, "stored": stored, "logged": logged}
    for name, place in places.items():
        assert made[0]["prefix"].encode() in place, name
        for key in (root, *(each["key"] for each in made)):
            assert key.partition(FIXED_PART)[2].encode() not in place, name
    assert made[0]["key"] != made[1]["key"]
