"""The routes of whoever runs the store: what they answer, and to whom.

Rules: each test is one promise of `docs/http.md`.
"""

from __future__ import annotations

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application
from tests.http.calling import as_raw, call, headers_for, raw, serving

STATS = "/admin/stats"


def test_stats_are_those_of_the_store(store: Store, app: Application, key: str) -> None:
    store.write([Upsert("c", {"n": 1}, id="a"), Upsert("d", {"n": 1}, id="a")])
    answered = call(app, "GET", STATS, headers={"authorization": f"Bearer {key}"})
    assert (answered.status, answered.json) == (200, store.stats().as_dict())
    assert answered.json["collections"] == {"c": 1, "d": 1}
    assert answered.headers["x-ditto-txn-id"] == "1"
    assert "connection" not in answered.headers


def test_stats_need_a_key(app: Application) -> None:
    answered = call(app, "GET", STATS)
    assert (answered.status, answered.code) == (401, "unauthenticated")


@pytest.mark.parametrize("verbs", [frozenset({"read"}), frozenset({"write"}), frozenset()])
def test_stats_need_a_key_that_may_do_everything(app: Application, keyring: KeyRing, verbs: frozenset[str]) -> None:
    lesser = keyring.create("lesser", Permission.of(verbs))
    answered = call(app, "GET", STATS, headers={"authorization": f"Bearer {lesser}"})
    assert (answered.status, answered.code, answered.headers["x-ditto-txn-id"]) == (403, "forbidden", "0")
    assert answered.json["error"]["data"]["missing"] == sorted({"read", "write"} - verbs)


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE"])
def test_stats_are_only_read(app: Application, key: str, method: str) -> None:
    answered = call(app, method, STATS, {}, headers_for(key))
    assert (answered.status, answered.headers["allow"]) == (405, "GET")


def test_a_body_of_json_is_ignored_and_any_other_refused(app: Application, key: str) -> None:
    assert call(app, "GET", STATS, b"{", headers_for(key)).status == 200
    answered = call(app, "GET", STATS, b"{}", headers_for(key) | {"content-type": "text/plain"})
    assert (answered.status, answered.headers["connection"]) == (415, "close")


def test_only_a_route_without_a_body_does_without_its_type(app: Application, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    assert call(app, "GET", "/api/v3/store/find", headers=headers).status == 415


def test_over_a_socket_the_connection_goes_on(app: Application, key: str) -> None:
    with serving(app) as address:
        one = as_raw("GET", STATS, {"Authorization": f"Bearer {key}"})
        last = as_raw("GET", STATS, {"Authorization": f"Bearer {key}", "Connection": "close"})
        answered = raw(address, one + last)
    assert [answer.status for answer in answered] == [200, 200]
