"""Live queries over HTTP: what is told, in which form, who comes back, and what is refused.

Rules: nothing sleeps for a time; streams are read from a real server, until what is asked for has come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import pytest

from crdtstore import Remove, Store, Upsert, limits
from crdtstore.auth.permission import Permission
from crdtstore.errors import StatementTimeout
from crdtstore.http.server import Application
from crdtstore.live.query import LiveQuery
from tests.http.calling import Answered, as_raw, call, connect, only_app, serving

LIVE = "/api/v4/store/live"
BORN = {"collection": "c", "query": "n > 0", "sort": "-n", "limit": "2"}


class Event(NamedTuple):
    """One event, as a reader takes it."""

    name: str
    id: str
    data: Any


class Reader:
    """An answer that goes on, event by event."""

    def __init__(self, address: tuple[str, int], key: str, asked: dict[str, str], **headers: str) -> None:
        self.connection = connect(address)
        given = {"Authorization": f"Bearer {key}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        self.connection.sendall(as_raw("GET", f"{LIVE}?{urlencode(asked)}", given))
        self.file = self.connection.makefile("rb")
        assert self.file.readline() == b"HTTP/1.1 200 OK\r\n"
        self.headers = list(iter(self.file.readline, b"\r\n"))
        self.events = self.read()

    def lines(self) -> Iterator[str]:
        text = b""
        while size := int(self.file.readline(), 16):
            text += self.file.read(size)
            self.file.readline()
            *whole, text = text.split(b"\n")
            yield from (line.decode() for line in whole)

    def read(self) -> Iterator[Event]:
        event: dict[str, str] = {}
        for line in self.lines():
            if line:
                name, _, text = line.partition(": ")
                event[name] = text
            elif "data" in event:
                yield Event(event["event"], event.get("id", ""), json.loads(event["data"]))
                event = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.connection.close()


@pytest.fixture(name="address")
def _address(app: Application) -> Iterator[tuple[str, int]]:
    with serving(app) as address:
        yield address


def put(store: Store, identifier: Any, **fields: Any) -> int:
    return store.write([Upsert("c", fields, id=identifier)]).txn


def shown(identifier: Any, **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "fields": fields}


def get(app: Application, key: str, **asked: str) -> Answered:
    return call(app, "GET", f"{LIVE}?{urlencode(asked)}", None, {"authorization": f"Bearer {key}"})


def test_rows_come_first_and_then_what_becomes_of_them(store: Store, key: str, address: tuple[str, int]) -> None:
    for number in range(4):
        put(store, number, n=number)
    with Reader(address, key, BORN) as reader:
        assert b"content-type: text/event-stream\r\n" in reader.headers
        assert next(reader.events) == Event("rows", "4", {"documents": [shown(3, n=3), shown(2, n=2)], "txnId": 4})
        put(store, 1, n=9)
        assert next(reader.events) == Event(
            "diff",
            "5",
            {
                "deletions": [1],
                "insertions": [{"index": 0, "document": shown(1, n=9)}],
                "updates": [],
                "moves": [],
                "txnId": 5,
            },
        )
        put(store, 3, n=10, a="x")
        assert next(reader.events).data == {
            "deletions": [],
            "insertions": [],
            "updates": [{"index": 0, "document": shown(3, n=10, a="x")}],
            "moves": [{"from": 1, "to": 0}],
            "txnId": 6,
        }


def test_a_body_asks_as_that_of_a_find(store: Store, key: str, address: tuple[str, int]) -> None:
    put(store, 1, n=1, a={"b": 2})
    put(store, 2, n=2)
    body = {
        "collection": "c",
        "query": "n <= $args.most",
        "args": {"most": 2},
        "sort": [{"property": "n", "direction": "desc"}],
        "fields": ["a.b"],
        "offset": 1,
    }
    with connect(address) as connection:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.sendall(as_raw("POST", "/api/v5/store/live", headers, json.dumps(body).encode()))
        lines = connection.makefile("rb")
        data = next(line for line in lines if line.startswith(b"data: "))
    assert json.loads(data.removeprefix(b"data: ")) == {"documents": [shown(1, a={"b": 2})], "txnId": 2}


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"serializedAs": "latestValuesAndTypes"}, {"n": {"register": {"value": 1}}}),
        ({"query": "exists(attributes/n)", "language": "rql"}, None),
        ({"query": "n == $args.n", "args": '{"n": 1}'}, {"n": 1}),
        ({"fields": "a,n"}, {"n": 1}),
    ],
    ids=str,
)
def test_the_query_string_asks_for_the_same(
    store: Store, key: str, address: tuple[str, int], asked: dict[str, str], fields: Any
) -> None:
    put(store, 1, n=1)
    with Reader(address, key, {"collection": "c", **asked}) as reader:
        found = next(reader.events).data["documents"]
    assert found == ([] if fields is None else [shown(1, **fields)])


def test_who_comes_back_is_told_only_what_is_new(store: Store, key: str, address: tuple[str, int]) -> None:
    put(store, 1, n=1)
    with Reader(address, key, BORN) as staying:
        assert next(staying.events).id == "1"
        put(store, 2, a=1)
        with Reader(address, key, BORN, Last_Event_ID="1") as back:
            put(store, 3, n=3)
            assert [next(each.events).name for each in (staying, back)] == ["diff", "diff"]
        with Reader(address, key, BORN, Last_Event_ID="1") as late:
            assert next(late.events) == Event("rows", "3", {"documents": [shown(3, n=3), shown(1, n=1)], "txnId": 3})


def test_a_long_result_comes_in_pieces(store: Store, key: str, address: tuple[str, int]) -> None:
    text = "x" * 2_000
    store.write([Upsert("c", {"text": text}, id=number) for number in range(500)])
    with Reader(address, key, {"collection": "c"}) as reader:
        assert next(reader.events).data["documents"] == [shown(number, text=text) for number in range(500)]
        store.write([Remove("c", "_id > 0")])
        assert next(reader.events).data["deletions"] == list(range(1, 500))


def test_a_server_that_stops_says_so(store: Store, app: Application, key: str) -> None:
    put(store, 1, n=1)
    server = serving(app)
    with Reader(server.__enter__(), key, BORN) as reader:
        assert next(reader.events).name == "rows"
        server.__exit__(None, None, None)
        assert list(reader.events) == [Event("cut", "", {"txnId": 1})]
    assert not store.live.queries


def test_a_query_that_breaks_says_why(
    store: Store, key: str, address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(*_: object, **__: object) -> bool:
        raise StatementTimeout("It took too long.")

    with Reader(address, key, BORN) as reader:
        assert next(reader.events).name == "rows"
        monkeypatch.setattr(LiveQuery, "settle", settle)
        put(store, 1, n=1)
        why = {"txnId": 0, "code": "statement-timeout", "message": "It took too long."}
        assert list(reader.events) == [Event("cut", "", why)]


def test_a_reader_who_goes_away_observes_no_more(
    store: Store, app: Application, key: str, address: tuple[str, int]
) -> None:
    with Reader(address, key, BORN) as reader:
        assert next(reader.events).name == "rows"
        assert app.held.streams == 1
    while store.live.queries or app.held.streams:
        pass
    assert store.live.observations == 0


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 400, "malformed-request"),
        ({"collection": "c", "limit": "x"}, 400, "malformed-request"),
        ({"collection": "c", "limit": "10001"}, 400, "limit-exceeded"),
        ({"collection": "c", "query": "="}, 400, "query-syntax"),
        ({"collection": "c", "language": "none"}, 400, "malformed-request"),
        ({"collection": "c", "serializedAs": "none"}, 400, "malformed-request"),
        ({"collection": "c", "sort": "["}, 400, "query-syntax"),
        ({"collection": "c", "args": "{"}, 400, "malformed-json"),
        ({"collection": "c", "args": "[]"}, 400, "malformed-request"),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_refused(
    store: Store, app: Application, key: str, asked: dict[str, str], status: int, code: str
) -> None:
    answered = get(app, key, **asked)
    assert (answered.status, answered.code) == (status, code)
    assert not store.live.queries


def test_a_key_observes_its_collections_only(app: Application) -> None:
    limited = only_app(app).keyring.create("limited", Permission.of({"read"}, frozenset({"d"})))
    assert get(app, limited, collection="c").code == "forbidden"


@pytest.mark.parametrize("name", ["OPEN_STREAMS_MAX", "OBSERVATIONS_MAX"])
def test_readers_have_a_bound(
    store: Store, app: Application, key: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(limits, name, 0)
    answered = get(app, key, collection="c")
    assert (answered.status, answered.code) == (429, "overloaded")
    assert not store.live.queries
