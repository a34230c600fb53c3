"""Reads at a version of the past: what `X-CRDTSTORE-AT` gives, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.http.server import Application
from tests.http.calling import Answered, call, headers_for

FIND = "/api/v3/store/find"
FIND_BY_ID = "/api/v3/store/findbyid"
ASKED = {"collection": "c", "query": "true", "id": "a"}


def read(app: Application, key: str, at: Any, path: str = FIND, **more: str) -> Answered:
    """Read at a version."""
    return call(app, "POST", path, ASKED, headers_for(key, **more) | {"x-crdtstore-at": str(at)})


@pytest.mark.parametrize("path", [FIND, FIND_BY_ID])
def test_a_pinned_version_is_answered_as_it_was(store: Store, app: Application, key: str, path: str) -> None:
    store.write([Upsert("c", {"n": 1}, id="a")])
    with store.pin():
        for number in (2, 3):
            store.write([Upsert("c", {"n": number}, id="a")])
        for at in (1, 3):
            answered = read(app, key, at, path)
            row = answered.json["documents"][0] if path == FIND else answered.json["document"]
            assert (answered.status, row) == (200, {"id": "a", "fields": {"n": at}})
            assert answered.json["txnId"] == at
            assert answered.headers["x-ditto-txn-id"] == str(at)
        refused = read(app, key, 2, path)
    assert refused.status == 410
    assert refused.json["error"]["data"] == {"asked": 2, "nearest": 1, "oldest": 1, "code": "version-not-retained"}
    assert read(app, key, 1, path).status == 410


@pytest.mark.parametrize("path", [FIND, FIND_BY_ID])
def test_a_version_that_is_not_applied_is_not_waited_for(app: Application, key: str, path: str) -> None:
    refused = read(app, key, 1, path)
    assert (refused.status, refused.json["error"]["data"]["code"]) == (404, "version-not-available")


@pytest.mark.parametrize("at", ["", "-1", "1.5", "x", str(2**63)])
def test_a_version_that_is_no_number_is_refused(app: Application, key: str, at: str) -> None:
    refused = read(app, key, at)
    assert refused.status == 400
    assert "X-CRDTSTORE-AT" in refused.json["message"]


def test_a_read_may_wait_for_its_version(store: Store, app: Application, key: str) -> None:
    store.write([Upsert("c", {"n": 1}, id="a")])
    assert read(app, key, 1, txn="1").json["txnId"] == 1
