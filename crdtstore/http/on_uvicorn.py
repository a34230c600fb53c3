"""The other server: uvicorn with its httptools parser, and the bounds on a connection that neither of the two has.

Rules: the rules of a connection are those of `serving.connection`, word by word: the same tests hold for both.

Not here: everything that can be checked on a whole request, see `request`.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, LimitExceeded, MalformedRequest, Overloaded
from crdtstore.http.asgi import LENT, AsgiChannel, Send, link_of
from crdtstore.http.channel import Disconnected, Headers, Link
from crdtstore.http.server import Application
from crdtstore.http.serving.connection import as_bytes, too_long
from crdtstore.http.serving.head import write_whole
from crdtstore.http.serving.server import SIGNALS
from crdtstore.http.serving.stall import StallWatch


class UvicornServer(uvicorn.Server):
    """One application on one listening socket, which is bound when this is made."""

    def __init__(
        self,
        application: Application,
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
        config = uvicorn.Config(
            application,
            http=Connection,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=limits.KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=limits.STOP_SECONDS_MAX,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
        )
        super().__init__(config)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.application = application
        self.listening = socket.create_server((host, port), family=family, backlog=config.backlog)
        self.on_listening = on_listening

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes or `stop` is called; there is no use for uvicorn's `sockets`."""
        super().run(sockets or [self.listening])

    def stop(self) -> None:
        """Let `run` return once requests in progress have ended; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        if self.on_listening is not None:
            host, port = self.listening.getsockname()[:2]
            self.on_listening(host, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer at once who waits for something to happen, then let requests in progress end."""
        self.application.held.let_go()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal; uvicorn would raise it again afterwards and so end the process too early."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Outlet:
    """What a request's cycle has for its transport: to close it is to part."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, connection: Connection) -> None:
        """Write to a connection's transport."""
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing
        self.close = connection.part


class CycleChannel(AsgiChannel):
    """A channel by a request's cycle: a body and an answer that are whole pass without messages.

    A message of a head has each header looked at and joined for itself; here those that answers share are written once.
    """

    __slots__ = ("cycle",)

    def __init__(self, link: Link, cycle: RequestResponseCycle) -> None:
        """Nothing is received and sent yet."""
        super().__init__(link, cycle.receive, cast("Send", cycle.send))
        self.cycle = cycle

    def whole(self) -> bytes | None:
        """The whole body, if it has come."""
        cycle = self.cycle
        if cycle.more_body or cycle.disconnected:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    async def answer(self, status: int, fixed: Headers, txn: int | None, body: bytes, *, close: bool) -> None:
        """Send a whole answer, as `RequestResponseCycle.send` would its two messages."""
        cycle = self.cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            raise Disconnected
        cycle.response_started, cycle.waiting_for_100_continue = True, False
        cycle.keep_alive = cycle.keep_alive and not close
        head = write_whole(status, fixed, txn, body, close=not cycle.keep_alive)
        if cycle.scope["method"] == "HEAD":
            body = b""
        if len(body) > limits.ANSWER_JOINED_BYTES_MAX:
            cycle.transport.write(head)
            cycle.transport.write(body)
        else:
            cycle.transport.write(head + body)
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


