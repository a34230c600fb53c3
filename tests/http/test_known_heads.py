"""A request whose head came before is answered as if it had not, and nothing is allowed for it."""

from __future__ import annotations

import asyncio
import json
import socket
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crdtstore import Store, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.channel import Head, KnownHeads, Link
from crdtstore.http.listen import ServerName
from crdtstore.http.server import Application, Rates, application
from crdtstore.http.serving import connection
from crdtstore.http.serving.server import Server
from crdtstore.http.way import way_of
from tests.http.calling import Answered, answers, as_raw, connect, exchange, headers_for, serving, upsert

SERVERS: list[ServerName] = ["builtin", "uvicorn"]
READ = "/api/v4/store/findbyid"
KEY = f"{'a' * 11}_cs1_{'b' * 32}"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request that came alone was begun without being parsed."""
    told: list[bool] = []
    take = connection.Connection.take_known

    def noted(self: connection.Connection, data: bytes) -> bool:
        told.append(take(self, data))
        return told[-1]

    monkeypatch.setattr(connection.Connection, "take_known", noted)
    return told


def read_of(key: str, identifier: object = 1, **headers: str) -> bytes:
    body = json.dumps({"collection": "c", "id": identifier}).encode()
    return as_raw("POST", READ, headers_for(key, **headers), body)


def ask(opened: socket.socket, request: bytes) -> Answered:
    """Send a request on a connection, and read its answer."""
    opened.sendall(request)
    received = b""
    while (answer := whole_answer(received)) is None:
        part = opened.recv(65_536)
        assert part, "An answer is whole."
        received += part
    return answer


def whole_answer(received: bytes) -> Answered | None:
    """The answer, if all of it has come."""
    head, blank, body = received.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return answers(received)[0] if blank and len(body) == int(length) else None


@pytest.mark.parametrize("server", SERVERS)
def test_a_key_that_is_revoked_is_refused_with_a_head_that_came_before(
    app: Application, key: str, keyring: KeyRing, server: ServerName
) -> None:
    with serving(app, server) as address, connect(address) as opened:
        assert [ask(opened, read_of(key)).status for _ in range(3)] == [404, 404, 404]
        keyring.revoke(key.partition("_")[0])
        assert ask(opened, read_of(key)).status == 401


@pytest.mark.parametrize("server", SERVERS)
def test_what_a_key_may_do_is_asked_each_time(
    app: Application, keyring: KeyRing, store: Store, server: ServerName
) -> None:
    key = keyring.create("some", Permission.of({"read"}))
    body = json.dumps(upsert(1, a=1)).encode()
    write = as_raw("POST", "/api/v4/store/write", headers_for(key), body)
    with serving(app, server) as address, connect(address) as opened:
        assert [ask(opened, write).status for _ in range(3)] == [403, 403, 403]
    assert store.applied == 0


@pytest.mark.parametrize("server", SERVERS)
def test_each_request_counts_for_the_rates(store: Store, keyring: KeyRing, key: str, server: ServerName) -> None:
    limited = application(store, keyring, rates=Rates(key=1.0))
    statuses = []
    with serving(limited, server) as address:
        for _ in range(40):
            with connect(address) as opened:
                statuses.append(ask(opened, read_of(key)).status)
    assert statuses[0] == 404
    assert statuses.count(429) > 20


def test_the_second_time_a_head_is_not_parsed(app: Application, key: str, seen: list[bool]) -> None:
    with serving(app) as address:
        with connect(address) as opened:
            for identifier in (1, 1, 2, 22, 33):
                assert ask(opened, read_of(key, identifier)).status == 404
        assert seen == [False, True, True, False, True]
        with connect(address) as opened:
            assert ask(opened, read_of(key)).status == 404
        assert seen[-1], "on another connection"


@pytest.mark.parametrize(
    "headers",
    [
        {"txn": "0"},
        {"idempotency-key": "a"},
        {"expect": "100-continue"},
        {"x-other": "a" * limits.KNOWN_HEAD_BYTES_MAX},
    ],
    ids=["a transaction", "a request of its own", "an invitation", "too long"],
)
def test_what_does_not_come_again_is_not_kept(
    app: Application, key: str, seen: list[bool], headers: dict[str, str]
) -> None:
    with serving(app) as address, connect(address) as opened:
        for _ in range(3):
            opened.sendall(read_of(key, **headers))
            assert b"404 Not Found" in opened.recv(65_536)
    assert not any(seen)


def test_what_is_kept_is_bounded() -> None:
    known = KnownHeads()
    for number in range(3 * limits.KNOWN_HEADS_MAX):
        known.keep(number, Head("GET", b"/", b"", "1.1", ((b"a", b"%d" % number),)))
        assert len(known) <= limits.KNOWN_HEADS_MAX
    assert len(known) == limits.KNOWN_HEADS_MAX


def test_a_way_is_of_connections_that_came_in_alike(app: Application, key: str) -> None:
    """Who may call by which name, and what is promised to browsers, depends on it."""
    request = exchange("POST", READ, {"collection": "c", "id": 1}, headers_for(key))
    asyncio.run(app(request.scope, request.receive, request.send))
    (head,) = app.heads.values()
    assert way_of(head, Link("127.0.0.1", "192.0.2.1")) is head.way is not None
    assert way_of(head, Link("192.0.2.1", "192.0.2.1")) is None
    assert way_of(head, Link("127.0.0.1", "192.0.2.1", secure=True)) is None


class Wire(asyncio.Transport):
    """What a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: Any) -> None:
        self.sent += data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Forgetful(KnownHeads):
    """Keeps no head."""

    def keep(self, sent: object, head: Head) -> None:
        pass


