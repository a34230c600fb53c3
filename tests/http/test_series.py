"""Time series over HTTP: events appended, read and removed by spans of time, different values, and expiry.

Rules: what is documented of the API stands with the test that holds it, word for word.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application, application
from crdtstore.limits import COMMANDS_MAX, EVENTS_PIECE
from crdtstore.timeseries.read import read_events
from tests.http.calling import Answered, call, exchange, headers_for
from tests.timeseries.scene import LATE, Clock, written

EVENTS = "/api/v1/timeseries/s/events"
DISTINCT = "/api/v2/timeseries/s/distinct_values"
LINES = "application/json-l"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store.in_memory(clock=clock)


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    return headers_for(key)


def as_lines(events: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def post(app: Application, headers: Mapping[str, str], events: list[dict[str, Any]] | bytes, **more: str) -> Answered:
    """Append events; what else is given are headers."""
    given = {**headers, "content-type": LINES, **{name.replace("_", "-"): value for name, value in more.items()}}
    return call(app, "POST", EVENTS, events if isinstance(events, bytes) else as_lines(events), given)


def get(app: Application, headers: Mapping[str, str], **arguments: str) -> Answered:
    """Ask by a query string."""
    target = f"{EVENTS}?{urlencode(arguments)}" if arguments else EVENTS
    return call(app, "GET", target, None, {name: value for name, value in headers.items() if name != "content-type"})


def items(answered: Answered) -> list[Any]:
    """The events of an answer."""
    assert (answered.status, answered.headers["content-type"]) == (200, LINES)
    return [json.loads(line)["item"] for line in answered.body.splitlines()]


def numbers(answered: Answered) -> list[int]:
    return [item["value"]["n"] for item in items(answered)]


def numbered(*seconds: int) -> list[dict[str, Any]]:
    """Events that are numbered in the order given."""
    return [{"_time": written(second), "n": number} for number, second in enumerate(seconds)]


# --- appending ---


def test_events_are_appended_as_one_transaction(app: Application, headers: dict[str, str]) -> None:
    event = {"_time": "2021-04-20T12:34:56.123456789Z", "temp": {"value": 30, "units": "celsius"}}
    done = post(app, headers, [event, {"_time": "2021-04-20T12:34:57"}])
    assert (done.status, done.json, done.headers["x-ditto-txn-id"]) == (200, {"txn_id": 1}, "1")
    # "Resources which are best represented by a sequence or stream of items are represented by JSONlines, that is new
    # line delimited JSON. This will be indicated by the MIME type `application/json-l`."
    assert items(get(app, headers)) == [
        {"_time": "2021-04-20T12:34:56.123456789Z", "value": {"temp": {"value": 30, "units": "celsius"}}},
        {"_time": "2021-04-20T12:34:57", "value": {}},
    ]


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (b"", "malformed-request", "$[0]"),
        (b"\n \n", "malformed-request", "$[0]"),
        (b'{"_time": "2021-01-01T00:00:00Z"}\n{"a": 1}', "invalid-value", "$[1]._time"),
        (b'{"_time": "2021-13-01T00:00:00Z"}', "invalid-value", "$[0]._time"),
        (b'{"_time": "2021-01-01T00:00:00Z", "_id": 1}', "invalid-value", "$[0]._id"),
        (b'{"_time": "2021-01-01T00:00:00Z", "_expiration": 1}', "invalid-value", "$[0]._expiration"),
        (b'{"_time": "2021-01-01T00:00:00Z"}\n[]', "malformed-request", "$[1]"),
        (b'{"_time": "2021-01-01T00:00:00Z"}\n{"_time"', "malformed-json", "$[1]"),
    ],
)
def test_a_bad_event_is_refused_with_its_place(
    app: Application, headers: dict[str, str], store: Store, body: bytes, code: str, place: str
) -> None:
    refused = post(app, headers, body)
    assert (refused.status, refused.code, list(refused.json)) == (400, code, ["error"])
    assert refused.json["error"]["data"]["path"] == place
    assert store.applied == 0


def test_too_many_events_are_refused(app: Application, headers: dict[str, str]) -> None:
    refused = post(app, headers, b"{}\n" * (COMMANDS_MAX + 1))
    assert (refused.status, refused.json["error"]["data"]["limit"]) == (413, "COMMANDS_MAX")


def test_appending_and_removing_take_a_client_id(app: Application, headers: dict[str, str], store: Store) -> None:
    del headers["x-ditto-client-id"]
    assert post(app, headers, numbered(0)).code == "malformed-client-id"
    assert call(app, "DELETE", EVENTS, None, headers).code == "malformed-client-id"
    assert store.applied == 0


def test_a_transaction_that_is_not_there_yet_refuses_the_events(
    app: Application, headers: dict[str, str], store: Store
) -> None:
    assert post(app, headers, numbered(0), x_ditto_txn_id="5").status == 404
    assert store.applied == 0


def test_a_request_under_a_key_of_its_own_is_done_once(app: Application, headers: dict[str, str]) -> None:
    one, other = (post(app, headers, numbered(0), idempotency_key="k") for _ in range(2))
    assert one.json == other.json == {"txn_id": 1}
    assert numbers(get(app, headers, end=LATE)) == [0]
    again = {**headers, "idempotency-key": "r"}
    target = f"{EVENTS}?end={LATE}"
    assert call(app, "DELETE", target, None, again).json == call(app, "DELETE", target, None, again).json


# --- reading ---


def test_a_span_is_half_open_and_chronological(app: Application, headers: dict[str, str]) -> None:
    post(app, headers, numbered(-3, -1, -2, -1))
    assert numbers(get(app, headers)) == [0, 2, 1, 3]
    assert numbers(get(app, headers, start=written(-3), end=written(-1))) == [0, 2]
    assert numbers(get(app, headers, limit="1")) == [0]
    assert numbers(get(app, headers, filter="n >= 2")) == [2, 3]
    # It is documented: "Empty `end=`/`filter=` mean absent."
    assert numbers(get(app, headers, start="", end="", filter="", limit="", fill_template="")) == [0, 2, 1, 3]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_same_is_asked_in_a_body(app: Application, headers: dict[str, str], method: str) -> None:
    post(app, headers, numbered(-3, -1, -2))
    asked = {"start": written(-3), "end": None, "limit": 5, "filter": "n >= 1", "order_by": [["n", -1]]}
    assert numbers(call(app, method, EVENTS, asked, headers)) == [2, 1]
    assert numbers(call(app, method, EVENTS, {"order_by": [["m", 1], ["n", 1]]}, headers)) == [0, 1, 2]


def test_a_template_is_filled_in_either_way(app: Application, headers: dict[str, str]) -> None:
    post(app, headers, [{"_time": written(-2), "n": 1}, {"_time": written(-1)}])
    template = {"n": "$PREVIOUS", "m": {"a": 0}}
    expected = [{"n": 1, "m": {"a": 0}}, {"n": 1, "m": {"a": 0}}]
    by_body = call(app, "POST", EVENTS, {"fill_template": template}, headers)
    by_string = get(app, headers, fill_template=json.dumps(template))
    assert [item["value"] for item in items(by_body)] == [item["value"] for item in items(by_string)] == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"start": "soon"},
        {"end": "2021-01-01"},
        {"limit": -1},
        {"limit": "x"},
        {"timeout_millis": -1},
        {"describe": "maybe"},
        {"filter": "a =="},
        {"fill_template": "[]"},
        {"order_by": [["n", 0]]},
        {"order_by": [["n"]]},
        {"order_by": "n"},
    ],
)
def test_what_cannot_be_asked_is_refused_in_either_way(
    app: Application, headers: dict[str, str], asked: dict[str, Any]
) -> None:
    for refused in (call(app, "POST", EVENTS, asked, headers), get(app, headers, **asked)):
        assert (refused.status, list(refused.json)) == (400, ["error"]), asked


def test_how_events_would_be_found_is_one_line(app: Application, headers: dict[str, str]) -> None:
    [item] = items(get(app, headers, describe="true", filter="device==1", end=written(0)))
    assert item == {
        "range_scan": {
            "path": ["_time"],
            "start": "1970-01-01T00:00:00.000000000Z",
            "end": "2023-11-14T22:13:20.000000000Z",
        }
    }


def test_a_read_waits_for_its_transaction(app: Application, headers: dict[str, str]) -> None:
    late = get(app, {**headers, "x-ditto-txn-id": "9", "prefer": "wait=0"})
    assert (late.status, late.code) == (404, "version-not-available")


def test_a_series_that_does_not_exist_is_empty(app: Application, headers: dict[str, str]) -> None:
    answered = get(app, headers)
    assert items(answered) == []
    assert answered.headers["x-ditto-txn-id"] == "0"


@pytest.mark.parametrize("asked", [{"timeout_millis": 0}, {"timeout_millis": 0, "order_by": [["n", 1]]}])
def test_what_is_over_before_it_began_is_408(
    app: Application, headers: dict[str, str], asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    post(app, headers, [{"_time": written(-1)}] * EVENTS_PIECE)
    late = call(app, "POST", EVENTS, asked, headers)
    assert (late.status, late.code) == (408, "statement-timeout")


# "An error after streaming began is a final line `{"error":"Timeout"}`."
def test_what_is_over_later_says_so_in_the_last_line(
    app: Application, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    post(app, headers, [{"_time": written(-1), "text": "x" * 1_000}] * 300)
    now = [0.0]
    monkeypatch.setattr("crdtstore.http.lines.monotonic", lambda: now[0])

    async def run() -> Answered:
        request = exchange("POST", EVENTS, {"limit": 300}, headers)
        send = request.send

        async def slow(message: dict[str, Any]) -> None:
            now[0] += 20
            await send(message)

        await app(request.scope, request.receive, slow)
        return request.answered

    answered = asyncio.run(run())
    *lines, last = answered.body.splitlines()
    assert json.loads(last) == {"error": "Timeout"}
    assert 0 < len(lines) < 300
    assert all("item" in json.loads(line) for line in lines)


def test_all_of_a_long_series_is_streamed(app: Application, headers: dict[str, str]) -> None:
    events = numbered(*range(-EVENTS_PIECE * 3, 0))
    post(app, headers, events)
    assert numbers(get(app, headers)) == list(range(len(events)))


# --- removing ---


def test_a_span_is_removed(app: Application, headers: dict[str, str]) -> None:
    post(app, headers, numbered(-3, -2, -1))
    target = f"{EVENTS}?{urlencode({'start': written(-3), 'end': written(-1)})}"
    done = call(app, "DELETE", target, None, headers)
    assert (done.status, done.json) == (200, {"txn_id": 2})
    assert numbers(get(app, {**headers, "x-ditto-txn-id": "2"})) == [2]


@pytest.mark.parametrize("end", [-1, -2])
def test_a_start_that_is_not_earlier_than_the_end_is_refused(
    app: Application, headers: dict[str, str], end: int, store: Store
) -> None:
    target = f"{EVENTS}?{urlencode({'start': written(-1), 'end': written(end)})}"
    refused = call(app, "DELETE", target, None, headers)
    assert (refused.status, refused.code, refused.json["error"]["code"]) == (400, "invalid-value", 400)


# --- different values ---


def test_different_values_in_every_spelling(app: Application, headers: dict[str, str]) -> None:
    events = [
        {"minutes": 1, "nested": {"tags": ["a"], "id": 1}},
        {"minutes": 2, "nested": {"tags": ["a", "b"], "id": 1}},
    ]
    post(app, headers, [{"_time": written(-1), **event} for event in events])
    asked = {"start": None, "end": None, "paths": ["minutes", "nested.tags[*]", "nested", "nested.tags"]}
    answered = call(app, "POST", DISTINCT, asked, headers)
    assert answered.json == {
        "item": {"minutes": [1, 2], "nested.tags[*]": ["a", "b"], "nested": [{}], "nested.tags": [[]]}
    }
    assert answered.headers["x-ditto-txn-id"] == "1"
    # "`paths` as arrays of strings `[["minutes"],["nested","device_id"]]`, result keys = the JSON-encoded path arrays"
    older = {"paths": [["minutes"], ["nested", "id"]]}
    for name in ("distinct_value", "distinct_values"):
        answered = call(app, "GET", f"/api/v1/timeseries/s/{name}", older, headers)
        assert answered.json == {"item": {'["minutes"]': [1, 2], '["nested","id"]': [1]}}
    assert call(app, "POST", DISTINCT, {"paths": ["minutes"], "start": written(0)}, headers).json["item"] == {
        "minutes": []
    }


@pytest.mark.parametrize("asked", [{}, {"paths": ["a[0]"]}, {"paths": ["a"], "start": "x"}, {"paths": "a"}])
def test_what_are_no_paths_is_refused(app: Application, headers: dict[str, str], asked: dict[str, Any]) -> None:
    assert call(app, "POST", DISTINCT, asked, headers).status == 400


def test_looking_for_values_ends_at_its_deadline(app: Application, headers: dict[str, str]) -> None:
    post(app, headers, numbered(-1))
    assert call(app, "POST", DISTINCT, {"paths": ["n"], "timeout_millis": 0}, headers).status == 408


# --- expiry ---


def test_events_expire_by_the_header_or_by_the_document_of_the_series(
    app: Application, headers: dict[str, str], clock: Clock, store: Store
) -> None:
    command = {"method": "upsert", "collection": "__timeseries", "id": "s", "value": {"default_ttl_seconds": 3_600}}
    assert call(app, "POST", "/api/v3/store/write", {"commands": [command]}, headers).status == 200
    post(app, headers, numbered(-1), x_event_ttl_seconds="60")
    post(app, headers, [{"_time": written(-1), "n": 1}])
    shown = [item["value"]["_expiration"] for item in items(get(app, headers))]
    assert shown == ["2023-11-14T22:14:20.000000000Z", "2023-11-14T23:13:20.000000000Z"]
    clock.forward(60)
    assert numbers(get(app, headers)) == [1]
    assert call(app, "POST", DISTINCT, {"paths": ["n"]}, headers).json == {"item": {"n": [1]}}
    assert numbers(call(app, "POST", EVENTS, {"order_by": [["n", 1]]}, headers)) == [1]
    assert store.expiry.sweep() == 1


@pytest.mark.parametrize("seconds", ["-1", "x", "1.5", "", "9" * 18])
def test_a_header_that_is_no_number_of_seconds_is_refused(
    app: Application, headers: dict[str, str], seconds: str
) -> None:
    assert post(app, headers, numbered(0), x_event_ttl_seconds=seconds).status == 400


# --- who may ---


def test_a_series_is_for_who_may_do_so_with_a_collection_of_its_name(app: Application, keyring: KeyRing) -> None:
    reads = headers_for(keyring.create("r", Permission.of(frozenset({"read"}), frozenset({"s"}))))
    writes = headers_for(keyring.create("w", Permission.of(frozenset({"write"}), frozenset({"s"}))))
    strange = headers_for(keyring.create("o", Permission.of(frozenset({"read", "write"}), frozenset({"c"}))))
    assert [post(app, each, numbered(-1)).status for each in (reads, writes, strange)] == [403, 200, 403]
    assert [get(app, each).status for each in (reads, writes, strange)] == [200, 403, 403]
    assert [get(app, each, describe="true").status for each in (reads, writes, strange)] == [200, 403, 403]
    values = [call(app, "POST", DISTINCT, {"paths": ["n"]}, each).status for each in (reads, writes, strange)]
    assert values == [200, 403, 403]
    assert [call(app, "DELETE", EVENTS, None, each).status for each in (reads, writes, strange)] == [403, 200, 403]


@pytest.mark.parametrize("collection", ["__series:s", "__series:other"])
def test_commands_and_statements_do_not_write_events(
    app: Application, headers: dict[str, str], collection: str
) -> None:
    command = {"method": "upsert", "collection": collection, "id": "a", "value": {}}
    assert call(app, "POST", "/api/v3/store/write", {"commands": [command]}, headers).status == 403
    statement = {"statement": f"DELETE FROM `{collection}`"}
    assert call(app, "POST", "/api/v4/store/execute", statement, headers).status == 403


def test_an_id_of_a_series_is_one_segment_of_the_path(app: Application, headers: dict[str, str], store: Store) -> None:
    target = f"/api/v1/timeseries/{quote('a/b ü', safe='')}/events"
    assert call(app, "POST", target, as_lines(numbered(-1)), {**headers, "content-type": LINES}).status == 200
    assert len(list(read_events(store, "a/b ü"))) == 1
    refused = call(
        app,
        "POST",
        f"/api/v1/timeseries/{'x' * 300}/events",
        as_lines(numbered(-1)),
        {**headers, "content-type": LINES},
    )
    assert refused.status == 400


def test_the_example_of_a_program_runs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "http-series.md").read_text(encoding="utf-8")
    [program] = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    scene: dict[str, Any] = {"directory": tmp_path / "store"}
    exec(program, scene)
    assert scene["found"] == [31]


def test_a_server_removes_what_has_expired(tmp_path: Path, key: str, clock: Clock) -> None:
    with Store.open(tmp_path / "store", durability="none", clock=clock) as store:
        keyring = KeyRing(store)
        app = application(store, keyring)
        headers = headers_for(keyring.create("k", Permission.full()))
        store.expiry.start()
        post(app, headers, numbered(-1), x_event_ttl_seconds="0")
        store.wait(2, 60)
        assert store.count("__series:s").count == 0
