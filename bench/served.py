"""S9 and S11: single durable writes and reads over HTTP, against a server that does less for each request.

Rules: all servers are processes of their own on the same listener, get the same bytes and are asked by the same client,
one after the other. Writes wait for the disk, so S9 is in wall time, the client's own share included, which all sides
have alike. S11 is the CPU time of the server alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.children import ROOT, STOP_SECONDS_MAX, environment
from bench.load import drive
from bench.measure import Row, Side, race, versus
from bench.workloads import COLLECTION, profile

DOCUMENTS = 100
WRITES = 2_000
READS = 3_000
CONNECTIONS = (16, 64)
READING_CONNECTIONS = 16
WRITE = "/api/v3/store/write"
READ = "/api/v3/store/findbyid"


class Server(NamedTuple):
    """A server that runs."""

    process: subprocess.Popen[str]
    port: int
    key: str

    def cpu_ns(self) -> int:
        """The CPU time that it took so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def request(self, path: str, body: object) -> bytes:
        """A request as it goes over the wire."""
        data = json.dumps(body).encode()
        head = [
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {self.key}",
            "X-DITTO-CLIENT-ID: AAAAAAAAAAUAAAAAAAAAAA==",
            "Content-Type: application/json",
            f"Content-Length: {len(data)}",
        ]
        return "\r\n".join([*head, "", ""]).encode() + data


@contextmanager
def running(kind: str, folder: str) -> Iterator[Server]:
    """Run a server; it is stopped at the end, whatever happens.

    Raises:
        RuntimeError: It did not begin to listen.
    """
    command = [sys.executable, "-m", "bench.server", kind, folder]
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
    commands = ({"method": "upsert", "collection": COLLECTION, "id": each, "value": profile(each)} for each in some)
    return [server.request(WRITE, {"commands": [command]}) for command in commands]


def reads(server: Server, count: int) -> list[bytes]:
    """Reads of one of the documents that are there."""
    return [server.request(READ, {"collection": COLLECTION, "id": each % DOCUMENTS}) for each in range(count)]


def rows(rounds: int) -> list[Row]:
    """S9: writes."""
    with servers("store", "off", "hello") as running_ones:
        return written(*running_ones, rounds=rounds)


def adapter_rows(rounds: int) -> list[Row]:
    """S11: the CPU time of a request."""
    with servers("store", "off", "hello", "open") as running_ones:
        return answered(*running_ones, rounds=rounds)


def written(store: Server, off: Server, hello: Server, *, rounds: int, count: int = WRITES) -> list[Row]:
    """Send writes of single documents, to all sides alike."""
    found = []
    for series, connections in enumerate(CONNECTIONS):

        def side(server: Server, series: int = series, connections: int = connections) -> Side:
            def run(number: int) -> float:
                requests = writes(server, 1 + series * rounds + number, count)
                return drive(server.port, requests, connections) / count / 1_000

            return run

        times = race({"ours": side(store), "off": side(off), "hello": side(hello)}, rounds)
        found += [
            versus(f"S9.off.{connections}", "itself without storage", times, "ours", "off", connections=connections),
            versus(f"S9.hello.{connections}", "a hello world in ASGI", times, "ours", "hello", connections=connections),
        ]
    return found


def answered(
    store: Server, off: Server, hello: Server, unkeyed: Server, *, rounds: int, count: int = READS
) -> list[Row]:
    """Count the CPU time of a server while it answers."""

    def side(server: Server, requests: Sequence[bytes]) -> Side:
        def run(_number: int) -> float:
            before = server.cpu_ns()
            drive(server.port, requests, READING_CONNECTIONS)
            return (server.cpu_ns() - before) / count / 1_000

        return run

    times = race(
        {
            "read": side(store, reads(store, count)),
            "write": side(off, writes(off, 0, count)),
            "open.read": side(unkeyed, reads(unkeyed, count)),
            "hello.read": side(hello, reads(hello, count)),
            "hello.write": side(hello, writes(hello, 0, count)),
        },
        rounds,
    )
    peer = "a hello world in ASGI on the same server"
    return [
        versus("S11.read", peer, times, "read", "hello.read"),
        versus("S11.write", peer, times, "write", "hello.write"),
        versus("S11.keys", "itself without a look at keys", times, "read", "open.read"),
    ]


@contextmanager
def servers(*kinds: str) -> Iterator[tuple[Server, ...]]:
    """Run a server of each kind, on a disk; each has been sent the first hundred documents."""
    (ROOT / "build").mkdir(exist_ok=True)
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="crdtstore-bench-", dir=ROOT / "build"))
        found = tuple(stack.enter_context(running(kind, folder)) for kind in kinds)
        for server in found:
            drive(server.port, writes(server, 0, DOCUMENTS), 1)
        yield found
