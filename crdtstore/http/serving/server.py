"""The built-in server: one listening socket, its connections, and a stop that lets requests in progress end.

Rules: a signal stops it, or `stop`, from any thread. Then nobody new is let in, who waits for something to happen is
answered at once, idle connections end, and requests in progress have STOP_SECONDS_MAX; a second signal cuts that short.

Not here: one connection (`connection`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, Protocol

from crdtstore import limits
from crdtstore.http.channel import Channel, Head, KnownHeads
from crdtstore.http.serving.connection import Connection
from crdtstore.http.wait import Held, wakes_of
from crdtstore.version.pending import Pending
from crdtstore.version.writer import in_rounds

try:
    from uvloop import new_event_loop
except ImportError:  # where it cannot be installed
    from asyncio import new_event_loop  # type: ignore[assignment]  # of any kind

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

logger = logging.getLogger(__name__)


class Served(Protocol):
    """What answers requests."""

    held: Held

    async def handle(self, head: Head, channel: Channel) -> None:
        """Answer one request."""

    def stop(self) -> None:
        """Let go of everything; no request is worked on any more."""


class Server:
    """A server on one listening socket, which is bound when this is made."""

    def __init__(
        self,
        served: Served,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        on_listening: Callable[[str, int], None] | None = None,
    ) -> None:
        """Bind the socket; with `tls`, HTTPS is spoken on it.

        Raises:
            OSError: The address cannot be listened on.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listening = socket.create_server((host, port), family=family, backlog=limits.BACKLOG)
        self.served = served
        self.tls = tls
        self.on_listening = on_listening
        self.connections: set[Connection] = set()
        self.heads = KnownHeads()
        self.tasks: set[asyncio.Task[None]] = set()
        self.writes = 0
        """Requests that wait for a write, and for nothing else: these are no tasks."""

        self.loop: asyncio.AbstractEventLoop | None = None
        self.stops = 0
        self.told = asyncio.Event()
        """Whether something changed that a stop waits for."""

    def run(self) -> None:
        """Serve until a signal comes or `stop` is called."""
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(self.serve())

    def stop(self) -> None:
        """Let `run` return once requests in progress have ended; from any thread. A second call cuts that short."""
        self.stops += 1
        if self.loop is not None:
            # The loop was closed between: then it has stopped.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self.told.set)

    async def serve(self) -> None:
        """Serve until it is stopped."""
        self.loop = asyncio.get_running_loop()
        self.wakes = wakes_of(self.loop)
        with self.signals(), in_rounds(self.loop.call_soon):
            server = await self.loop.create_server(lambda: Connection(self), sock=self.listening, ssl=self.tls)
            if self.on_listening is not None:
                self.on_listening(*self.listening.getsockname()[:2])
            await self.until(lambda: self.stops > 0)
            server.close()
            await self.end()
        self.served.stop()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, or a stop is to be cut short."""
        while not holds() and self.stops < 2:
            self.told.clear()
            await self.told.wait()

    async def end(self) -> None:
        """Let requests in progress end, but not for ever."""
        self.served.held.let_go()
        for connection in list(self.connections):
            connection.stop()
        try:
            async with asyncio.timeout(limits.STOP_SECONDS_MAX):
                await self.until(lambda: not self.connections and not self.tasks and not self.writes)
        except TimeoutError:
            logger.warning("%d requests did not end in time and are broken off.", len(self.tasks) + self.writes)
        for connection in list(self.connections):
            connection.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Stop at a signal; only the main thread is told of them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        assert self.loop is not None
        before = {number: signal.getsignal(number) for number in SIGNALS}
        for number in SIGNALS:
            self.loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                self.loop.remove_signal_handler(number)
                # None is what something else than Python had set, and cannot be set again.
                signal.signal(number, handler or signal.SIG_DFL)

    # --- what connections say ---

    def await_write(self, pending: Pending, go_on: Callable[[], None]) -> None:
        """Go on with a request on the loop once its write is done."""
        self.writes += 1
        assert self.loop is not None
        pending.when_done(partial(self.wakes.add, self.loop, partial(self.written, go_on)))

    def written(self, go_on: Callable[[], None]) -> None:
        """Go on with a request whose write is done."""
        self.writes -= 1
        go_on()
        self.told_if_stopping()

    def keep(self, task: asyncio.Task[None]) -> None:
        """Know of a request that is worked on."""
        self.tasks.add(task)
        task.add_done_callback(self.let_go)

    def let_go(self, task: asyncio.Task[None]) -> None:
        """Forget a request."""
        self.tasks.discard(task)
        self.told_if_stopping()

    def forget(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self.told_if_stopping()

    def told_if_stopping(self) -> None:
        """Have a stop look again."""
        if self.stops:
            self.told.set()
