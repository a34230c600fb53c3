"""Documents as resources: reading, merging, removing, and listings of any length in bounded memory.

Rules: what the first version documents stands with the test that holds it, word for word.
"""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.errors import Corrupted
from crdtstore.http.lines import Listing
from crdtstore.http.server import Application, application
from crdtstore.http.store.v1.raw import raw
from crdtstore.limits import FIND_LIMIT_MAX, LINES_PIECE_BYTES
from crdtstore.query.find import Document
from tests.http.calling import Answered, as_raw, call, connect, exchange, headers_for, serving

PLACE = "/api/v1/collections/cars/documents"
OTHER_ACTOR = "AAAAAAAAAAAAAAAAAAAABQ=="


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    return headers_for(key)


def lines(answered: Answered) -> list[Any]:
    """The values of JSON Lines."""
    assert (answered.status, answered.headers["content-type"]) == (200, "application/json-l")
    return [json.loads(line) for line in answered.body.splitlines()]


# --- one document ---


def test_a_document_is_made_merged_read_and_removed(app: Application, headers: dict[str, str]) -> None:
    made = call(app, "POST", f"{PLACE}/a", {"color": "blue", "size": {"w": 1}}, headers)
    assert (made.status, made.json, made.headers["x-ditto-txn-id"]) == (202, {"txn_id": 1}, "1")
    assert call(app, "POST", f"{PLACE}/a", {"size": {"h": 2}}, headers).json == {"txn_id": 2}
    read = call(app, "GET", f"{PLACE}/a", None, headers)
    assert read.headers["content-type"] == "application/json"
    assert read.json == {"_id": "a", "color": "blue", "size": {"w": 1, "h": 2}}
    removed = call(app, "DELETE", f"{PLACE}/a", None, headers)
    assert (removed.status, removed.json) == (202, {"txn_id": 3})
    missing = call(app, "GET", f"{PLACE}/a", None, headers)
    assert (missing.status, missing.code, list(missing.json)) == (404, "not-found", ["error"])


def test_an_error_has_a_single_key(app: Application, headers: dict[str, str]) -> None:
    """As documented: A JSON response body containing an object with a single "error" key."""
    for method, path, body, status in (
        ("GET", f"{PLACE}/none", None, 404),
        ("PUT", f"{PLACE}/a", {}, 405),
        ("PATCH", f"{PLACE}/a", {}, 405),
        ("POST", f"{PLACE}/a", [], 400),
        ("POST", f"{PLACE}/a", b"{", 400),
        ("POST", f"{PLACE}/a", None, 400),
        ("POST", f"{PLACE}/a", {"_id": "b"}, 400),
        ("POST", f"{PLACE}/a", {"n": 2**64}, 400),
        ("GET", f"{PLACE}?find=(", None, 400),
        ("GET", f"{PLACE}?limit={FIND_LIMIT_MAX + 1}", None, 400),
    ):
        answered = call(app, method, path, body, headers)
        assert (answered.status, list(answered.json)) == (status, ["error"]), (method, path)
        assert answered.json["error"]["code"] == status


