"""S9 to S11: single durable writes and reads over HTTP, against a server that does less for each request.

Rules: all servers are processes of their own, get the same bytes and are asked by the same client, one after the other.
Writes wait for the disk, so S9 is in wall time, the client's own share included, which all sides have alike: a small
one where there is a compiler. What the disk alone takes is measured in the same rounds. S10 and S11 are the CPU time of
the server alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.children import ROOT, STOP_SECONDS_MAX, environment
from bench.compiled import compiled
from bench.couch import POUCH_DATABASE, command_of_pouch, database, put_of
from bench.flushes import flushing, side_of
from bench.load import drive, request_of
from bench.measure import Row, Side, Times, race, versus
from bench.workloads import COLLECTION, profile

DOCUMENTS = 100
WRITES = 2_000
READS = 3_000
CONNECTIONS = (16, 64)
READING_CONNECTIONS = 16
WRITE = "/api/v3/store/write"
READ = "/api/v3/store/findbyid"
PEERS = {
    "off": "itself without storage",
    "hello": "a hello world in ASGI",
    "c": "one in C",
    "couchdb": "CouchDB",
    "pouch": "express-pouchdb",
    "flush": "the disk with a flush for each",
    "group": "the disk with a flush for so many",
}
"""What a durable write is compared with."""


class Server(NamedTuple):
    """A server that runs; one that somebody else runs has no process here, and its time is not known.

    `database` is named by servers that speak CouchDB's API, whose key is the whole of what authorises.
    """

    process: subprocess.Popen[str] | None
    port: int
    key: str
    database: str = ""

    def cpu_ns(self, *, keyed: bool = True) -> int:
        """The CPU time that it took so far; from then on it looks at keys, or does not."""
        if self.process is None:
            return 0
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("keyed" if keyed else "open", file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def request(self, path: str, body: object) -> bytes:
        """A request as it goes over the wire."""
        headers = [f"Authorization: Bearer {self.key}", "X-DITTO-CLIENT-ID: AAAAAAAAAAUAAAAAAAAAAA=="]
        return request_of(f"POST {path} HTTP/1.1", headers, body)


def command_of(kind: str, folder: str, server: str = "builtin") -> list[str]:
    """The command that runs a server in Python."""
    return [sys.executable, "-m", "bench.server", kind, folder, server]


@contextmanager
def running(command: Sequence[str]) -> Iterator[Server]:
    """Run a server by its command; it is stopped at the end, whatever happens.

    Raises:
        RuntimeError: It did not begin to listen.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment(), cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("A server did not begin to listen; what it says stands above.")
            told = json.loads(line)
            yield Server(process, told["port"], told["key"])
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def writes(server: Server, number: int, count: int) -> list[bytes]:
    """Single upserts of new documents."""
    some = range(number * count, (number + 1) * count)
    if server.database:
        return [put_of(each, server.database, server.key) for each in some]
    commands = ({"method": "upsert", "collection": COLLECTION, "id": each, "value": profile(each)} for each in some)
    return [server.request(WRITE, {"commands": [command]}) for command in commands]


def reads(server: Server, count: int) -> list[bytes]:
    """Reads of one of the documents that are there."""
    return [server.request(READ, {"collection": COLLECTION, "id": each % DOCUMENTS}) for each in range(count)]


def rows(rounds: int) -> list[Row]:
    """S9 and S10: writes."""
    with servers("store", "sync", "off", "hello", "c", "couchdb", "pouch") as running_ones:
        return written(running_ones, rounds=rounds)


def adapter_rows(rounds: int) -> list[Row]:
    """S11: the CPU time of a request."""
    with servers("store", "off", "hello") as ours, servers("store", "off", "hello", server="uvicorn") as theirs:
        return answered(ours, theirs, rounds=rounds)


def written(running_ones: Servers, *, rounds: int, count: int = WRITES) -> list[Row]:
    """Send writes of single documents, to all sides alike."""
    found = []
    for series, connections in enumerate(CONNECTIONS):
        spent: dict[str, list[float]] = {}
        first = 1 + series * rounds
        sides = {
            kind: writing(server, running_ones.load, connections, first, count, spent.setdefault(kind, []))
            for kind, server in running_ones.by_kind.items()
        }
        sides["flush"] = side_of(running_ones.flushes, count, 1)
        sides["group"] = side_of(running_ones.flushes, count, connections)
        found += rows_of(connections, race(sides, rounds), spent)
    return found


