"""A real server on a real socket: what only the wire can show.

Rules: the server listens on a free port of the loopback; a test reads until the server ends the connection,
so that a server that keeps it open fails by never answering, not by a clock. Both servers must do the same.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http import on_uvicorn
from crdtstore.http.listen import ServerName, serve
from crdtstore.http.server import Application, application
from crdtstore.http.serving import connection
from crdtstore.http.serving.stall import StallWatch
from tests.http.calling import (
    answers,
    as_raw,
    connect,
    headers_for,
    raw,
    serving,
    until_closed,
    upsert,
)

WRITE = "/api/v3/store/write"
FIND = "/api/v3/store/find"
ASKED = {"collection": "c", "query": "true"}
LAST = {"Connection": "close"}


SERVERS: tuple[ServerName, ...] = ("builtin", "uvicorn")


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> ServerName:
    name: ServerName = request.param
    return name


@pytest.fixture
def address(app: Application, server: ServerName) -> Iterator[tuple[str, int]]:
    with serving(app, server) as address:
        yield address


@pytest.fixture(scope="module")
def shared_address(server: ServerName) -> Iterator[tuple[str, int]]:
    """A server for what never gets as far as the store."""
    with Store.in_memory() as store, serving(application(store, KeyRing(store)), server) as address:
        yield address


def write_of(key: str, number: int, **more: str) -> bytes:
    return as_raw("POST", WRITE, {**headers_for(key), **more}, json.dumps(upsert(number, n=number)).encode())


def find_of(key: str, **more: str) -> bytes:
    return as_raw("POST", FIND, {**headers_for(key), **more}, json.dumps(ASKED).encode())


def test_a_write_and_a_read(address: tuple[str, int], key: str) -> None:
    written, found = raw(address, write_of(key, 1), find_of(key, **LAST))
    assert (written.status, found.status) == (200, 200)
    assert found.json == {"documents": [{"id": 1, "fields": {"n": 1}}], "txnId": 1}
    assert "server" not in found.headers


def test_pipelined_requests_are_answered_in_order_each_under_its_own_key(
    address: tuple[str, int], keyring: KeyRing, key: str
) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"})))
    requests = [write_of(key if number % 2 == 0 else reader, number) for number in range(100)]
    found = raw(address, b"".join(requests) + find_of(key, **LAST))
    assert [answered.status for answered in found] == [200, 403] * 50 + [200]
    assert [answered.json["results"][0]["id"] for answered in found[:-1:2]] == list(range(0, 100, 2))
    assert [row["id"] for row in found[-1].json["documents"]] == list(range(0, 100, 2))


def test_endless_pipelining_is_cut_off(address: tuple[str, int], key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PIPELINE_MAX", 3)
    found = raw(address, b"".join(write_of(key, number) for number in range(50)))
    assert [answered.status for answered in found] == [200] * 4
    assert found[-1].headers["connection"] == "close"


HEAD = f"POST {WRITE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()

BROKEN: dict[str, tuple[bytes, int]] = {
    "length and chunks": (HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "signed length": (HEAD + b"Content-Length: +2\r\n\r\n{}", 400),
    "negative length": (HEAD + b"Content-Length: -2\r\n\r\n{}", 400),
    "length in hexadecimal": (HEAD + b"Content-Length: 0x2\r\n\r\n{}", 400),
    "lengths in a list": (HEAD + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    "length that overflows": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{}", 400),
    "chunks, then something": (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    "chunks twice": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks with a tab": (HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "negative chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
    "chunk that overflows": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400),
    "chunk without its end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x", 400),
    "zero in a header": (HEAD + b"X-A: b\x00c\r\nContent-Length: 2\r\n\r\n{}", 400),
    "carriage return in a header": (HEAD + b"X-A: b\rX-B: c\r\nContent-Length: 2\r\n\r\n{}", 400),
    "header without a name": (HEAD + b": b\r\nContent-Length: 2\r\n\r\n{}", 400),
    "target that is no ASCII": (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
    "another version": (b"GET /a HTTP/3.7\r\nHost: localhost\r\n\r\n", 400),
    "unknown method": (b"FETCH /a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "unknown encoding": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n{}", 400),
    "two hosts": (HEAD + b"Host: localhost\r\nContent-Length: 2\r\n\r\n{}", 400),
    "no host": (b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "http 0.9": (b"GET /a\r\n\r\n", 400),
    "not http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10, 400),
    "bare line feeds": (b"GET /a HTTP/1.1\nHost: localhost\n\n", 400),
    "folded header": (HEAD + b"X-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}", 400),
    "space before colon": (HEAD + b"X-A : b\r\nContent-Length: 2\r\n\r\n{}", 400),
    "bad chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "absolute target": (b"GET http://localhost/api HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "tunnel": (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "long target": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "long header": (HEAD + b"X-A: " + b"a" * 2**20 + b"\r\nContent-Length: 2\r\n\r\n{}", 431),
    "endless header": (HEAD + b"X-A: " + b"a" * 2**20, 431),
    "endless target": (b"GET /" + b"a" * 2**20, 431),
    "many headers": (HEAD + b"X-A: b\r\n" * 1_000 + b"Content-Length: 2\r\n\r\n{}", 431),
    "long body announced": (HEAD + b"Content-Length: 10737418240\r\n\r\n", 413),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_good_request_is_refused_and_the_connection_ends(shared_address: tuple[str, int], name: str) -> None:
    data, status = BROKEN[name]
    [answered] = raw(shared_address, data)
    assert (answered.status, answered.json["error"]["code"]) == (status, status)
    assert answered.headers["connection"] == "close"
    assert answered.headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", ["chunk extension", "trailer"])
def test_what_stands_between_the_parts_of_a_body_is_bounded(
    address: tuple[str, int], key: str, store: Store, kind: str
) -> None:
    headers = {**headers_for(key), "Transfer-Encoding": "chunked"}
    start = b"2;" if kind == "chunk extension" else b"2\r\n{}\r\n0\r\nX-A: "
    [answered] = raw(address, as_raw("POST", WRITE, headers) + start, b"a" * 2**20)
    assert (answered.status, store.applied) == (431, 0)


def test_trailers_are_no_headers(address: tuple[str, int], key: str, store: Store) -> None:
    """A trailer comes after the checks: it must neither stand in for a header nor double one."""
    headers = headers_for(key)
    missing = {name: value for name, value in headers.items() if name != "authorization"}
    body = json.dumps(upsert(1, n=1)).encode()
    chunks = b"%x\r\n%b\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % (len(body), body, key.encode())
    for sent, status in ((missing, 401), (headers, 200)):
        head = as_raw("POST", WRITE, {**sent, "Transfer-Encoding": "chunked", **LAST})
        [answered] = raw(address, head + chunks)
        assert answered.status == status
    assert store.applied == 1


def test_a_body_beyond_its_bound_is_refused_while_it_comes(
    address: tuple[str, int], key: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller keeps sending: the answer must reach it all the same."""
    monkeypatch.setattr(limits, "BODY_BYTES_MAX", 2**20)
    headers = {**headers_for(key), "Transfer-Encoding": "chunked"}
    chunk = b"10000\r\n" + b" " * 2**16 + b"\r\n"
    [answered] = raw(address, as_raw("POST", WRITE, headers), *[chunk] * 64)
    assert (answered.status, answered.headers["connection"], store.applied) == (413, "close", 0)


