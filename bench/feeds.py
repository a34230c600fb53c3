"""`python -m bench feeds`: a server with a thousand waiting reads, a thousand readers of its feed, and writers.

Rules: one in ten readers takes nothing until the writers have ended, then all that was told. Whoever is cut or
disconnected comes back with the last transaction that it has. In the end every reader stands at the newest transaction
with the same digest of all events, no request was answered with an error, and the server's memory is what its bounds
allow: a count that is not so is told as `problems`, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final, cast

from bench.served import Server, command_of, running

FIND: Final = "/api/v4/store/findbyid"
WRITE: Final = "/api/v4/store/write"
COLLECTION: Final = "c"
DOCUMENTS: Final = 1_000
AHEAD: Final = 200
"""So many transactions, at most, a read waits for."""

PROBLEMS_SHOWN: Final = 5
CATCH_UP_SECONDS_MAX: Final = 300
MEBIBYTE: Final = 1 << 20


@dataclass
class Load:
    """What is asked for."""

    waiting: int = 1_000
    readers: int = 1_000
    writers: int = 64
    seconds: float = 60.0
    pause: float = 0.5
    """Between two writes of a writer: what is written is told to every reader, by one process."""

    memory_mebibytes: int = 512
    """What the server may take beyond what it took without any connection."""


@dataclass
class Counts:
    """What came of it."""

    writes: int = 0
    waits: int = 0
    events: int = 0
    cuts: int = 0
    returns: int = 0
    newest: int = 0
    digests: int = 0
    behind: int = 0
    memory_before: int = 0
    memory_peak: int = 0
    memory_after: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


class FeedReader(asyncio.Protocol):
    """One reader of the feed: its position and the digest of all that it was told."""

    def __init__(self, server: Server, counts: Counts, *, idle: bool) -> None:
        self.server = server
        self.counts = counts
        self.idle = idle
        self.digest = blake2b()
        self.txn = 0
        self.buffer = bytearray()
        self.in_head = True
        self.over = False
        self.transport: asyncio.Transport | None = None

    async def open(self) -> None:
        """Connect, and ask for what follows the position."""
        self.buffer.clear()
        self.in_head = True
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.server.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask; who is idle takes nothing of the answer."""
        self.transport = cast("asyncio.Transport", transport)
        path = f"/api/v4/store/changes?since={self.txn}&collection={COLLECTION}&feed=continuous"
        lines = (f"GET {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.server.key}", "", "")
        self.transport.write("\r\n".join(lines).encode())
        if self.idle:
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Take the head, then the pieces of the body that are whole."""
        self.buffer += data
        if self.in_head:
            head, found, rest = bytes(self.buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                self.counts.problems.append(f"A reader was answered {bytes(self.buffer)[:300]!r}.")
                self.over = True
                return
            self.buffer, self.in_head = bytearray(rest), False
        while (end := self.buffer.find(b"\r\n")) > 0:
            size = int(self.buffer[:end], 16)
            if len(self.buffer) < end + size + 4:
                return
            self.take(bytes(self.buffer[end + 2 : end + 2 + size]))
            del self.buffer[: end + size + 4]

    def take(self, piece: bytes) -> None:
        """Whole lines: events, but for the last one of an answer that was cut."""
        for line in piece.splitlines(keepends=True):
            if line.startswith(b'{"txnId":'):
                self.digest.update(line)
                self.txn = int(line[9 : line.index(b",")])
                self.counts.events += 1
            elif line != b"\n":
                self.counts.cuts += 1

    def connection_lost(self, _: Exception | None) -> None:
        """Come back."""
        if not self.over:
            self.counts.returns += 1
            asyncio.get_running_loop().create_task(self.open())

    async def wake(self) -> None:
        """Begin to read at last: what was sent to it is dropped, and asked for again."""
        self.idle = False
        assert self.transport is not None
        self.transport.abort()

    def leave(self) -> None:
        """Go away for good."""
        self.over = True
        if self.transport is not None:
            self.transport.abort()


class World:
    """All who are connected."""

    def __init__(self, server: Server, load: Load) -> None:
        self.server = server
        self.load = load
        self.counts = Counts()
        self.random = Random(1)
        self.stopping = asyncio.Event()

    async def run(self) -> Counts:
        """Connect everybody, write for so long, and wait until every reader has everything."""
        counts, load = self.counts, self.load
        numbers = count()
        # The first request of a key takes the time that it takes to verify it; the others come behind it.
        async with self.connection() as streams:
            await self.write_one(*streams, next(numbers))
        counts.memory_before = memory_of(self.server)
        idle = load.readers // 10
        readers = [FeedReader(self.server, counts, idle=number < idle) for number in range(load.readers)]
        for some in range(0, len(readers), 50):
            await asyncio.gather(*(reader.open() for reader in readers[some : some + 50]))
        waiting = [asyncio.create_task(self.guard(self.wait)) for _ in range(load.waiting)]
        watch = asyncio.create_task(self.watch())
        begun = monotonic()
        writers = [asyncio.create_task(self.guard(lambda: self.write(numbers))) for _ in range(load.writers)]
        await asyncio.sleep(load.seconds)
        self.stopping.set()
        await asyncio.gather(*writers)
        counts.seconds = round(monotonic() - begun, 1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.gather(*(reader.wake() for reader in readers if reader.idle))
        await self.catch_up(readers)
        watch.cancel()
        return self.judge(readers)

    async def catch_up(self, readers: Sequence[FeedReader]) -> None:
        """Wait until every reader stands at the newest transaction, or so long that it never will."""
        until = monotonic() + CATCH_UP_SECONDS_MAX
        # A look now and then costs less than telling each time.
        while monotonic() < until and any(reader.txn < self.counts.newest for reader in readers):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        self.counts.memory_after = memory_of(self.server)
        for reader in readers:
            reader.leave()

    def judge(self, readers: Sequence[FeedReader]) -> Counts:
        """Say what is not as it is to be."""
        counts = self.counts
        counts.behind = sum(reader.txn != counts.newest for reader in readers)
        counts.digests = len({reader.digest.digest() for reader in readers})
        if counts.behind or counts.digests != 1:
            counts.problems.append(f"{counts.behind} readers are behind, with {counts.digests} digests.")
        more = (max(counts.memory_peak, counts.memory_after) - counts.memory_before) // MEBIBYTE
        if more > self.load.memory_mebibytes:
            counts.problems.append(f"The server took {more} MiB more than without connections.")
        return counts

    async def guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something; what goes wrong is told."""
        try:
            await work()
        except (OSError, asyncio.IncompleteReadError, RuntimeError) as error:
            self.counts.problems.append(repr(error)[:300])

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection, closed at the end of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def write(self, numbers: count[int]) -> None:
        """Write, again and again, until the time is over."""
        async with self.connection() as streams:
            while not self.stopping.is_set():
                await self.write_one(*streams, next(numbers))
                await asyncio.sleep(self.load.pause * (0.5 + self.random.random()))

    async def write_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        """Write a document."""
        value = {"number": number, "text": "x" * 100}
        command = {"method": "upsert", "collection": COLLECTION, "id": number % DOCUMENTS, "value": value}
        answer = await ask(reader, writer, self.server.request(WRITE, {"commands": [command]}))
        self.counts.newest = max(self.counts.newest, answer["results"][0]["transactionId"])
        self.counts.writes += 1

    async def wait(self) -> None:
        """Read at a version that is to come, again and again."""
        request = self.server.request(FIND, {"collection": COLLECTION, "id": 0})
        async with self.connection() as streams:
            while True:
                txn = self.counts.newest + self.random.randint(1, AHEAD)
                await ask(*streams, request.replace(b"\r\n\r\n", b"\r\nX-DITTO-TXN-ID: %d\r\n\r\n" % txn, 1))
                self.counts.waits += 1

    async def watch(self) -> None:
        """Look at the server's memory."""
        while True:
            self.counts.memory_peak = max(self.counts.memory_peak, memory_of(self.server))
            await asyncio.sleep(0.5)


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> dict[str, list[dict[str, int]]]:
    """Send a request, and return the answer's body.

    Raises:
        RuntimeError: It is not answered 200.
    """
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"A request was answered {head[:40]!r} {body[:200]!r}.")
    return json.loads(body)


def memory_of(server: Server) -> int:
    """The bytes that a server has in memory."""
    assert server.process is not None
    for line in Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    return 0


def measure(load: Load) -> Counts:
    """Run a server, and all of them."""
    raise_descriptors(2 * (load.waiting + load.readers + load.writers) + 200)
    with (
        TemporaryDirectory() as folder,
        running(command_of("feeds", folder)) as server,
    ):
        return asyncio.run(measured(server, load))


async def measured(server: Server, load: Load) -> Counts:
    """The same, on an event loop."""
    return await World(server, load).run()


def raise_descriptors(needed: int) -> None:
    """Allow this process, and those that it starts, so many descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, hard), hard))


def main(arguments: Sequence[str]) -> int:
    """Run as a command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench feeds", description=(__doc__ or "").partition("\n")[0])
    for name, value in asdict(Load()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value, metavar="N")
    counts = measure(Load(**vars(parser.parse_args(arguments))))
    counts.problems[PROBLEMS_SHOWN:] = [f"{len(counts.problems)} in all"] if counts.problems else []
    sys.stdout.write(json.dumps(asdict(counts), indent=1) + "\n")
    return int(bool(counts.problems))
