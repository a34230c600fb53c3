"""Distinct values over HTTP: the documented shape, by collection and filter, within its time."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application
from crdtstore.limits import DISTINCT_VALUES_MAX
from tests.http.calling import Answered, call, headers_for

PLACE = "/api/v1/collections/things/distinct_values"
PATHS = ["widgets", "nested.device_id", "nested.tags[*]", "nested", "nested.tags"]


@pytest.fixture
def things(store: Store) -> None:
    nested = [{"device_id": "device1", "tags": ["tag1"]}, {"device_id": "device2", "tags": ["tag1", "tag2"]}]
    store.write([Upsert("things", {"widgets": n + 1, "nested": nested[n]}, id=str(n)) for n in range(2)])


def ask(app: Application, key: str, body: Any, **headers: str) -> Answered:
    return call(app, "POST", PLACE, body, {**headers_for(key), **headers})


@pytest.mark.usefixtures("things")
def test_values_stand_under_the_paths_that_were_asked_for(app: Application, key: str) -> None:
    answered = ask(app, key, {"filter": "true", "paths": PATHS, "timeout_millis": 5_000})
    assert (answered.status, answered.headers["x-ditto-txn-id"]) == (200, "1")
    assert answered.json == {
        "item": {
            "widgets": [1, 2],
            "nested.device_id": ["device1", "device2"],
            "nested.tags[*]": ["tag1", "tag2"],
            "nested": [{}],
            "nested.tags": [[]],
        }
    }
    assert cbor2.loads(ask(app, key, {"paths": PATHS}, accept="application/cbor").body) == answered.json


@pytest.mark.usefixtures("things")
def test_a_filter_says_which_documents(app: Application, key: str) -> None:
    assert ask(app, key, {"filter": "widgets > 1", "paths": ["_id"]}).json == {"item": {"_id": ["1"]}}
    for every in ({}, {"filter": None}, {"filter": ""}):
        assert ask(app, key, {**every, "paths": ["_id"]}).json == {"item": {"_id": ["0", "1"]}}
    assert ask(app, key, {"paths": []}).json == {"item": {}}


def test_a_collection_that_is_not_there_is_empty(app: Application, key: str) -> None:
    assert ask(app, key, {"paths": ["a"]}).json == {"item": {"a": []}}


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        [],
        {"paths": None},
        {"paths": "a"},
        {"paths": [1]},
        {"paths": ["a[0]"]},
        {"paths": ["a"], "filter": "("},
        {"paths": ["a"], "timeout_millis": -1},
    ],
)
def test_what_does_not_fit_is_refused(app: Application, key: str, body: Any) -> None:
    refused = ask(app, key, body)
    assert (refused.status, list(refused.json)) == (400, ["error"])


def test_too_many_values_are_refused(app: Application, store: Store, key: str) -> None:
    store.write([Upsert("things", {"many": list(range(DISTINCT_VALUES_MAX + 1))}, id=1)])
    refused = ask(app, key, {"paths": ["many[*]"]})
    assert (refused.status, refused.json["error"]["data"]["limit"]) == (400, "DISTINCT_VALUES_MAX")


def test_a_search_that_takes_too_long_is_told(app: Application, store: Store, key: str) -> None:
    store.write([Upsert("things", {"n": n}, id=n) for n in range(1_000)])
    late = ask(app, key, {"paths": ["n"], "timeout_millis": 0})
    assert (late.status, late.code) == (408, "statement-timeout")


@pytest.mark.usefixtures("things")
def test_who_may_not_read_finds_no_values(app: Application, keyring: KeyRing) -> None:
    lesser = keyring.create("lesser", Permission.of(frozenset({"read"}), frozenset({"other"})))
    answered = ask(app, lesser, {"paths": ["a"]})
    assert (answered.status, answered.json) == (200, {"item": {"a": []}})