def test_a_body_that_stops_coming_is_refused(store: Store, keyring: KeyRing, key: str, server: ServerName) -> None:
    app = application(store, keyring, body_seconds=0.05)
    headers = {**headers_for(key), "Content-Length": "1000"}
    with serving(app, server) as address:
        [answered] = raw(address, as_raw("POST", WRITE, headers) + b"{")
    assert (answered.status, answered.headers["connection"], store.applied) == (408, "close", 0)


def test_a_head_that_stops_coming_is_refused(
    app: Application, key: str, server: ServerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS_MAX", 0.05)
    with serving(app, server) as address:
        [answered] = raw(address, HEAD)
        assert answered.status == 408
        after_another = raw(address, find_of(key) + HEAD[:10])
        assert [answered.status for answered in after_another] == [200, 408]


def test_a_connection_that_asks_nothing_ends(
    app: Application, server: ServerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS_MAX", 0.05)
    with serving(app, server) as address:
        assert raw(address) == []


def test_a_reader_that_takes_nothing_is_cut_off(
    address: tuple[str, int], key: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = threading.Event()

    def telling(connection_lost: Callable[[Any, Exception | None], None]) -> Callable[[Any, Exception | None], None]:
        def tell(connection: Any, error: Exception | None) -> None:
            connection_lost(connection, error)
            lost.set()

        return tell

    for kind in (connection.Connection, on_uvicorn.Connection):
        monkeypatch.setattr(kind, "connection_lost", telling(kind.connection_lost))
    monkeypatch.setattr(limits, "STALL_SECONDS_MAX", 0.05)
    for number in range(30):
        store.write([Upsert("c", {"text": "x" * 2**20}, id=number)])
    with connect(address) as opened:
        opened.sendall(find_of(key))
        assert lost.wait(60)
        received = bytearray()
        with suppress(ConnectionError):
            while part := opened.recv(2**20):
                received += part
    assert len(received) < 30 * 2**20
    assert raw(address, find_of(key, **LAST))[0].status == 200


def test_a_reader_that_takes_a_little_is_not_cut_off() -> None:
    look: Callable[[Any, int], None] = StallWatch.look

    class Slow:
        """A connection whose reader takes one byte between two looks, and then none."""

        def __init__(self) -> None:
            self.sizes = [9, 8, 8]
            self.watched: list[int] = []
            self.aborted = False
            self.transport = self

        def get_write_buffer_size(self) -> int:
            return self.sizes.pop(0)

        def watch(self, left: int) -> None:
            self.watched.append(left)

        def abort(self) -> None:
            self.aborted = True

    slow = Slow()
    for left in (10, 9):
        look(slow, left)
        assert not slow.aborted
    look(slow, 8)
    assert (slow.watched, slow.aborted) == ([9, 8], True)


def test_surplus_connections_are_refused(address: tuple[str, int], key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_MAX", 2)
    with ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(connect(address))
            connection.sendall(find_of(key))
            assert connection.recv(12) == b"HTTP/1.1 200"
        [answered] = raw(address)
        assert (answered.status, answered.headers["retry-after"]) == (429, "1")


@pytest.mark.parametrize("garbage", [b"\x00garbage\r\n\r\n", b"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_garbage_behind_a_request_is_not_answered_in_its_place(
    address: tuple[str, int], key: str, store: Store, garbage: bytes
) -> None:
    """The refusal of what follows must not be taken for the answer to a request that is still worked on."""
    waits = threading.Event()
    with watched(store, waits.set), connect(address) as connection:
        connection.sendall(find_of(key, **{"X-DITTO-TXN-ID": "1"}) + garbage)
        assert waits.wait(60)
        store.write([Upsert("c", {"n": 1}, id=1)])
        [answered] = answers(until_closed(connection))
    assert answered.json["documents"] == [{"id": 1, "fields": {"n": 1}}]
    assert answered.headers["connection"] == "close"


def test_a_request_that_breaks_off_behind_another_leaves_that_one_alone(
    address: tuple[str, int], key: str, store: Store
) -> None:
    waits = threading.Event()
    broken = as_raw("POST", WRITE, {**headers_for(key), "Transfer-Encoding": "chunked"}) + b"xyz\r\n"
    with watched(store, waits.set), connect(address) as connection:
        connection.sendall(find_of(key, **{"X-DITTO-TXN-ID": "1"}) + find_of(key) + broken)
        assert waits.wait(60)
        store.write([Upsert("c", {"n": 1}, id=1)])
        found = answers(until_closed(connection))
    assert [answered.status for answered in found] == [200, 200]
    assert store.applied == 1


class watched:  # noqa: N801  # used as a function
    """Tell of every wait that begins, and of every one that is cancelled, while the block runs."""

    def __init__(self, store: Store, began: Callable[[], None], ended: Callable[[], None] = lambda: None) -> None:
        self.store, self.began, self.ended = store, began, ended

    def __enter__(self) -> None:
        notify = self.store.notify

        def tell(txn: int, callback: Callable[[], None]) -> Callable[[], None]:
            cancel = notify(txn, callback)
            self.began()

            def end() -> None:
                cancel()
                self.ended()

            return end

        self.store.notify = tell  # type: ignore[method-assign]

    def __exit__(self, *_: object) -> None:
        del self.store.notify


def test_empty_lines_behind_a_waiting_request_do_not_end_it(
    address: tuple[str, int], key: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS_MAX", 0.05)
    waits = threading.Event()
    with watched(store, waits.set), connect(address) as opened:
        opened.sendall(find_of(key, **{"X-DITTO-TXN-ID": "1"}) + b"\r\n")
        assert waits.wait(60)
        opened.settimeout(0.3)
        with pytest.raises(TimeoutError):
            opened.recv(1)
        opened.settimeout(60)
        store.write([Upsert("c", {"n": 1}, id=1)])
        assert opened.recv(12) == b"HTTP/1.1 200"


def test_a_waiting_caller_who_closes_is_forgotten(address: tuple[str, int], key: str, store: Store) -> None:
    began, ended = threading.Event(), threading.Event()
    with watched(store, began.set, ended.set):
        with connect(address) as connection:
            connection.sendall(find_of(key, **{"X-DITTO-TXN-ID": "1"}))
            assert began.wait(60)
            assert store.stats().waiting_reads == 1
        assert ended.wait(60)
    assert store.stats().waiting_reads == 0


def test_an_offer_of_another_protocol_is_not_taken(address: tuple[str, int], key: str) -> None:
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}
    request = find_of(key, **upgrade)
    for parts in ([request + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], [request[:-7], request[-7:]]):
        found = raw(address, *parts)
        assert [answered.status for answered in found] == [200]
        assert found[0].headers["connection"] == "close"
    without_body = raw(address, as_raw("GET", "/", upgrade))
    assert [answered.status for answered in without_body] == [401]


def test_a_caller_may_ask_before_it_sends_the_body(address: tuple[str, int], key: str) -> None:
    request = write_of(key, 1, Expect="100-continue", **LAST)
    head, _, body = request.partition(b"\r\n\r\n")
    with connect(address) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        [answered] = answers(until_closed(connection))
    assert answered.status == 200


def test_an_answer_before_the_body_does_not_invite_it(address: tuple[str, int]) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": "5", "Expect": "100-continue"}
    [answered] = raw(address, as_raw("POST", WRITE, headers))
    assert answered.status == 401


def test_an_answer_to_head_has_no_body(address: tuple[str, int], key: str) -> None:
    with connect(address) as opened:
        opened.sendall(as_raw("HEAD", "/api/v3/attachments/none", headers_for(key)) + find_of(key, **LAST))
        received = until_closed(opened)
    head, _, rest = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert rest.startswith(b"HTTP/1.1 200 ")


def test_a_caller_of_http_1_0_is_answered_once(address: tuple[str, int], key: str) -> None:
    request = find_of(key, Connection="keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    [answered] = raw(address, request + request)
    assert (answered.status, answered.headers["connection"]) == (200, "close")


def test_a_connection_that_asks_nothing_more_ends(
    app: Application, key: str, server: ServerName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "KEEP_ALIVE_SECONDS", 0.05)
    with serving(app, server) as address:
        [answered] = raw(address, find_of(key))
    assert "connection" not in answered.headers


def test_what_follows_the_last_request_is_not_answered(address: tuple[str, int], key: str, store: Store) -> None:
    [answered] = raw(address, find_of(key, **LAST) + write_of(key, 1))
    assert (answered.status, store.applied) == (200, 0)


def test_a_refusal_leaves_the_connection_usable_when_the_body_was_read(address: tuple[str, int], key: str) -> None:
    bad = as_raw("POST", FIND, headers_for(key), b"{")
    found = raw(address, bad, find_of(key, **LAST))
    assert [answered.status for answered in found] == [400, 200]


def test_a_stopping_server_lets_a_request_in_progress_end(
    store: Store, app: Application, key: str, server: ServerName
) -> None:
    """Its body is still awaited when the server is told to stop."""
    head, _, body = write_of(key, 1, Expect="100-continue").partition(b"\r\n\r\n")
    with ExitStack() as stack:
        stack_of_server = ExitStack()
        opened = stack.enter_context(connect(stack_of_server.enter_context(serving(app, server))))
        opened.sendall(head + b"\r\n\r\n")
        assert opened.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        stopping = threading.Thread(target=stack_of_server.close)
        stopping.start()
        opened.sendall(body)
        [answered] = answers(until_closed(opened))
        stopping.join()
    assert (answered.status, store.applied) == (200, 1)


PROGRAM = """
import sys
from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.http.listen import serve

with Store.in_memory() as store:
    tell = lambda host, port: print(host, port, flush=True)
    serve(store, KeyRing(store), port=0, server=sys.argv[1], on_listening=tell)
    print("stopped", store.applied, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_and_lets_its_caller_finish(number: signal.Signals, server: ServerName) -> None:
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        host, port = process.stdout.readline().split()
        [answered] = raw((host, int(port)), as_raw("GET", "/", LAST))
        assert answered.status == 401
        process.send_signal(number)
        output, said = process.communicate(timeout=60)
    assert (output, said, process.returncode) == ("stopped 0\n", "", 0)


def test_an_address_that_is_taken_is_an_error_of_the_caller(
    address: tuple[str, int], store: Store, keyring: KeyRing, server: ServerName
) -> None:
    with pytest.raises(OSError, match="in use"):
        serve(store, keyring, *address, server=server)
