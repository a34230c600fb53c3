"""A turn is one request of a connection and its answer: the channel of the built-in server.

Rules: turns of one connection are answered in the order in which they came. A body is kept until it is asked for; a
sender of more than is kept waits. An answer without a length is sent in chunks, or ends with the connection where the
caller does not know chunks. Whoever asked is invited to send its body when that is asked for, and not by a refusal.

Not here: when a turn begins (`connection`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from crdtstore import limits
from crdtstore.http.channel import Disconnected, Head, Headers
from crdtstore.http.serving.head import write_head, write_whole

if TYPE_CHECKING:
    from crdtstore.http.serving.connection import Connection

INVITATION: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"


class Turn:
    """A channel of the built-in server: see `Channel`."""

    __slots__ = (
        "arrival",
        "chunked",
        "complete",
        "connection",
        "ended",
        "head",
        "invites",
        "keep_alive",
        "left",
        "link",
        "lost",
        "parts",
        "size",
        "started",
        "watchers",
    )

    def __init__(self, connection: Connection, head: Head, *, keep_alive: bool, invites: bool) -> None:
        """A request whose head was read.

        Args:
            connection: Where it came.
            head: Its head.
            keep_alive: Whether another request may follow its answer.
            invites: Whether the caller asked to be told to send the body.
        """
        self.connection = connection
        self.link = connection.link
        self.head = head
        self.keep_alive = keep_alive
        self.invites = invites
        self.parts: list[bytes] = []
        self.size = 0
        self.complete = self.started = self.ended = self.lost = False
        self.chunked = False
        self.left: int | None = None
        self.arrival: asyncio.Future[None] | None = None
        self.watchers: list[asyncio.Future[None]] = []

    # --- what the connection says ---

    def take(self, part: bytes) -> None:
        """A part of the body came; behind an answer nobody asks for it."""
        if self.ended:
            return
        self.parts.append(part)
        self.size += len(part)
        if self.size > limits.BODY_AHEAD_BYTES_MAX:
            self.connection.pause_reading()
        self.wake()

    def take_end(self) -> None:
        """The end of the body came."""
        self.complete = True
        self.wake()

    def lose(self) -> None:
        """The caller is gone."""
        self.lost = True
        self.wake()
        watchers, self.watchers = self.watchers, []
        for each in watchers:
            if not each.done():
                each.set_result(None)

    def wake(self) -> None:
        """Go on, where a part of the body is waited for."""
        if self.arrival is not None and not self.arrival.done():
            self.arrival.set_result(None)

    # --- as a Channel ---

    def whole(self) -> bytes | None:
        """The whole body, if it is there already."""
        if not self.complete:
            return None
        parts = self.parts
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def part(self) -> tuple[bytes, bool]:
        """The next part of the body, and whether more may come."""
        while not self.parts and not self.complete:
            if self.lost:
                raise Disconnected
            if self.invites:
                self.invites = False
                self.connection.transport.write(INVITATION)
            self.connection.resume_reading()
            self.arrival = self.connection.loop.create_future()
            await self.arrival
        part = b"".join(self.parts)
        self.parts.clear()
        self.size = 0
        return part, not self.complete

    def gone(self) -> asyncio.Future[None]:
        """A future that is done when the caller goes away."""
        future: asyncio.Future[None] = self.connection.loop.create_future()
        if self.lost:
            future.set_result(None)
        else:
            self.watchers.append(future)
            self.connection.resume_reading()
        return future

    async def answer(self, status: int, fixed: Headers, txn: int | None, body: bytes, *, close: bool) -> None:
        """Send a whole answer."""
        if self.lost or self.connection.outflow.paused:
            await self.until_free()
        self.started, self.invites = True, False
        self.keep_alive = self.keep_alive and not close
        head = write_whole(status, fixed, txn, body, close=not self.keep_alive)
        if self.head.method == "HEAD":
            self.connection.transport.write(head)
        elif len(body) > limits.ANSWER_JOINED_BYTES_MAX:
            self.connection.transport.writelines([head, body])
        else:
            self.connection.transport.write(head + body)
        self.finish()

    async def begin(self, status: int, fixed: Headers, own: Headers, *, close: bool) -> None:
        """Send the head of an answer."""
        await self.until_free()
        length = next((int(value) for name, value in (*fixed, *own) if name == b"content-length"), None)
        self.left = length
        framing: Headers = ()
        if length is None and self.head.method != "HEAD":
            self.chunked = self.head.version != "1.0"
            framing = ((b"transfer-encoding", b"chunked"),) if self.chunked else ()
        self.started, self.invites = True, False
        self.keep_alive = self.keep_alive and not close
        head = write_head(status, fixed, (*own, *framing), close=not self.keep_alive)
        self.connection.transport.write(head)

    async def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        await self.until_free()
        if self.head.method == "HEAD" or not piece:
            return
        if self.left is not None:
            self.left -= len(piece)
            assert self.left >= 0, "An answer is no longer than it says."
        write = self.connection.transport.write
        write(b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece)

    async def end(self) -> None:
        """Send the end of the body."""
        await self.until_free()
        if self.head.method != "HEAD":
            assert not self.left, "An answer is no shorter than it says."
            if self.chunked:
                self.connection.transport.write(LAST_CHUNK)
        self.finish()

    async def until_free(self) -> None:
        """Wait until more may be written."""
        if self.connection.outflow.paused:
            await self.connection.outflow.until_free()
        if self.lost:
            raise Disconnected

    def finish(self) -> None:
        """The answer is written."""
        self.ended = True
        self.parts.clear()
        self.connection.answered(self)
