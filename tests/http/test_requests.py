"""What is refused before a body is read: framing, hosts, doubled headers, sizes, types, methods, routes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from crdtstore import Store, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.http.request import Request
from crdtstore.http.server import Application, application
from tests.http.calling import ACTOR, Answered, call, exchange, headers_for, upsert

WRITE = "/api/v3/store/write"
FIND = "/api/v3/store/find"


def post(app: Application, headers: Mapping[str, str] | list[tuple[str, str]], **more: Any) -> Answered:
    return call(app, "POST", WRITE, upsert("a", n=1), headers, **more)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", "Bearer x"),
        ("content-type", "application/json"),
        ("host", "localhost"),
        ("x-ditto-client-id", ACTOR),
        ("x-ditto-txn-id", "0"),
        ("content-length", "1"),
    ],
)
def test_a_header_that_decides_about_security_comes_once(
    store: Store, app: Application, key: str, name: str, value: str
) -> None:
    headers = {"host": "localhost", "content-length": "9", "x-ditto-txn-id": "0", **headers_for(key)}
    answered = post(app, [*headers.items(), (name, value)])
    assert (answered.status, answered.code, store.applied) == (400, "malformed-request", 0)
    assert name in answered.json["message"]
    assert answered.headers["connection"] == "close"


def test_other_headers_may_come_often(app: Application, key: str) -> None:
    assert post(app, [*headers_for(key).items(), ("accept", "a"), ("accept", "b")]).status == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "[::1]:1"],
)
def test_the_loopback_is_answered(app: Application, key: str, host: str) -> None:
    assert post(app, {**headers_for(key), "host": host}).status == 200


@pytest.mark.parametrize("host", ["example.org", "127.0.0.1.example.org", "localhost.", "10.0.0.1"])
def test_a_foreign_host_is_refused(store: Store, app: Application, key: str, host: str) -> None:
    answered = post(app, {**headers_for(key), "host": host})
    assert (answered.status, answered.code, store.applied) == (403, "forbidden", 0)


@pytest.mark.parametrize("host", ["", " ", "a b", "localhost:", "localhost:x", "user@localhost", "a/b", "a,b"])
def test_a_host_that_is_none_is_refused(app: Application, key: str, host: str) -> None:
    assert post(app, {**headers_for(key), "host": host}).status == 400


def test_a_missing_host_is_refused(app: Application, key: str) -> None:
    request = exchange("POST", WRITE, upsert("a", n=1), headers_for(key))
    request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"host"]
    asyncio.run(app(request.scope, request.receive, request.send))
    assert request.answered.status == 400


def test_the_address_that_is_listened_on_is_answered(app: Application, key: str) -> None:
    for address, host in (("192.0.2.7", "192.0.2.7:80"), ("2001:db8::7", "[2001:db8::7]")):
        request = exchange("POST", FIND, {"collection": "c", "query": "true"}, headers_for(key, host=host))
        request.scope["server"] = (address, 80)
        asyncio.run(app(request.scope, request.receive, request.send))
        assert request.answered.status == 200


def test_a_list_of_hosts_replaces_the_default(store: Store, keyring: KeyRing, key: str) -> None:
    app = application(store, keyring, hosts=["Store.example.org"])
    assert post(app, {**headers_for(key), "host": "store.EXAMPLE.org:443"}).status == 200
    assert post(app, {**headers_for(key), "host": "localhost"}).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"transfer-encoding": "chunked", "content-length": "5"}, 400),
        ({"transfer-encoding": "gzip, chunked"}, 400),
        ({"content-length": "x"}, 400),
        ({"content-length": "-1"}, 400),
        ({"content-length": "9" * 19}, 400),
        ({"content-length": str(limits.BODY_BYTES_MAX + 1)}, 413),
        ({"x-padding": "a" * limits.HEADER_BYTES_MAX}, 431),
        ({f"x-{i}": "a" for i in range(limits.HEADERS_MAX)}, 431),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json-l"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=utf-16"}, 415),
        ({"content-type": 'application/json;charset="latin1"'}, 415),
    ],
)
def test_a_bad_head_is_refused_before_the_body_is_read(
    store: Store, app: Application, key: str, headers: dict[str, str], status: int
) -> None:
    request = exchange("POST", WRITE, upsert("a", n=1), {**headers_for(key), **headers})
    asyncio.run(app(request.scope, request.receive, request.send))
    answered = request.answered
    assert (answered.status, answered.json["error"]["code"]) == (status, status)
    assert answered.headers["connection"] == "close", "what follows on the connection would be the body"
    assert request.parts, "the body was read"
    assert store.applied == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=UTF-8",
        'application/json;charset="utf-8"',
    ],
)
def test_json_in_utf_8_is_read(app: Application, key: str, content_type: str) -> None:
    assert post(app, {**headers_for(key), "content-type": content_type}).status == 200


def test_a_body_without_content_type_is_refused(app: Application, key: str) -> None:
    headers = headers_for(key)
    del headers["content-type"]
    assert post(app, headers).status == 415


@pytest.mark.parametrize(("extra", "status"), [(0, 404), (1, 414)])
def test_the_target_is_bounded(app: Application, key: str, extra: int, status: int) -> None:
    path = "/" + "a" * 4_000
    query = "b" * (limits.TARGET_BYTES_MAX - len(path) + extra)
    assert call(app, "POST", f"{path}?{query}", {}, headers_for(key)).status == status


@pytest.mark.parametrize("version", ["0.9", "1.2", "4"])
def test_an_unknown_version_of_http_is_refused(app: Application, key: str, version: str) -> None:
    assert post(app, headers_for(key), version=version).status == 400


def test_http_1_0_is_answered(app: Application, key: str) -> None:
    assert post(app, headers_for(key), version="1.0").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/v3/store",
        "/api/v3/store/",
        "/api/v3/store/write/",
        "/api/v3/store/WRITE",
        "/api/v3/store/%77rite",
        "/api/v3/../v3/store/write",
        "/api/v3/%2e%2e/v3/store/write",
        "//api/v3/store/write",
        "/api/v3/store/write;a",
        "/api/v3/store/write%00",
    ],
)
def test_what_is_no_route_is_not_found(store: Store, app: Application, key: str, path: str) -> None:
    answered = call(app, "POST", path, upsert("a", n=1), headers_for(key))
    assert (answered.status, answered.code, store.applied) == (404, "not-found", 0)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", WRITE, "POST"),
        ("PUT", WRITE, "POST"),
        ("HEAD", WRITE, "POST"),
        ("DELETE", FIND, "GET, POST"),
        ("OPTIONS", FIND, "GET, POST"),
        ("TRACE", FIND, "GET, POST"),
        ("TRACE", "/api/v3/store", "GET, POST"),
        ("CONNECT", "/nowhere", "GET, POST"),
        ("BREW", "/", "GET"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_refused(
    store: Store, app: Application, key: str, method: str, path: str, allow: str
) -> None:
    answered = call(app, method, path, upsert("a", n=1), headers_for(key))
    assert (answered.status, answered.headers["allow"], store.applied) == (405, allow, 0)


def test_methods_are_not_overridden_by_a_header(app: Application, key: str) -> None:
    headers = {**headers_for(key), "x-http-method": "POST", "x-http-method-override": "POST"}
    assert call(app, "GET", WRITE, upsert("a", n=1), headers).status == 405


def test_a_body_that_grows_beyond_its_bound_is_refused(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_BYTES_MAX", 10)
    request = exchange("POST", WRITE, b"", {**headers_for(key), "transfer-encoding": "chunked"})
    request.parts = [b"12345", b"12345", b"1", b"never read"]
    asyncio.run(app(request.scope, request.receive, request.send))
    assert request.answered.status == 413
    assert request.answered.headers["connection"] == "close"
    assert request.parts == [b"never read"]


def test_a_body_in_parts_is_joined(store: Store, app: Application, key: str) -> None:
    request = exchange("POST", WRITE, upsert("a", n=1), headers_for(key))
    whole = request.parts[0]
    request.parts = [whole[:10], b"", whole[10:]]
    asyncio.run(app(request.scope, request.receive, request.send))
    assert (request.answered.status, store.applied) == (200, 1)


def test_a_body_that_does_not_arrive_in_time_is_refused(store: Store, keyring: KeyRing, key: str) -> None:
    app = application(store, keyring, body_seconds=0)
    request = exchange("POST", WRITE, b"", {**headers_for(key), "content-length": "9"})
    request.parts = []
    asyncio.run(app(request.scope, request.receive, request.send))
    assert (request.answered.status, request.answered.headers["connection"]) == (408, "close")


def test_a_caller_who_leaves_within_the_body_is_not_answered(store: Store, app: Application, key: str) -> None:
    request = exchange("POST", WRITE, b"", headers_for(key))
    request.parts = []
    request.leave()
    asyncio.run(app(request.scope, request.receive, request.send))
    assert request.sent == []
    assert store.applied == 0


def test_a_request_is_printed_without_what_is_secret() -> None:
    request = Request("POST", "/a", {b"authorization": b"Bearer secret"})
    assert "secret" not in repr(request)


def test_the_query_string_is_no_place_for_a_key(app: Application, key: str) -> None:
    answered = call(app, "GET", f"{FIND}?api_key={key}", {"collection": "c", "query": "true"})
    assert answered.status == 401
    assert key.encode() not in answered.body


@pytest.mark.parametrize("name", ["x-ditto-ensure-insert", "x-ditto-ensure-delete", "x-hydra-ensure-insert"])
def test_what_is_ensured_holds_anyway(app: Application, key: str, name: str) -> None:
    """An upsert comes after the removal that was applied before it, with the header and without."""
    remove = {"commands": [{"method": "remove", "collection": "c", "query": "true"}]}
    for more in ({}, {name: "true"}, {name: "false"}):
        for body in (upsert("a", n=1), remove, upsert("a", m=2)):
            assert call(app, "POST", WRITE, body, headers_for(key, **more)).status == 200
        found = call(app, "POST", FIND, {"collection": "c", "query": "true"}, headers_for(key, **more))
        assert found.json["documents"] == [{"id": "a", "fields": {"m": 2}}]
