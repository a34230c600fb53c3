"""A TCP proxy that does to connections what networks do: it holds, delays and breaks them.

Rules:

- One thread runs all links. A link is a port of the loopback that leads to an address, which may change while
  connections come and go; what it does to them may change at any moment.
- A cut holds bytes and does not lose them: TCP would send them again until one end gives up. So a request may
  arrive long after its sender went away, as it may on a network. A cut of one direction lets the other one flow.
- What is lost is a connection, not bytes of one: at some byte both ends are reset.
- `held` and `broken` count what was done, so that a test can tell that its faults have happened.

Not here: when what is cut (`workload`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from asyncio import Event, StreamReader, StreamWriter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]

CHUNK_BYTES = 64 * 1_024
LOST_WITHIN_BYTES = 4_096
"""Where a lost connection ends: the head of a request or an answer, or their bodies."""

RESET = struct.pack("ii", 1, 0)
"""To linger for no time: a socket that is closed so sends a reset."""


class Direction:
    """One direction of a link."""

    def __init__(self) -> None:
        self.open = Event()
        self.open.set()
        self.held = 0


class Link:
    """A port that leads to an address. All methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random) -> None:
        """Make a link; `Proxy` does."""
        self.loop = loop
        self.random = random
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.target: Address | None = None
        self.forward = Direction()
        self.backward = Direction()
        self.delay_seconds = 0.0
        self.loss = 0.0
        self.connections: dict[asyncio.Task[None], list[StreamWriter]] = {}
        self.broken = 0

    def aim(self, address: Address | None) -> None:
        """Lead new connections to an address; None refuses them."""
        self.call(lambda: setattr(self, "target", address))

    def cut(self, *, forward: bool = True, backward: bool = True) -> None:
        """Hold what comes from one side, or from both."""
        for direction in [self.forward] * forward + [self.backward] * backward:
            self.call(direction.open.clear)

    def delay(self, seconds: float) -> None:
        """Pass everything on so much later."""
        self.call(lambda: setattr(self, "delay_seconds", seconds))

    def lose(self, probability: float) -> None:
        """Reset so large a part of the new connections somewhere on their way."""
        self.call(lambda: setattr(self, "loss", probability))

    def heal(self) -> None:
        """Do nothing more to anyone; what was held goes on."""
        for undo in (self.forward.open.set, self.backward.open.set):
            self.call(undo)
        self.delay(0)
        self.lose(0)

    def reset(self) -> None:
        """Break all connections that there are."""
        self.call(lambda: [task.cancel() for task in self.connections])

    def call(self, work: Callable[[], object]) -> None:
        """Do something in the thread of the links, and wait until it is done."""
        done = threading.Event()

        def run() -> None:
            work()
            done.set()

        self.loop.call_soon_threadsafe(run)
        done.wait()

    # --- in the thread of the links ---

    def abort(self, writers: list[StreamWriter]) -> None:
        """Reset both ends of a connection."""
        for writer in writers:
            if not writer.is_closing():
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()

    async def listen(self) -> None:
        """Take connections until cancelled."""
        async with await asyncio.start_server(self.take, sock=self.listening) as server:
            await server.serve_forever()

    async def take(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Take one connection, and end it when it has ended, broken or been cancelled."""
        task = asyncio.current_task()
        assert task is not None
        writers = self.connections[task] = [writer]
        try:
            await self.carry(reader, writers)
        except* (OSError, asyncio.CancelledError):
            self.broken += 1
            self.abort(writers)
        finally:
            del self.connections[task]
            for each in writers:
                each.close()

    async def carry(self, reader: StreamReader, writers: list[StreamWriter]) -> None:
        """Carry one connection in both directions."""
        self.forward.held += not self.forward.open.is_set()
        await self.forward.open.wait()
        if self.target is None:
            raise ConnectionRefusedError
        answers, there = await asyncio.open_connection(*self.target)
        writers.append(there)
        fate = Fate(self.random.randrange(LOST_WITHIN_BYTES) if self.random.random() < self.loss else None)
        async with asyncio.TaskGroup() as both:
            both.create_task(self.pump(reader, there, self.forward, fate))
            both.create_task(self.pump(answers, writers[0], self.backward, fate))

    async def pump(self, reader: StreamReader, writer: StreamWriter, direction: Direction, fate: Fate) -> None:
        """Carry one direction of a connection to its end."""
        while data := await reader.read(CHUNK_BYTES):
            direction.held += not direction.open.is_set()
            await direction.open.wait()
            await asyncio.sleep(self.delay_seconds)
            writer.write(fate.spare(data))
            await writer.drain()
            if fate.left == 0:
                raise ConnectionResetError
        await direction.open.wait()
        writer.write_eof()


class Fate:
    """How many bytes a connection still carries, in both directions together; None for all that come."""

    def __init__(self, left: int | None) -> None:
        self.left = left

    def spare(self, data: bytes) -> bytes:
        """The part of some bytes that comes through."""
        if self.left is None:
            return data
        spared = data[: self.left]
        self.left -= len(spared)
        return spared


class Proxy:
    """The thread that runs links."""

    def __init__(self, seed: int) -> None:
        """Make it; `proxying` starts and ends it."""
        self.loop = asyncio.new_event_loop()
        self.random = Random(seed)
        self.links: list[Link] = []

    def link(self, target: Address | None = None) -> Link:
        """Open a port that leads to an address, or to none at first."""
        link = Link(self.loop, self.random)
        self.links.append(link)
        asyncio.run_coroutine_threadsafe(link.listen(), self.loop)
        link.aim(target)
        return link

    async def end(self) -> None:
        """Cancel everything, and wait until it has ended."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def proxying(seed: int = 0) -> Iterator[Proxy]:
    """Run a proxy; at the end of the block its ports and connections are closed."""
    proxy = Proxy(seed)
    thread = threading.Thread(target=proxy.loop.run_forever, name="proxy")
    thread.start()
    try:
        yield proxy
    finally:
        asyncio.run_coroutine_threadsafe(proxy.end(), proxy.loop).result()
        proxy.loop.call_soon_threadsafe(proxy.loop.stop)
        thread.join()
        proxy.loop.close()
        for link in proxy.links:
            link.listening.close()
