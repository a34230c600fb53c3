"""A key is told once, to who makes it: it stands in no log, no error, no file of the store, and no backup."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.auth.session import Session
from crdtstore.http.server import Application, application
from tests.http.calling import Answered, call, headers_for, upsert
from tests.http.samples import SAMPLES


def ask_all(app: Application, key: str) -> list[Answered]:
    """Every route with a key, and requests that fail with it in many ways."""
    headers = headers_for(key)
    good = [
        call(app, sample.method, sample.target, sample.body, {**headers, "content-type": sample.content_type})
        for sample in SAMPLES
        if "/live" not in sample.target
    ]
    bad = [
        call(app, "GET", "/nowhere", None, headers),
        call(app, "POST", "/api/v4/store/write", b"{", headers),
        call(app, "POST", "/api/v4/store/write", upsert("a", n={"$": 1}), {**headers, "x-ditto-client-id": "x"}),
        call(app, "GET", "/txn", None, {**headers, "authorization": f"Bearer {key}x"}),
        call(app, "GET", "/txn", None, {**headers, "authorization": f"Basic {key}"}),
        call(app, "GET", "/txn", None, {**headers, "host": "evil.example"}),
        call(app, "GET", f"/txn?api_key={key}", None, {}),
    ]
    return [*good, *bad]


def test_a_key_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG)
    with Store.open(tmp_path / "store") as store:
        keyring = KeyRing(store)
        app = application(store, keyring)
        first = keyring.create("first", Permission.full())
        made = call(app, "POST", "/admin/keys", {"name": "new", "permissions": ALL}, headers_for(first))
        keys = [first, made.json["key"]]
        path = f"/admin/keys/{keys[1].partition(FIXED_PART)[0]}/rotate"
        keys.append(call(app, "POST", path, {}, headers_for(first)).json["key"])
        answers = [answered for key in keys for answered in ask_all(app, key)]
        monkeypatch.setattr(Session, "find", broken)
        answers += [call(app, "POST", "/api/v4/store/find", FIND, headers_for(key)) for key in keys]
        assert answers[-1].status == 500
        keyring.uses.write()
        backup = call(app, "GET", "/admin/backup", None, headers_for(first)).body
        app.threads.shutdown()
    secrets = [key.partition(FIXED_PART)[2] for key in keys]
    logged = "\n".join(caplog.handler.format(record) for record in caplog.records)
    assert "Traceback" in logged
    assert backup
    files = b"".join(file.read_bytes() for file in sorted((tmp_path / "store").rglob("*")) if file.is_file())
    assert all(key.partition(FIXED_PART)[0].encode() in files for key in keys), "else nothing was looked at"
    told = b"".join(answered.body + repr(answered.headers).encode() for answered in answers)
    places = {"log": logged.encode(), "answers": told, "files": files, "backup": backup}
    assert leaks(secrets, places) == []


def leaks(secrets: list[str], places: dict[str, bytes]) -> list[str]:
    """The places in which a secret stands."""
    return [name for name, place in places.items() if any(secret.encode() in place for secret in secrets)]


@pytest.mark.parametrize("leak", ["key {}", "Bearer {}\n", "{}"])
def test_a_planted_leak_is_seen(leak: str) -> None:
    assert leaks(["other", "secret"], {"log": leak.format("secret").encode(), "backup": b"none"}) == ["log"]


def broken(*_: object, **__: object) -> None:
    """A mistake of ours, in the midst of a request."""
    raise RuntimeError("broken")


ALL = {
    "read": {"everything": True, "queriesByCollection": {}},
    "write": {"everything": True, "queriesByCollection": {}},
}
FIND = {"collection": "c", "query": "true"}