def writing(server: Server, load: Path | None, connections: int, first: int, count: int, spent: list[float]) -> Side:
    """Writes to one server, in wall time; the server's CPU time is noted in `spent`."""

    def run(number: int) -> float:
        requests = writes(server, first + number, count)
        before = server.cpu_ns()
        wall = drive(server.port, requests, connections, load)
        spent.append((server.cpu_ns() - before) / count / 1_000)
        return wall / count / 1_000

    return run


def rows_of(connections: int, times: Times, spent: Times) -> list[Row]:
    """The rows of one number of connections: S9 in wall time, S10 in the server's CPU time."""
    found = []
    for peer, what in PEERS.items():
        if peer in times:
            found.append(versus(f"S9.{peer}.{connections}", what, times, "store", peer, connections=connections))
    found.append(versus(f"S10.{connections}", PEERS["off"], spent, "store", "off", connections=connections))
    found.append(versus(f"S9.sync.{connections}", PEERS["off"], times, "sync", "off", connections=connections))
    found.append(versus(f"S10.sync.{connections}", PEERS["off"], spent, "sync", "off", connections=connections))
    return found


def answered(running_ones: Servers, on_uvicorn: Servers, *, rounds: int, count: int = READS) -> list[Row]:
    """Count the CPU time of a server while it answers."""

    def side(server: Server, requests: Sequence[bytes], *, keyed: bool = True) -> Side:
        def run(_number: int) -> float:
            before = server.cpu_ns(keyed=keyed)
            drive(server.port, requests, READING_CONNECTIONS)
            return (server.cpu_ns() - before) / count / 1_000

        return run

    sides: dict[str, Side] = {}
    for prefix, (by_kind, *_) in (("", running_ones), ("uvicorn.", on_uvicorn)):
        store, off, hello = by_kind["store"], by_kind["off"], by_kind["hello"]
        sides[f"{prefix}read"] = side(store, reads(store, count))
        sides[f"{prefix}write"] = side(off, writes(off, 0, count))
        sides[f"{prefix}hello.read"] = side(hello, reads(hello, count))
        sides[f"{prefix}hello.write"] = side(hello, writes(hello, 0, count))
    store = running_ones.by_kind["store"]
    times = race({**sides, "open.read": side(store, reads(store, count), keyed=False)}, rounds)
    same, other = "a hello world in ASGI on the same server", "a hello world in ASGI on uvicorn"
    return [
        *(versus(f"S11.{name}", same, times, name, f"hello.{name}") for name in ("read", "write")),
        *(
            versus(f"S11.uvicorn.{name}", same, times, f"uvicorn.{name}", f"uvicorn.hello.{name}")
            for name in ("read", "write")
        ),
        *(versus(f"S11.across.{name}", other, times, name, f"uvicorn.hello.{name}") for name in ("read", "write")),
        versus("S11.keys", "itself without a look at keys", times, "read", "open.read"),
    ]


class Servers(NamedTuple):
    """Servers that run, by their kinds, the client in C, if there is one, and a file on their disk."""

    by_kind: dict[str, Server]
    load: Path | None
    flushes: int


@contextmanager
def servers(*kinds: str, server: str = "builtin") -> Iterator[Servers]:
    """Run a server of each kind, on a disk, and send it the first hundred documents; without those not installed."""
    (ROOT / "build").mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="crdtstore-bench-", dir=ROOT / "build"))
        found = {}
        for kind in kinds:
            each = stack.enter_context(server_of(kind, folder, server))
            if each is not None:
                found[kind] = each
        for each in found.values():
            drive(each.port, writes(each, 0, DOCUMENTS), 1)
        yield Servers(found, compiled("load", folder), stack.enter_context(flushing(folder)))


@contextmanager
def server_of(kind: str, folder: str, server: str) -> Iterator[Server | None]:
    """Run a server of any kind; None where it is not installed."""
    if kind == "couchdb":
        with database() as made:
            yield None if made is None else Server(None, made.port, made.authorization, made.name)
        return
    command: Sequence[str] | None = command_of(kind, folder, server)
    if kind == "c":
        program = compiled("hello", folder)
        command = None if program is None else [str(program)]
    elif kind == "pouch":
        command = command_of_pouch(folder)
    if command is None:
        yield None
        return
    with running(command) as begun:
        yield begun._replace(database=POUCH_DATABASE if kind == "pouch" else "")