class Connection(HttpToolsProtocol):
    """One connection, bounded."""

    barren = 0
    """Bytes since the parser last gave something back."""

    in_head = True
    """Whether a head is awaited or on its way, rather than a body."""

    begun = False
    """Whether something of that head has come."""

    deaf = False
    """Whether what comes is dropped: the connection ends with the answers that are still due."""

    owed = 0
    """Bytes of a body that the parser will not give back."""

    parted = False
    """Whether the last answer was written."""

    deadline: asyncio.TimerHandle | None = None
    """When a head must be complete, or a parted connection closed."""

    stall: StallWatch
    """The watch over a reader that does not keep up."""

    link: Link
    """What a request is told of the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or refuse it if there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]  # narrower there for the same reason
        self.stall = StallWatch(self.transport, self.loop)
        self.link = link_of({"client": self.client, "server": self.server, "scheme": self.scheme})
        if len(self.connections) > limits.CONNECTIONS_MAX:
            self.refuse(Overloaded(f"{limits.CONNECTIONS_MAX} connections are open; no more are taken now."))
        else:
            self.start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.end_deadline()
        self.stall.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see that it leads somewhere."""
        if self.deaf:
            self.take(data)
            return
        self._unset_keepalive_if_required()
        self.barren += len(data)
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.refuse(MalformedRequest("This is not a request of HTTP/1.1 as this server reads it."))
            return
        except HttpParserUpgrade as stop:
            # An offer of another protocol, which is not taken up: the request is answered and the last one.
            self.deaf = True
            self.cycle.keep_alive = False
            self.take(data[stop.args[0] :])
            return
        if self.barren > limits.HEADER_BYTES_MAX + limits.TARGET_BYTES_MAX:
            self.refuse(too_long(self.barren))
        elif self.in_head and (self.begun or self.barren) and self.deadline is None:
            self.start_deadline()

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start a request."""
        self.in_head = self.begun = False
        self.barren = 0
        self.end_deadline()
        if not self.url.startswith(b"/"):
            raise MalformedRequest("This server is no proxy: a target begins with a slash.")
        if len(self.pipeline) >= limits.PIPELINE_MAX:
            raise Overloaded("Too many requests wait on this connection.")
        super().on_headers_complete()
        if self.parser.should_upgrade():
            self.owed = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        self.scope["headers"] = self.headers.copy()
        self.cycle.transport = Outlet(self)  # type: ignore[assignment]  # all of it that a cycle uses
        self.scope["extensions"] = {LENT: CycleChannel(self.link, self.cycle)}  # type: ignore[dict-item]  # no dict

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self.barren = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Await the next head."""
        self.barren = 0
        self.in_head = True
        if not self.owed:
            super().on_message_complete()

    def take(self, data: bytes) -> None:
        """Take the body of a request with an offer of another protocol: the parser stops before it."""
        if self.owed:
            part = data[: self.owed]
            self.owed -= len(part)
            self.on_body(part)
            self.on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request that waits, or end the connection after the last one."""
        if self.parted:
            return
        last = not self.pipeline
        super().on_response_complete()
        if self.deaf and last:
            self.part()

    def refuse(self, error: CrdtStoreError) -> None:
        """Answer what is no request, unless requests before it are still to be answered; then part."""
        self.deaf = True
        self.end_deadline()
        # uvicorn declares it without None, which it is before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                cycle.keep_alive = False
                return
            # It is this request's own body that is broken: whoever works on it sees the caller gone.
            if self.pipeline:
                self.pipeline.popleft()
                return
            cycle.disconnected = True
            cycle.message_event.set()
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(as_bytes(error))
        self.part()

    def part(self) -> None:
        """End the connection: nothing more is written, what comes is dropped until the other side ends."""
        self.deaf = self.parted = True
        self.pipeline.clear()
        self.end_deadline()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.deadline = self.loop.call_later(limits.LINGER_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        """Begin to watch a reader that does not keep up."""
        super().pause_writing()
        self.stall.begin()

    def resume_writing(self) -> None:
        """Stop watching."""
        self.stall.end()
        super().resume_writing()

    def start_deadline(self) -> None:
        """Give a head its time to arrive."""
        self.deadline = self.loop.call_later(limits.HEAD_SECONDS_MAX, self.head_is_late)

    def end_deadline(self) -> None:
        """Stop the clock."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def is_busy(self) -> bool:
        """Whether a request is worked on."""
        # uvicorn declares it without None, which it is before the first request.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def head_is_late(self) -> None:
        """End a connection whose head did not arrive; one that never began has asked for no answer."""
        self.deadline = None
        if self.begun:
            seconds = limits.HEAD_SECONDS_MAX
            message = f"The head of the request did not arrive within {seconds:g} seconds."
            self.refuse(LimitExceeded(message, limit="HEAD_SECONDS_MAX", value=int(seconds) + 1, maximum=int(seconds)))
        elif not self.is_busy():
            self.transport.close()
