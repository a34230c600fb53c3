"""The change feed over HTTP: pages, waiting, streams, resumption, and what is refused.

Rules: nothing sleeps for a time; streams are read from a real server, until what is asked for has come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Self

import pytest

from crdtstore import Remove, Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application
from tests.http.calling import Answered, as_raw, call, connect, headers_for, only_app, serving

CHANGES = "/api/v4/store/changes"


def put(store: Store, identifier: Any, collection: str = "c", **fields: Any) -> int:
    return store.write([Upsert(collection, fields, id=identifier)]).txn


def get(app: Application, key: str, query: str = "", **headers: str) -> Answered:
    return call(app, "GET", f"{CHANGES}?{query}", None, {"authorization": f"Bearer {key}", **headers})


def page(app: Application, key: str, query: str = "", **headers: str) -> Any:
    answered = get(app, key, query, **headers)
    assert answered.status == 200, answered
    return answered.json


def told(changes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(each["txnId"], each["collection"], each["change"]["method"]) for each in changes]


@pytest.mark.parametrize("version", ["v4", "v5"])
def test_a_page_says_what_was_done_and_where_to_go_on(store: Store, app: Application, key: str, version: str) -> None:
    put(store, "a", n=1)
    put(store, "a", n=2)
    put(store, "b", "d")
    headers = {"authorization": f"Bearer {key}"}
    found = call(app, "GET", f"/api/{version}/store/changes?limit=2", None, headers).json
    assert told(found["changes"]) == [(1, "c", "upsert"), (2, "c", "upsert")]
    assert found["changes"][0]["change"] == {
        "method": "upsert",
        "id": "a",
        "operations": [{"operation": "write", "path": "n", "value": 1}],
    }
    assert (found["next"], found["txnId"]) == (2, 3)
    rest = call(app, "GET", f"/api/{version}/store/changes?since=2", None, headers).json
    assert told(rest["changes"]) == [(3, "d", "upsert")]
    assert rest["next"] == 3


def test_a_limit_does_not_divide_a_transaction(store: Store, app: Application, key: str) -> None:
    store.write([Upsert("c", {}, id=number) for number in range(5)])
    put(store, 9)
    found = page(app, key, "limit=2")
    assert told(found["changes"]) == [(1, "c", "upsert")] * 5
    assert found["next"] == 1


def test_a_page_that_looks_for_long_says_how_far_it_came(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, 1)
    put(store, 2)
    put(store, 3, "d")
    monkeypatch.setattr("crdtstore.feed.past.CHANGES_ENTRIES_MAX", 1)
    monkeypatch.setattr(limits, "FEED_PAGE_SECONDS_MAX", 0.0)
    found: dict[str, Any] = {"changes": [], "next": 0}
    while not found["changes"]:
        found = page(app, key, f"collection=d&feed=longpoll&since={found['next']}")
    assert told(found["changes"]) == [(3, "d", "upsert")]


def test_from_a_retained_version_on_there_are_images(store: Store, app: Application, key: str) -> None:
    put(store, "a", n=1)
    with store.pin():
        put(store, "a", n=2)
        store.write([Remove("c", "true")])
        found = page(app, key, "since=1")
    update, remove = (each["change"] for each in found["changes"])
    assert update == {"method": "update", "oldValue": {"_id": "a", "n": 1}, "newValue": {"_id": "a", "n": 2}}
    assert remove == {"method": "remove", "value": {"_id": "a", "n": 2}}


def test_collections_are_a_list_or_said_again(store: Store, app: Application, key: str) -> None:
    for name in "cde":
        put(store, 1, name)
    for query in ("collection=c,e", "collection=c&collection=e"):
        assert [each["collection"] for each in page(app, key, query)["changes"]] == ["c", "e"]


def test_a_reader_who_comes_back_says_where_he_was(store: Store, app: Application, key: str) -> None:
    put(store, 1)
    put(store, 2)
    found = page(app, key, "since=0", **{"last-event-id": "1"})
    assert told(found["changes"]) == [(2, "c", "upsert")]
    assert page(app, key, "since=now")["changes"] == []


def test_the_original_form_has_no_operations(store: Store, app: Application, key: str) -> None:
    put(store, 1)
    found = page(app, key, "form=original")
    assert found["changes"] == [{"txnId": 1, "txnID": 1, "type": "requeryRequired", "documents": []}]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("since=x", 400, "malformed-request"),
        ("since=9", 404, "version-not-available"),
        ("since=0", 410, "log-trimmed"),
        ("limit=0", 400, "limit-exceeded"),
        ("feed=quick", 400, "malformed-request"),
        ("form=short", 400, "malformed-request"),
        ("collection=", 400, "malformed-request"),
        ("query=%3D", 400, "query-syntax"),
        ("language=none&query=true", 400, "invalid-value"),
        ("since=1&since=2", 400, "malformed-request"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    store: Store, app: Application, key: str, query: str, status: int, code: str
) -> None:
    put(store, 1)
    put(store, 2)
    store.trim(1)
    answered = get(app, key, query)
    assert (answered.status, answered.code) == (status, code)


def test_a_key_reads_its_collections_only(store: Store, app: Application) -> None:
    keyring = only_app(app).keyring
    limited = keyring.create("limited", Permission.of({"read"}, frozenset({"c"})))
    put(store, 1)
    assert get(app, limited, "collection=c").status == 200
    for query in ("", "collection=d", "collection=c,d"):
        assert get(app, limited, query).code == "forbidden"


@pytest.mark.parametrize("feed", ["longpoll", "continuous"])
def test_readers_have_a_bound(app: Application, key: str, monkeypatch: pytest.MonkeyPatch, feed: str) -> None:
    monkeypatch.setattr(limits, "OPEN_STREAMS_MAX", 0)
    answered = get(app, key, f"feed={feed}")
    assert (answered.status, answered.code) == (429, "overloaded")


def test_a_long_poll_ends_in_time(app: Application, key: str) -> None:
    found = page(app, key, "feed=longpoll", prefer="wait=0")
    assert found == {"changes": [], "txnId": 0, "next": 0}


# --- on a real server ---


class Lines:
    """A stream that is read line by line."""

    def __init__(self, address: tuple[str, int], key: str, query: str = "", accept: str = "application/json-l") -> None:
        headers = {"Accept": accept, "Authorization": f"Bearer {key}"}
        self.connection = connect(address)
        self.connection.sendall(as_raw("GET", f"{CHANGES}?{query}", headers))
        self.file = self.connection.makefile("rb")
        assert self.file.readline() == b"HTTP/1.1 200 OK\r\n"
        self.headers = list(iter(self.file.readline, b"\r\n"))

    def __iter__(self) -> Iterator[bytes]:
        while size := int(self.file.readline(), 16):
            yield from self.file.read(size).splitlines(keepends=True)
            self.file.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.connection.close()


@pytest.fixture(name="address")
def _address(app: Application) -> Iterator[tuple[str, int]]:
    with serving(app) as address:
        yield address


def taken(lines: Iterator[bytes], count: int) -> list[bytes]:
    return [next(lines) for _ in range(count)]


def test_lines_come_as_things_happen(store: Store, key: str, address: tuple[str, int]) -> None:
    put(store, "a", n=1)
    with Lines(address, key) as stream:
        put(store, "a", n=2)
        (line,) = taken(iter(stream), 1)
        assert json.loads(line) == {
            "txnId": 2,
            "type": "documentChanged",
            "collection": "c",
            "change": {"method": "update", "oldValue": {"_id": "a", "n": 1}, "newValue": {"_id": "a", "n": 2}},
        }


def test_server_sent_events_have_an_id_a_transaction(store: Store, key: str, address: tuple[str, int]) -> None:
    with Lines(address, key, "since=0", "text/event-stream") as stream:
        assert b"content-type: text/event-stream\r\n" in stream.headers
        lines = iter(stream)
        assert taken(lines, 2) == [b"retry: 2000\n", b"\n"]
        store.write([Upsert("c", {}, id=1), Upsert("c", {}, id=2)])
        first, *others = taken(lines, 7)
        assert first == b"event: documentChanged\n"
        assert others[2:4] == [b"id: 1\n", b"event: documentChanged\n"]
        assert json.loads(others[4].removeprefix(b"data: "))["change"]["newValue"] == {"_id": 2}


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json-l"])
def test_a_reader_who_is_told_nothing_knows_where_to_go_on(
    store: Store, key: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    """A heartbeat says it: so coming back takes no way through all that was not for this reader."""
    monkeypatch.setattr(limits, "STREAM_HEARTBEAT_SECONDS", 0.01)
    with Lines(address, key, "collection=d&since=0", accept) as stream:
        lines = iter(stream)
        if accept == "application/json-l":
            assert taken(lines, 2) == [b"\n", b"\n"]
            return
        assert taken(lines, 2) == [b"retry: 2000\n", b"\n"]
        assert taken(lines, 3) == [b":\n", b"id: 0\n", b"\n"]
        put(store, "a")
        put(store, "b")
        assert any(line == b"id: 2\n" for line in lines)
        put(store, "c", "d")
        event = next(line for line in lines if line.startswith(b"data: "))
    assert json.loads(event.removeprefix(b"data: "))["txnId"] == 3


def test_a_filter_tells_who_enters_and_who_leaves(store: Store, key: str, address: tuple[str, int]) -> None:
    with Lines(address, key, "collection=c&query=n%20%3E%201") as stream:
        for n in (1, 2, 3, 0, 1):
            put(store, "a", n=n)
        found = [json.loads(line)["change"] for line in taken(iter(stream), 3)]
        assert [each["method"] for each in found] == ["upsert", "update", "remove"]
        assert found[0]["oldValue"] is None
        assert found[2]["value"] == {"_id": "a", "n": 3}


def test_a_limit_ends_a_stream(store: Store, key: str, address: tuple[str, int]) -> None:
    for number in range(3):
        put(store, number)
    with Lines(address, key, "since=0&limit=2") as stream:
        lines = list(stream)
    assert [json.loads(line)["txnId"] for line in lines] == [1, 2]


def test_a_long_poll_waits_for_an_event(store: Store, key: str, address: tuple[str, int], app: Application) -> None:
    app.wait_seconds = 60
    head = as_raw("GET", f"{CHANGES}?feed=longpoll", {"Authorization": f"Bearer {key}"})
    with connect(address) as connection:
        connection.sendall(head)
        while not app.held.streams:
            pass
        put(store, "a")
        file = connection.makefile("rb")
        headers = list(iter(file.readline, b"\r\n"))
        length = next(int(line.split(b":")[1]) for line in headers if line.startswith(b"content-length"))
        assert told(json.loads(file.read(length))["changes"]) == [(1, "c", "upsert")]


def test_a_server_that_stops_says_where_to_go_on(store: Store, app: Application, key: str) -> None:
    put(store, "a")
    server = serving(app)
    with Lines(server.__enter__(), key) as stream:
        while not app.held.streams:
            pass
        server.__exit__(None, None, None)
        assert [json.loads(line) for line in stream] == [{"type": "cut", "next": 1}]
    assert store.feed.rings is None


def test_a_slow_reader_is_cut(
    store: Store, key: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtstore.feed.feed.FEED_RING_BYTES_MAX", 1_000_000)
    with Lines(address, key) as stream:
        text = "x" * 300_000
        for number in range(60):
            put(store, number, text=text)
        lines = [json.loads(line) for line in stream]
        last, seen = lines.pop(), [line["txnId"] for line in lines]
        assert last == {"type": "cut", "next": len(seen)}
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) < 60


@pytest.mark.parametrize("ended", ["revoked", "rotated"])
def test_a_stream_ends_with_its_key(
    store: Store, keyring: KeyRing, key: str, address: tuple[str, int], ended: str
) -> None:
    with Lines(address, key) as stream:
        lines = iter(stream)
        put(store, "a", n=1)
        assert b'"a"' in taken(lines, 1)[0]
        keyring.create("other", Permission.full())
        put(store, "b", n=1)
        assert b'"b"' in taken(lines, 1)[0], "the change of another key ends nothing"
        prefix = key.partition(FIXED_PART)[0]
        if ended == "revoked":
            keyring.revoke(prefix)
        else:
            keyring.rotate(prefix, old_valid_seconds=0)
        put(store, "c", n=1)
        assert list(lines) == []


def test_images_are_kept_for_who_may_say_so(store: Store, app: Application, key: str) -> None:
    path, headers = "/admin/change-images", headers_for(key)
    limited = only_app(app).keyring.create("limited", Permission.of(["read", "write"], frozenset({"c"})))
    for method, target in (("GET", path), ("PUT", f"{path}/c")):
        assert call(app, method, target, {"images": "both"}, headers_for(limited)).code == "forbidden"
    assert call(app, "PUT", f"{path}/c", {"images": "old"}, headers).code == "malformed-request"
    assert call(app, "PUT", f"{path}/c", {"images": "both"}, headers).json == {"collections": {"c": "both"}}
    assert call(app, "GET", path, None, headers).json == {"collections": {"c": "both"}}
    put(store, 1, n=1)
    assert page(app, key)["changes"][0]["change"]["newValue"] == {"_id": 1, "n": 1}
