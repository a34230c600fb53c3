"""Indexes of the API, how far a store is, and what a caller prefers: how long to wait, how errors are written."""

from __future__ import annotations

import pytest

from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application
from crdtstore.http.store.version import VERSIONS
from tests.http.calling import call, headers_for, upsert


@pytest.mark.parametrize("root", ["/", *(f"/api/{version}" for version in VERSIONS)])
def test_an_index_lists_what_is_below_it(app: Application, key: str, root: str) -> None:
    answered = call(app, "GET", root, headers=headers_for(key))
    assert answered.status == 200
    listed = {(route["path"], tuple(route["methods"])) for route in answered.json["routes"]}
    below = root.rstrip("/") + "/"
    assert listed == {(route.path, route.methods) for route in ROUTES if route.path.startswith(below)}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_root_is_found_with_a_slash_at_its_end(app: Application, key: str, version: str) -> None:
    with_slash, without = (call(app, "GET", f"/api/{version}{end}", headers=headers_for(key)) for end in ("/", ""))
    assert (with_slash.status, with_slash.body) == (200, without.body)
    assert call(app, "GET", f"/api/{version}//", headers=headers_for(key)).status == 404
    assert call(app, "POST", f"/api/{version}/store/write/", upsert("a"), headers_for(key)).status == 404


def test_a_transaction_is_told(app: Application, key: str) -> None:
    call(app, "POST", "/api/v3/store/write", upsert("a", n=1), headers_for(key))
    answered = call(app, "GET", "/txn", headers=headers_for(key))
    assert answered.json == {"committed": 1, "applied": 1, "stable": 1, "oldestReadable": 1}
    assert answered.headers["x-ditto-txn-id"] == "1"


@pytest.mark.parametrize("prefer", ["wait=0", "respond-async, Wait = 0", 'return=minimal, wait="0"; strict'])
def test_who_does_not_want_to_wait_is_answered_at_once(app: Application, key: str, prefer: str) -> None:
    app.wait_seconds = 3_600
    body = {"collection": "c", "query": "true"}
    answered = call(app, "POST", "/api/v3/store/find", body, headers_for(key, txn="7", prefer=prefer))
    assert (answered.status, answered.code) == (404, "version-not-available")


@pytest.mark.parametrize("prefer", ["wait=9", "wait=-1", "wait", "wait=0.5", "x=1"])
def test_nobody_waits_longer_than_the_server_does(app: Application, key: str, prefer: str) -> None:
    app.wait_seconds = 0
    body = {"collection": "c", "query": "true"}
    answered = call(app, "POST", "/api/v3/store/find", body, headers_for(key, txn="7", prefer=prefer))
    assert (answered.status, answered.code) == (404, "version-not-available")


@pytest.mark.parametrize("path", ["/api/v3/store/find", "/api/v4/store/execute", "/nowhere", "/api/v1"])
def test_problem_details_are_given_to_who_asks(app: Application, key: str, path: str) -> None:
    headers = headers_for(key, accept="application/problem+json, application/json;q=0.5")
    answered = call(app, "POST", path, b'{"collection": 1', headers)
    assert answered.headers["content-type"] == "application/problem+json"
    assert answered.json["status"] == answered.status >= 400
    assert answered.json["type"].startswith("urn:crdtstore:error:")
    assert answered.json["detail"]
    plain = call(app, "POST", path, b'{"collection": 1', headers_for(key))
    assert plain.status == answered.status
    assert plain.headers["content-type"] == "application/json"


def test_each_version_writes_errors_in_its_form(app: Application, key: str) -> None:
    keys = {
        path: set(call(app, "POST", path, b"{}", headers_for(key)).json)
        for path in ("/api/v1", "/api/v3/store/find", "/api/v4/store/find", "/api/v5/store/execute")
    }
    statement = {"queryType", "items", "mutatedDocumentIds", "warnings", "error", "totalWarningsCount"}
    assert keys == {
        "/api/v1": {"error"},
        "/api/v3/store/find": {"message", "error"},
        "/api/v4/store/find": {"message", "error"},
        "/api/v5/store/execute": statement,
    }
