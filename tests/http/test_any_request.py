"""Whatever is sent, the answer is one of ours: never an error that nobody foresaw.

Rules: hypothesis makes bodies that are nearly right, since those get furthest. What may be stored is stored
in memory. A planted bug shows that the check sees one.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Store
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.errors import InvalidValue
from crdtstore.http.request import JSON_LINES
from crdtstore.http.server import Application, application
from tests.http.calling import Answered, call, headers_for
from tests.http.samples import SAMPLES

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["true", "a == 1", "_id == 'a'", "startsWith(a, 'b')", "$args.a", "c", "a.b", "a[0]", "_id"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "_id", "", "a.b", "\x00"]), inner, max_size=3)
    ),
    max_leaves=6,
)
COMMANDS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["upsert", "update", "remove"]),
        "collection": st.sampled_from(["c", "d"]) | VALUES,
    },
    optional={
        "id": VALUES,
        "value": st.dictionaries(st.text(max_size=4), VALUES, max_size=3) | VALUES,
        "query": SCALARS,
        "args": st.dictionaries(st.sampled_from("ab"), VALUES) | VALUES,
        "valueTypeOverrides": st.dictionaries(st.text(max_size=4), st.sampled_from(["counter", "register", "x"])),
        "commands": st.lists(
            st.fixed_dictionaries(
                {"method": st.sampled_from(["set", "increment", "replaceWithCounter"]), "path": SCALARS},
                optional={"value": VALUES},
            ),
            max_size=3,
        ),
    },
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "commands": st.lists(COMMANDS, max_size=4) | VALUES,
        "collection": st.just("c") | VALUES,
        "query": SCALARS,
        "args": st.dictionaries(st.sampled_from("ab"), VALUES) | VALUES,
        "limit": st.integers(-1, 20) | VALUES,
        "offset": st.integers(-1, 3) | VALUES,
        "id": VALUES,
        "serializedAs": st.just("latestValues") | VALUES,
    },
)
PATHS = st.sampled_from(sorted({sample.target for sample in SAMPLES}))
HEADER_VALUES = st.sampled_from(["", "0", "1", "x", "99999999999999999999", "\xff", "a, b"]) | st.text(
    st.characters(max_codepoint=255), max_size=12
)
NAMES = [
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "authorization",
    "x-ditto-txn-id",
    "accept",
]


def check(answered: Answered) -> None:
    """Refuse an answer that is not one of ours."""
    assert answered.status < 500, answered
    assert answered.headers["x-ditto-txn-id"].isdigit()
    if answered.headers["content-type"] == JSON_LINES.media_type.decode():
        assert answered.status == 200
        assert all(isinstance(json.loads(line), dict) for line in answered.body.splitlines())
        return
    if answered.headers["content-type"].startswith("text/html"):
        assert answered.status == 200
        return
    assert isinstance(answered.json, dict)
    assert ("error" in answered.json) == (answered.status >= 300)


@pytest.fixture(scope="module")
def served() -> tuple[Application, str]:
    store = Store.in_memory()
    keyring = KeyRing(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api_key, "SCRYPT_N", 2)
        key = keyring.create("a", Permission.full())
    return application(store, keyring, wait_seconds=0), key


@given(path=PATHS, body=BODIES)
@settings(max_examples=150)
def test_any_body_that_is_nearly_right(served: tuple[Application, str], path: str, body: Any) -> None:
    application_, key = served
    check(call(application_, "POST", path, json.dumps(body).encode(), headers_for(key)))


@given(path=PATHS, body=st.binary(max_size=40))
def test_any_bytes(served: tuple[Application, str], path: str, body: bytes) -> None:
    application_, key = served
    check(call(application_, "POST", path, body, headers_for(key)))


@given(path=PATHS, name=st.sampled_from(NAMES), value=HEADER_VALUES, method=st.sampled_from(["GET", "POST", "X"]))
def test_any_header(served: tuple[Application, str], path: str, name: str, value: str, method: str) -> None:
    application_, key = served
    body = {"collection": "c", "query": "true", "id": "a", "commands": []}
    check(call(application_, method, path, body, {**headers_for(key), name: value}))


def test_an_error_that_cannot_be_written_is_one_of_ours_too(
    served: tuple[Application, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **more: object) -> None:
        raise InvalidValue("Bad.", unwritable={b"\xff": "\ud800"})

    application_, key = served
    monkeypatch.setattr(Store, "get", fail)
    answered = call(application_, "POST", "/api/v3/store/findbyid", {"collection": "c", "id": 1}, headers_for(key))
    assert (answered.status, answered.code) == (500, "error")


def test_a_bug_is_seen(served: tuple[Application, str], monkeypatch: pytest.MonkeyPatch) -> None:
    application_, key = served
    monkeypatch.setattr(Store, "find", lambda *arguments, **more: 1 / 0)
    answered = call(application_, "POST", "/api/v3/store/find", {"collection": "c", "query": "true"}, headers_for(key))
    assert answered.status == 500
    with pytest.raises(AssertionError):
        check(answered)