def test_a_write_needs_a_client_id(app: Application, key: str) -> None:
    """As documented: An `X-DITTO-CLIENT-ID` is required whenever issuing POST requests to the HTTP API."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    for method in ("POST", "DELETE"):
        assert call(app, method, f"{PLACE}/a", {} if method == "POST" else None, headers).status == 400
    assert call(app, "GET", PLACE, None, headers).status == 200


def test_the_older_names_of_headers_are_understood(app: Application, key: str) -> None:
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-hydra-client-id": OTHER_ACTOR,
        "x-hydra-ensure-insert": "true",
    }
    assert call(app, "POST", f"{PLACE}/a", {"n": 1}, headers).status == 202
    late = call(app, "GET", f"{PLACE}/a", None, {**headers, "x-hydra-version": "9", "prefer": "wait=0"})
    assert late.status == 404
    assert late.code == "version-not-available"
    assert call(app, "GET", f"{PLACE}/a", None, {**headers, "x-hydra-version": "1"}).status == 200


@pytest.mark.parametrize("name", ["x-ditto-ensure-insert", "x-ensure-insert", "x-ditto-ensure-delete"])
def test_what_is_ensured_is_true_or_false(app: Application, headers: dict[str, str], name: str) -> None:
    for value, status in (("true", 202), ("False", 202), ("yes", 400), ("", 400)):
        assert call(app, "POST", f"{PLACE}/a", {}, {**headers, name: value}).status == status


def test_an_insert_after_a_removal_by_another_client_is_seen(app: Application, headers: dict[str, str]) -> None:
    call(app, "POST", f"{PLACE}/a", {"color": "blue"}, headers)
    call(app, "DELETE", f"{PLACE}/a", None, headers)
    other = {**headers, "x-ditto-client-id": OTHER_ACTOR, "x-ditto-ensure-insert": "true"}
    assert call(app, "POST", f"{PLACE}/a", {"n": 1}, other).status == 202
    assert call(app, "GET", f"{PLACE}/a", None, headers).json == {"_id": "a", "n": 1}


def test_only_the_document_of_this_very_id_is_removed(app: Application, headers: dict[str, str]) -> None:
    dates = ["2021-01-01T00:00:00Z", "2021-01-01T00:00:00.0Z", "2021-01-01T01:00:00+01:00", "2021-01-01t00:00:00z"]
    for date in dates:
        assert call(app, "POST", f"{PLACE}/{date}", {}, headers).status == 202
    assert call(app, "DELETE", f"{PLACE}/{dates[0]}", None, headers).status == 202
    assert sorted(document["_id"] for document in lines(call(app, "GET", PLACE, None, headers))) == sorted(dates[1:])


def test_conditions_hold(app: Application, headers: dict[str, str]) -> None:
    only_new = {**headers, "if-none-match": "*"}
    assert call(app, "POST", f"{PLACE}/a", {"n": 1}, only_new).status == 202
    assert call(app, "POST", f"{PLACE}/a", {"n": 2}, only_new).status == 412
    tag = call(app, "GET", f"{PLACE}/a", None, headers).headers["etag"]
    assert call(app, "GET", f"{PLACE}/a", None, {**headers, "if-none-match": tag}).status == 304
    assert call(app, "POST", f"{PLACE}/a", {"n": 3}, {**headers, "if-match": tag}).status == 202
    assert call(app, "DELETE", f"{PLACE}/a", None, {**headers, "if-match": tag}).status == 412
    assert call(app, "GET", f"{PLACE}/a", None, headers).json == {"_id": "a", "n": 3}


def test_ids_are_unescaped_once(app: Application, store: Store, headers: dict[str, str]) -> None:
    call(app, "POST", f"{PLACE}/a%2Fb%2525%C3%A9", {}, headers)
    assert store.get("cars", "a/b%25é") is not None
    assert call(app, "GET", f"{PLACE}/%FF", None, headers).status == 400


def test_binary_comes_in_cbor_and_goes_as_base64(app: Application, headers: dict[str, str]) -> None:
    body = cbor2.dumps({"data": b"\x00\xff"})
    assert call(app, "POST", f"{PLACE}/a", body, {**headers, "content-type": "application/cbor"}).status == 202
    read = call(app, "GET", f"{PLACE}/a", None, {**headers, "accept": "application/cbor"})
    assert read.headers["content-type"] == "application/cbor"
    assert cbor2.loads(read.body) == {"_id": "a", "data": "AP8="}


def test_a_document_of_the_past(app: Application, headers: dict[str, str]) -> None:
    call(app, "POST", f"{PLACE}/a", {"n": 1}, headers)
    read = call(app, "GET", f"{PLACE}/a", None, {**headers, "x-crdtstore-at": "1"})
    assert (read.json, read.headers["x-ditto-txn-id"]) == ({"_id": "a", "n": 1}, "1")
    assert call(app, "GET", PLACE, None, {**headers, "x-crdtstore-at": "0"}).status == 410


@given(st.text(min_size=1) | st.integers(-(2**63), 2**63 - 1), st.dictionaries(st.text(), st.integers(0, 9)))
def test_a_raw_document_is_its_fields_and_its_id(id_: str | int, fields: dict[str, int]) -> None:
    fields.pop("_id", None)
    assert json.loads(raw(Document(id_, json.dumps(fields).encode()))) == {"_id": id_, **fields}


# --- listings ---


def test_a_listing_has_a_document_a_line(app: Application, headers: dict[str, str]) -> None:
    """As documented: resources best represented by a sequence or stream of items are represented by JSONlines."""
    for name in "cab":
        call(app, "POST", f"{PLACE}/{name}", {"n": ord(name)}, headers)
    listed = call(app, "GET", PLACE, None, headers)
    assert lines(listed) == [{"_id": name, "n": ord(name)} for name in "abc"]
    assert listed.headers["x-ditto-txn-id"] == "3"
    assert [each["_id"] for each in lines(call(app, "GET", f"{PLACE}?find=n%20%3E%2097", None, headers))] == ["b", "c"]
    assert [each["_id"] for each in lines(call(app, "GET", f"{PLACE}?limit=2", None, headers))] == ["a", "b"]
    assert lines(call(app, "GET", f"{PLACE}?limit=0", None, headers)) == []
    assert len(lines(call(app, "GET", f"{PLACE}?find=&limit=&start=&end=&timeout_millis=", None, headers))) == 3


def test_a_listing_is_in_the_order_of_ids_whatever_finds_it(
    app: Application, store: Store, headers: dict[str, str]
) -> None:
    store.write([Upsert("cars", {"n": -number % 50}, id=f"{number:03}") for number in range(200)])
    plain = call(app, "GET", f"{PLACE}?find=n%20%3C%202&limit=5", None, headers).body
    store.indexes.create("cars", ["n"])
    assert store.explain("cars", "n < 2", run=False)["access"] != "scan"
    assert call(app, "GET", f"{PLACE}?find=n%20%3C%202&limit=5", None, headers).body == plain
    assert len(plain.splitlines()) == 5


@pytest.mark.parametrize("argument", ["limit=-1", "limit=x", "limit=1e3", "timeout_millis=-1", "limit=1&limit=2"])
def test_arguments_are_read_strictly(app: Application, headers: dict[str, str], argument: str) -> None:
    assert call(app, "GET", f"{PLACE}?{argument}", None, headers).status == 400


def test_a_part_by_time_is_refused_rather_than_ignored(app: Application, headers: dict[str, str]) -> None:
    assert call(app, "GET", f"{PLACE}?start=2021-01-01T00:00:00Z", None, headers).status == 400


def test_only_what_a_key_may_read_is_listed(
    app: Application, keyring: KeyRing, store: Store, headers: dict[str, str]
) -> None:
    store.write([Upsert(name, {}, id=1) for name in ("cars", "people")])
    lesser = headers_for(keyring.create("lesser", Permission.of(frozenset({"read"}), frozenset({"cars"}))))
    assert call(app, "GET", "/api/v1/collections", None, headers).json == {"collections": ["cars", "people"]}
    assert call(app, "GET", "/api/v1/collections", None, lesser).json == {"collections": ["cars"]}
    assert call(app, "GET", PLACE, None, lesser).status == 200
    empty = call(app, "GET", "/api/v1/collections/people/documents", None, lesser)
    assert (empty.status, empty.body) == (200, b"")
    assert call(app, "POST", f"{PLACE}/a", {}, lesser).status == 403


BIG = 100
BIG_BYTES = 100_000


@pytest.fixture
def big(tmp_path: Path) -> Iterator[Store]:
    """A store on disk with more than fits a piece many times over."""
    with Store.open(tmp_path / "data", durability="none") as store:
        for number in range(BIG):
            store.write([Upsert("cars", {"text": "x" * BIG_BYTES}, id=number)])
        yield store


@pytest.fixture
def big_app(big: Store) -> tuple[Application, dict[str, str]]:
    keyring = KeyRing(big)
    return application(big, keyring), headers_for(keyring.create("test", Permission.full()))


class Reader:
    """Sends one listing request and looks at each piece as it comes."""

    def __init__(self, headers: dict[str, str], target: str = PLACE) -> None:
        self.exchange = exchange("GET", target, None, headers)
        self.pieces: list[int] = []
        self.last = b""
        self.leave_after = BIG * BIG_BYTES
        self.on_piece: Any = None

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            self.pieces.append(len(message["body"]))
            self.last = message["body"] or self.last
            if len(self.pieces) == self.leave_after:
                self.exchange.leave()
                await asyncio.sleep(0)
            if self.on_piece is not None:
                self.on_piece()

    def run(self, app: Application) -> None:
        asyncio.run(app(self.exchange.scope, self.exchange.receive, self.send))


def test_a_big_listing_takes_little_memory(big_app: tuple[Application, dict[str, str]]) -> None:
    app, headers = big_app
    reader = Reader(headers)
    tracemalloc.start()
    try:
        reader.run(app)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(reader.pieces) > BIG * BIG_BYTES
    assert max(reader.pieces) < LINES_PIECE_BYTES + 2 * BIG_BYTES
    assert peak < sum(reader.pieces) / 4


def test_a_listing_ends_with_its_reader(
    big_app: tuple[Application, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, headers = big_app
    matching, open_now = Store.matching, []

    @contextmanager
    def counted(self: Store, *arguments: Any, **more: Any) -> Iterator[Any]:
        with matching(self, *arguments, **more) as found:
            open_now.append(found)
            yield found
        open_now.pop()

    monkeypatch.setattr(Store, "matching", counted)
    reader = Reader(headers)
    reader.leave_after = 2
    reader.run(app)
    assert len(reader.pieces) < BIG / 2
    app.threads.shutdown(wait=True)
    assert not open_now, "the snapshot is let go of"


def test_a_listing_ends_with_its_connection(
    big_app: tuple[Application, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, headers = big_app
    ended = Event()
    end = Listing.end

    def told(listing: Listing) -> None:
        end(listing)
        ended.set()

    monkeypatch.setattr(Listing, "end", told)
    with serving(app) as address:
        with connect(address) as connection:
            connection.sendall(as_raw("GET", PLACE, headers))
            received = connection.recv(65_536)
            assert received.startswith(b"HTTP/1.1 200")
            assert b"transfer-encoding: chunked" in received.lower()
        assert ended.wait(60)


def test_a_listing_comes_whole_over_the_wire(big_app: tuple[Application, dict[str, str]]) -> None:
    app, headers = big_app
    with serving(app) as (host, port):
        connection = HTTPConnection(host, port, timeout=60)
        connection.request("GET", PLACE, headers=headers)
        body = connection.getresponse().read()
        # The connection goes on.
        connection.request("GET", f"{PLACE}?limit=0", headers=headers)
        assert connection.getresponse().read() == b""
        connection.close()
    assert [json.loads(line)["_id"] for line in body.splitlines()] == list(range(BIG))


def test_a_listing_that_takes_too_long_says_so_in_its_last_line(
    big_app: tuple[Application, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, headers = big_app
    reader = Reader(headers)
    now = [0.0]
    monkeypatch.setattr("crdtstore.http.lines.monotonic", lambda: now[0])
    reader.on_piece = lambda: now.__setitem__(0, now[0] + 10)
    reader.run(app)
    assert json.loads(reader.last) == {"error": "Timeout"}
    assert len(reader.pieces) == 6


def test_a_listing_that_breaks_says_so_in_its_last_line(
    big_app: tuple[Application, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    app, headers = big_app
    reader = Reader(headers)

    def fail(_: object) -> bytes:
        raise Corrupted("meta", b"")

    reader.on_piece = lambda: monkeypatch.setattr("crdtstore.http.lines.Listing.make_piece", fail)
    reader.run(app)
    assert json.loads(reader.last) == {"error": "Broken"}


def test_a_listing_ends_with_its_server(big_app: tuple[Application, dict[str, str]]) -> None:
    app, headers = big_app
    reader = Reader(headers)
    reader.on_piece = app.held.let_go
    reader.run(app)
    assert json.loads(reader.last) == {"error": "Stopped"}


def test_a_search_that_takes_too_long_has_a_status(app: Application, store: Store, headers: dict[str, str]) -> None:
    store.write([Upsert("cars", {"n": number}, id=number) for number in range(1_000)])
    late = call(app, "GET", f"{PLACE}?find=n%20%3C%200&timeout_millis=0", None, headers)
    assert (late.status, late.code) == (408, "statement-timeout")
