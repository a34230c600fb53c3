"""A connection of the built-in server: bytes in, turns out, and the bounds on both.

Rules:

- A head must arrive in time; and whatever the parser swallows without giving anything back (a header, a trailer, a
  chunk's extension) is bounded, since it would collect them at any length.
- What is not HTTP gets an answer of our form and ends the connection. If a request before it is still being worked on,
  that one is answered instead: a refusal must not be taken for the answer to another request.
- After the last answer what still comes is dropped for a while before the connection is closed: closing over unread
  bytes resets the connection and destroys the answer on its way.
- Trailers are not headers: they come after the checks.
- Idle, surplus and endlessly pipelining connections end, and those whose reader takes nothing of its answer.
- An offer of another protocol is not taken up: the request is answered, and the last one.
- A request that comes alone and whole, with the same bytes before its body as one before, is not parsed again: the same
  bytes are the same head.

Not here: everything that can be checked on a whole request (`request`), how an answer is written (`turn`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, LimitExceeded, MalformedRequest, Overloaded
from crdtstore.http.channel import Head, Link
from crdtstore.http.faults import answer_to
from crdtstore.http.respond import fixed_headers
from crdtstore.http.serving.alarm import Alarm
from crdtstore.http.serving.head import write_whole
from crdtstore.http.serving.outflow import Outflow
from crdtstore.http.serving.tasks import go_on
from crdtstore.http.serving.turn import Turn
from crdtstore.version.pending import Pending

if TYPE_CHECKING:
    from crdtstore.http.serving.server import Server

BLANK_LINE: Final = b"\r\n\r\n"
"""What ends a head, with the line before it."""

logger = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One connection, bounded."""

    transport: asyncio.Transport
    outflow: Outflow

    def __init__(self, server: Server) -> None:
        """A connection of a server; there is no transport yet."""
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.alarm = Alarm(self.loop)
        self.parser: HttpRequestParser | None = HttpRequestParser(self)
        # What follows a request that ends the connection is no error: it is dropped.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.link = Link(None, "")
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.invites = False

        self.turn: Turn | None = None
        """The newest one: a body that comes is its body."""

        self.current: Turn | None = None
        """The one that is worked on."""

        self.waiting: deque[Turn] = deque()
        """Those behind it, or all, while they are read."""

        self.barren = 0
        """Bytes since the parser last gave something back."""

        self.in_head = True
        """Whether a head is awaited or on its way, rather than a body."""

        self.begun = False
        """Whether something of that head has come."""

        self.deaf = False
        """Whether what comes is dropped: the connection ends with the answers that are still due."""

        self.owed = 0
        """Bytes of a body that the parser will not give back."""

        self.parted = False
        """Whether the last answer was written."""

        self.idle = False
        """Whether the alarm ends the connection because nothing was asked for long."""

        self.going_on = self.reading_paused = False

    # --- as a Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or refuse it if there are too many."""
        self.transport = cast("asyncio.Transport", transport)
        self.outflow = Outflow(self.transport, self.loop)
        local, remote = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        secure = transport.get_extra_info("sslcontext") is not None
        self.link = Link(local[0] if local else None, remote[0] if remote else "", secure)
        self.server.connections.add(self)
        if len(self.server.connections) > limits.CONNECTIONS_MAX:
            self.refuse(Overloaded(f"{limits.CONNECTIONS_MAX} connections are open; no more are taken now."))
        else:
            self.alarm.set(limits.HEAD_SECONDS_MAX, self.head_is_late)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection; whoever works for it is told."""
        self.alarm.end()
        for turn in (self.current, self.turn, *self.waiting):
            if turn is not None:
                turn.lose()
        self.waiting.clear()
        self.parted = self.deaf = True
        self.outflow.resume()
        self.parser = None
        self.server.forget(self)

    def pause_writing(self) -> None:
        """The transport has more than it can hold."""
        self.outflow.pause()

    def resume_writing(self) -> None:
        """The transport takes more."""
        self.outflow.resume()

    def data_received(self, data: bytes) -> None:
        """Parse what came, see that it leads somewhere, and begin what there is to do."""
        if self.deaf:
            self.take(data)
            return
        if self.idle:
            self.idle = False
            self.alarm.act = None
        alone = self.in_head and not self.barren and self.current is None and not self.waiting
        if alone and self.take_known(data):
            return
        self.barren += len(data)
        self.parse(data)
        if alone and len(self.waiting) == 1:
            self.keep_head(data)
        if not self.parted:
            self.go_on()

    def take_known(self, data: bytes) -> bool:
        """Begin a request whose head came before, if that is what came, and all of it; says whether it was."""
        end = data.find(BLANK_LINE)
        head = self.server.heads.get(data[:end])
        if head is None or head.length != len(data) - end - len(BLANK_LINE):
            return False
        self.alarm.act = None
        turn = self.turn = self.current = Turn(self, head, keep_alive=True, invites=False)
        turn.parts.append(data[end + len(BLANK_LINE) :])
        turn.complete = True
        self.work(turn)
        return True

    def keep_head(self, data: bytes) -> None:
        """Keep the head of a request that came alone and whole, unless something about it is out of the ordinary.

        There is nothing between head and body then but the blank line: no chunks, and no other request behind.
        """
        turn = self.turn
        assert turn is not None
        end = len(data) - turn.size - len(BLANK_LINE)
        if turn.complete and turn.keep_alive and not turn.invites and data.find(BLANK_LINE) == end:
            turn.head.length = turn.size
            self.server.heads.keep(data[:end], turn.head)

    def parse(self, data: bytes) -> None:
        """Feed the parser, which calls back."""
        assert self.parser is not None
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.refuse(MalformedRequest("This is not a request of HTTP/1.1 as this server reads it."))
            return
        except HttpParserUpgrade as stop:
            self.deaf = True
            assert self.turn is not None
            self.turn.keep_alive = False
            self.take(data[stop.args[0] :])
            return
        if self.barren > limits.HEADER_BYTES_MAX + limits.TARGET_BYTES_MAX:
            self.refuse(too_long(self.barren))
        elif self.in_head and (self.begun or self.barren) and self.alarm.act is None:
            self.alarm.set(limits.HEAD_SECONDS_MAX, self.head_is_late)

    # --- what the parser calls ---

    def on_message_begin(self) -> None:
        """Begin a head."""
        self.begun = True
        self.url = b""
        self.fields = []
        self.invites = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which nobody looks at."""
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.invites = True
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Put a request behind those that wait."""
        assert self.parser is not None
        self.in_head = self.begun = False
        self.barren = 0
        self.alarm.clear()
        if not self.url.startswith(b"/") or not self.url.isascii():
            raise MalformedRequest("This server is no proxy: a target begins with a slash, and is ASCII.")
        if len(self.waiting) + (self.current is not None) > limits.PIPELINE_MAX:
            raise Overloaded("Too many requests wait on this connection.")
        path, _, query = self.url.partition(b"#")[0].partition(b"?")
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode("ascii")
        fields, self.fields = self.fields, []
        head = Head(method, path, query, version, fields)
        keep_alive = version == "1.1" and self.parser.should_keep_alive()
        self.turn = Turn(self, head, keep_alive=keep_alive, invites=self.invites)
        self.waiting.append(self.turn)
        if self.parser.should_upgrade():
            self.owed = next((int(value) for name, value in fields if name == b"content-length"), 0)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        assert self.turn is not None
        self.barren = 0
        self.turn.take(body)

    def on_message_complete(self) -> None:
        """Await the next head."""
        assert self.turn is not None
        self.barren = 0
        self.in_head = True
        if not self.owed:
            self.turn.take_end()

    def take(self, data: bytes) -> None:
        """Take the body of a request with an offer of another protocol: the parser stops before it."""
        if self.owed:
            part = data[: self.owed]
            self.owed -= len(part)
            self.on_body(part)
            self.on_message_complete()

    # --- turns ---

    def go_on(self) -> None:
        """Begin what waits, one after the other, as long as it ends at once."""
        if self.going_on:
            return
        self.going_on = True
        while self.waiting and self.current is None and not self.parted:
            self.current = self.waiting.popleft()
            self.work(self.current)
        self.going_on = False
        if self.waiting:
            self.pause_reading()

    def work(self, turn: Turn) -> None:
        """Begin to work on a request: at once if there is nothing to wait for before it is understood."""
        work = self.server.served.handle(turn.head, turn)
        if not turn.complete:
            self.server.keep(self.loop.create_task(self.work_on(turn, work)))
            return
        self.advance(turn, work)

    def advance(self, turn: Turn, work: Coroutine[Any, Any, None]) -> None:
        """Work on a request until it waits; when a write is done that it waits for, this is called again."""
        try:
            rest = go_on(work)
        except Exception as error:  # noqa: BLE001  nothing that fails may stop the others of this connection
            self.fail(turn, error)
            return
        if isinstance(rest, Pending):
            self.server.await_write(rest, partial(self.advance, turn, work))
        elif rest is not None:
            self.server.keep(self.loop.create_task(self.work_on(turn, rest)))
        elif not turn.ended:
            self.check(turn)

    async def work_on(self, turn: Turn, rest: Awaitable[None]) -> None:
        """Work on a request to its end."""
        try:
            await rest
        except Exception as error:  # noqa: BLE001  as above
            self.fail(turn, error)
        else:
            self.check(turn)

    def fail(self, turn: Turn, error: Exception) -> None:
        """Work has failed in the midst of an answer: that must not look as if it were whole."""
        logger.error("%s %.200r failed while it was answered", turn.head.method, turn.head.path, exc_info=error)
        self.check(turn)

    def check(self, turn: Turn) -> None:
        """End the connection if an answer was left without its end."""
        if not turn.ended and not turn.lost:
            self.part()

    def answered(self, turn: Turn) -> None:
        """Go on with the next request that waits, or end the connection after the last one."""
        if self.parted:
            return
        self.current = None
        if not turn.keep_alive or (self.deaf and not self.waiting):
            self.part()
        elif self.waiting:
            if not self.going_on:
                self.loop.call_soon(self.go_on)
        else:
            if self.reading_paused:
                self.resume_reading()
            if self.alarm.act is None:
                self.idle = True
                self.alarm.set(limits.KEEP_ALIVE_SECONDS, self.transport.close)

    # --- ends ---

    def refuse(self, error: CrdtStoreError) -> None:
        """Answer what is no request, unless requests before it are still to be answered; then part."""
        self.deaf = True
        self.alarm.clear()
        turn = self.turn
        if turn is not None and not turn.ended:
            if turn.complete:
                turn.keep_alive = False
                return
            # It is this request's own body that is broken: whoever works on it sees the caller gone.
            if self.waiting and self.waiting[-1] is turn:
                self.waiting.pop()
                if self.waiting or self.current is not None:
                    return
            turn.lose()
        if turn is None or turn.ended or not turn.started:
            self.transport.write(as_bytes(error))
        self.part()

    def part(self) -> None:
        """End the connection: nothing more is written, what comes is dropped until the other side ends."""
        self.deaf = self.parted = True
        self.waiting.clear()
        self.alarm.clear()
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.resume_reading()
        self.alarm.set(limits.LINGER_SECONDS, self.transport.close)

    def stop(self) -> None:
        """The server stops: end with the answer that is due, if one is."""
        if self.current is None and not self.waiting:
            self.transport.close()
        elif self.turn is not None:
            self.turn.keep_alive = False

    def head_is_late(self) -> None:
        """End a connection whose head did not arrive; one that never began has asked for no answer.

        Empty lines are no head. Behind a request that is still worked on they ask for nothing, and end nothing.
        """
        if self.begun:
            seconds = limits.HEAD_SECONDS_MAX
            message = f"The head of the request did not arrive within {seconds:g} seconds."
            self.refuse(LimitExceeded(message, limit="HEAD_SECONDS_MAX", value=int(seconds) + 1, maximum=int(seconds)))
        elif self.current is None:
            self.transport.close()

    # --- reading ---

    def pause_reading(self) -> None:
        """Let the sender wait."""
        if not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self.reading_paused:
            self.reading_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()


def too_long(size: int) -> LimitExceeded:
    """Say that a head, or what stands between the parts of a body, has no end."""
    maximum = limits.HEADER_BYTES_MAX
    message = f"All header fields may take {maximum} bytes; got {size} and no end of them."
    return LimitExceeded(message, limit="HEADER_BYTES_MAX", value=size, maximum=maximum)


def as_bytes(error: CrdtStoreError) -> bytes:
    """Write an error as the last answer of a connection."""
    answer = answer_to(error)
    fixed = fixed_headers(answer.policy, answer.cached, answer.media_type, answer.headers, ())
    return write_whole(answer.status, fixed, None, answer.body, close=True) + answer.body
