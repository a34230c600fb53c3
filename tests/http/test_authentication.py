"""Who is let in: every combination of credential and route, and that a refusal tells nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application, application
from tests.http.calling import call, headers_for
from tests.http.samples import GENERAL as BODY
from tests.http.samples import OPEN, SAMPLES, STRANGERS, Sample

NOWHERE = Sample("POST", "/not/a/route", "application/json", b"{}", 404)
CLOSED = [sample for sample in SAMPLES if sample.target not in OPEN | STRANGERS]


def credentials(key: str, other: str) -> dict[str, str | None]:
    """Name the ways in which a caller may come; only the last three are right."""
    prefix, suffix = key.split(FIXED_PART)
    other_prefix, other_suffix = other.split(FIXED_PART)
    last = "A" if suffix[-1] != "A" else "B"
    return {
        "none": None,
        "empty": "",
        "scheme alone": "Bearer",
        "nothing after the scheme": "Bearer ",
        "another scheme": f"Basic {key}",
        "without the scheme": key,
        "no key at all": "Bearer wrong",
        "wrong suffix": f"Bearer {prefix}{FIXED_PART}{suffix[:-1]}{last}",
        "short suffix": f"Bearer {prefix}{FIXED_PART}{suffix[:-1]}",
        "suffix of another key": f"Bearer {prefix}{FIXED_PART}{other_suffix}",
        "prefix of another key": f"Bearer {other_prefix}{FIXED_PART}{suffix}",
        "unknown prefix": f"Bearer {'0' * 12}{FIXED_PART}{suffix}",
        "more after it": f"Bearer {key}A",
        "two keys": f"Bearer {key}, Bearer {other}",
        "not ASCII": f"Bearer {key}é",
        "very long": f"Bearer {key}{'a' * 20_000}",
        "right": f"Bearer {key}",
        "right, small scheme": f"bearer {key}",
        "right, other key": f"Bearer {other}",
    }


NAMES = list(credentials(f"a{FIXED_PART}b", f"c{FIXED_PART}d"))


@pytest.mark.parametrize("sample", [*CLOSED, NOWHERE], ids=lambda sample: f"{sample.method} {sample.target}")
@pytest.mark.parametrize("name", NAMES)
def test_only_a_known_key_is_let_in(
    store: Store, keyring: KeyRing, app: Application, key: str, sample: Sample, name: str
) -> None:
    other = keyring.create("other", Permission.full())
    headers = headers_for(key)
    del headers["authorization"]
    credential = credentials(key, other)[name]
    if credential is not None:
        headers["authorization"] = credential
    headers["content-type"] = sample.content_type
    answered = call(app, sample.method, sample.target, sample.body, headers)
    if name.startswith("right"):
        assert answered.status == sample.status
    else:
        assert (answered.status, answered.code, store.applied) == (401, "unauthenticated", 0)
        assert answered.headers["www-authenticate"] == 'Bearer realm="crdtstore"'


@pytest.mark.parametrize("path", sorted(OPEN))
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}], ids=["none", "wrong"])
def test_an_open_route_needs_no_key(app: Application, path: str, headers: dict[str, str]) -> None:
    assert call(app, "GET", path, None, headers).status == 200
    assert call(app, "POST", path, None, headers).status == 405
    assert call(app, "GET", path, None, {**headers, "host": "elsewhere"}).status == 403


@pytest.mark.parametrize("path", sorted(OPEN))
def test_no_body_is_read_for_a_stranger(app: Application, path: str) -> None:
    answered = call(app, "GET", path, {}, {"content-type": "application/json"})
    assert (answered.status, answered.code) == (401, "unauthenticated")


def test_every_refusal_has_the_same_body(keyring: KeyRing, app: Application, key: str) -> None:
    other = keyring.create("other", Permission.full())
    bodies = set()
    for name, credential in credentials(key, other).items():
        if not name.startswith("right"):
            headers = headers_for(key, authorization=credential or "")
            bodies.add(call(app, "POST", "/api/v3/store/find", BODY, headers).body)
    assert len(bodies) == 1


def test_a_revoked_key_is_refused_at_once(keyring: KeyRing, app: Application, key: str) -> None:
    assert call(app, "POST", "/api/v3/store/find", BODY, headers_for(key)).status == 200
    keyring.revoke(key.partition(FIXED_PART)[0])
    assert call(app, "POST", "/api/v3/store/find", BODY, headers_for(key)).status == 401


class Explosive:
    """A store that fails in a way that nobody foresaw, with the worst text that could be in the error."""

    def __init__(self, store: Store, secret: str) -> None:
        self.store, self.secret = store, secret

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def find(self, *arguments: object, **more: object) -> None:
        raise RuntimeError("a bug, and no secret: " + self.secret.partition(FIXED_PART)[0])


def test_the_plain_key_stands_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Make a key, use it well and badly, and look for it in the log, the store's files and all answers."""
    caplog.set_level(logging.DEBUG)
    said = bytearray()
    with Store.open(tmp_path / "store") as store:
        keyring = KeyRing(store)
        key, other = (keyring.create(name, Permission.full()) for name in ("canary", "other"))
        for served in (store, Explosive(store, key)):
            app = application(served, keyring)  # type: ignore[arg-type]  # a double of the store
            for name, credential in credentials(key, other).items():
                for sample in (*SAMPLES, Sample("POST", f"/{key}", "application/json", b"{}")):
                    headers = headers_for(key, authorization=credential or "")
                    answered = call(app, sample.method, f"{sample.target}?{key}", BODY, headers)
                    said += answered.body + repr(answered.headers).encode()
                    assert name.startswith("right") or answered.status == 401 or sample.target in STRANGERS
    stored = b"".join(file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())
    logged = "\n".join(logging.Formatter("%(message)s").format(record) for record in caplog.records).encode()
    prefix, suffix = (part.encode() for part in key.split(FIXED_PART))
    for place in (said, stored, logged):
        assert suffix not in place
        assert suffix[:16] not in place
    assert prefix in stored, "the search would not find it either if it were there"
    assert b"RuntimeError: a bug" in logged
    assert b"a bug" not in said
