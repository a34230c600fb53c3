"""Servers under load: what they are asked is done, and what they refuse ends the bench."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from bench import couch, wakeup
from bench.compiled import compiled
from bench.load import drive
from bench.served import READ, Server, answered, command_of, running, servers, writes, written
from bench.targets import TARGETS
from bench.workloads import COLLECTION
from crdtstore import Store
from tests.bench.needs import need
from tests.bench.rows import check_rows

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server of one connection that gives these answers, in parts, and then ends; its port, and what it was sent."""
    received: list[bytes] = []

    def run() -> None:
        connection, _ = listening.accept()
        with connection:
            for answer in answers:
                received.append(connection.recv(65_536))
                for part in (answer[:10], answer[10:]):
                    connection.sendall(part)
            received.append(connection.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listening.getsockname()[1], received
        finally:
            thread.join()


def test_each_request_is_sent_when_the_last_one_was_answered() -> None:
    with answering(GOOD, GOOD, GOOD) as (port, received):
        assert drive(port, [b"one", b"two", b"three"], 1) > 0
    assert received == [b"one", b"two", b"three", b""]


def test_the_client_in_c_does_the_same(tmp_path: Path) -> None:
    need("cc")
    program = compiled("load", str(tmp_path))
    with answering(GOOD, GOOD, GOOD) as (port, received):
        assert drive(port, [b"one", b"two", b"three"], 1, program) > 0
    assert received == [b"one", b"two", b"three", b""]
    refused = pytest.raises(RuntimeError, match="404")
    with answering(GOOD, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n") as (port, _), refused:
        drive(port, [b"one", b"two", b"three"], 1, program)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_another_answer_ends_the_bench(answer: bytes) -> None:
    with answering(GOOD, answer) as (port, _), pytest.raises((RuntimeError, ValueError)):
        drive(port, [b"one", b"two", b"three"], 1)


def test_a_connection_that_ends_too_early_ends_the_bench() -> None:
    with answering() as (port, _), pytest.raises((RuntimeError, OSError)):
        drive(port, [b"one", b"two"], 1)


def test_a_server_that_does_not_listen_ends_the_bench(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(RuntimeError, match="did not begin to listen"),
        running(command_of("store", "/dev/null")),
    ):
        pass
    assert "/dev/null" in capfd.readouterr().err


def test_servers_do_what_is_measured() -> None:
    """Of S9 to S11; the stores wrote what the server without storage only answered."""
    need("uvicorn", "cc")
    with (
        servers("store", "sync", "off", "hello", "c") as ours,
        servers("store", "off", "hello", server="uvicorn") as other,
    ):
        stores = [ours.by_kind[kind] for kind in ("store", "sync", "off")]
        assert [found(server, 7) for server in stores] == [True, True, False]
        rows = [*written(ours, rounds=2, count=20), *answered(ours, other, rounds=2, count=20)]
        last = 4 * 20 + 19
        assert [found(server, last) for server in stores] == [True, True, False]
        assert not any(found(server, last + 1) for server in stores)
    measured = {name for name in TARGETS if name.startswith(("S9.", "S10.", "S11."))}
    assert {row.id for row in rows} == {name for name in measured if name.split(".")[1] not in {"couchdb", "pouch"}}
    check_rows(rows)


def test_peers_that_are_not_there_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (couch.URL, couch.FOLDER):
        monkeypatch.delenv(name, raising=False)
    with servers("couchdb", "pouch") as none:
        assert none.by_kind == {}
    said = capsys.readouterr().err
    assert "CouchDB" in said
    assert "express-pouchdb" in said


class Recording(BaseHTTPRequestHandler):
    """A server that takes whatever it is sent, and keeps it."""

    protocol_version = "HTTP/1.1"
    taken: ClassVar[list[tuple[str, str, str]]] = []

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.taken.append((self.command, self.path, self.headers["Authorization"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self) -> None:
        self.do_PUT()

    def log_message(self, *_: object) -> None: ...


def test_couchdb_gets_a_database_and_writes_and_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Recording) as stub:
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        monkeypatch.setenv(couch.URL, f"http://some:body@127.0.0.1:{stub.server_port}")
        try:
            with servers("couchdb") as ones:
                server = ones.by_kind["couchdb"]
                assert drive(server.port, writes(server, 5, 2), 1) > 0
                assert server.cpu_ns() == 0
        finally:
            stub.shutdown()
            thread.join()
    made, *wrote, removed = Recording.taken
    base = f"/{server.database}"
    assert [each[:2] for each in (made, *wrote[-2:], removed)] == [
        ("PUT", base),
        ("PUT", f"{base}/10"),
        ("PUT", f"{base}/11"),
        ("DELETE", base),
    ]
    assert {each[2] for each in Recording.taken} == {"Basic c29tZTpib2R5"}


def found(server: Server, number: int) -> bool:
    """Whether there is a document."""
    with closing(HTTPConnection("127.0.0.1", server.port)) as connection:
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
        connection.request("POST", READ, json.dumps({"collection": COLLECTION, "id": number}), headers)
        return json.loads(connection.getresponse().read())["document"] is not None


def test_reads_are_woken() -> None:
    rows = {row.id: row for row in wakeup.rows(2, wakes=5)}
    assert rows.keys() == {name for name in TARGETS if name.startswith("S12.")}
    assert all(row.ours > 0 and row.runs == 2 for row in rows.values())


@pytest.mark.parametrize("wait", [wakeup.on_a_loop, wakeup.in_a_thread])
def test_each_wake_is_of_a_write_of_its_own(wait: object) -> None:
    with Store.in_memory() as store:
        assert callable(wait)
        assert len(wait(store, 5)) == 5
        assert store.applied == 5