async def answered(parts: list[bytes], heads: KnownHeads) -> list[Answered]:
    """What a new server answers on one connection, where each part comes when the one before is dealt with."""
    with Store.in_memory() as store:
        keyring = KeyRing(store)
        keyring.adopt(KEY, "test", Permission.full())
        app = application(store, keyring)
        server = Server(app, "127.0.0.1", 0)
        server.heads, wire = heads, Wire()
        opened = connection.Connection(server)
        opened.connection_made(wire)
        for part in parts:
            opened.data_received(part)
            if server.tasks and opened.in_head and not opened.parted:
                await asyncio.wait(set(server.tasks))
        opened.connection_lost(None)
        await asyncio.gather(*server.tasks)
        server.listening.close()
        app.stop()
        return [each._replace(headers={**each.headers, "date": ""}) for each in answers(wire.sent)]


SENT = {
    "a read": read_of(KEY),
    "another": read_of(KEY, 22),
    "a write": as_raw("POST", "/api/v4/store/write", headers_for(KEY), json.dumps(upsert(22, a=1)).encode()),
    "one with a transaction": read_of(KEY, txn="0"),
    "no such path": as_raw("GET", "/nothing", headers_for(KEY)),
    "no key": as_raw("GET", "/txn", {}),
    "no body": as_raw("GET", "/txn", headers_for(KEY)),
    "no JSON": as_raw("POST", READ, headers_for(KEY), b"{"),
    "in chunks": as_raw("POST", READ, {**headers_for(KEY), "Transfer-Encoding": "chunked"}) + b"2\r\n{}\r\n0\r\n\r\n",
    "a line before": b"\r\n" + read_of(KEY),
    "its answer is the last": read_of(KEY, 3, connection="close"),
    "no request": b"GET\r\n\r\n",
}


@given(st.lists(st.sampled_from(sorted(SENT)), min_size=1, max_size=12), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_however_requests_come_they_are_answered_alike(kinds: list[str], data: st.DataObject) -> None:
    """One by one, as heads that are known do, and cut anywhere."""
    one_by_one = [SENT[kind] for kind in kinds]
    whole = b"".join(one_by_one)
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=6))), len(whole)]
    in_parts = [whole[begin:end] for begin, end in pairwise(cuts)]
    expected = asyncio.run(answered(one_by_one, Forgetful()))
    assert asyncio.run(answered(one_by_one, KnownHeads())) == expected
    assert asyncio.run(answered([*one_by_one, *in_parts], KnownHeads())) == asyncio.run(
        answered([*one_by_one, *in_parts], Forgetful())
    )


def test_a_known_head_that_is_taken_whatever_is_behind_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    take = connection.Connection.take_known

    def careless(self: connection.Connection, data: bytes) -> bool:
        head = self.server.heads.get(data.partition(connection.BLANK_LINE)[0])
        if head is not None:
            head.length = len(data.partition(connection.BLANK_LINE)[2])
        return take(self, data)

    parts = [read_of(KEY), read_of(KEY) + read_of(KEY, 22)]
    expected = asyncio.run(answered(parts, Forgetful()))
    assert asyncio.run(answered(parts, KnownHeads())) == expected
    monkeypatch.setattr(connection.Connection, "take_known", careless)
    assert asyncio.run(answered(parts, KnownHeads())) != expected
