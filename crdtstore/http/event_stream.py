"""An answer that goes on: events as they happen, as Server-Sent Events or as lines, until the reader goes away.

Rules:

- A reader is a position in what its source keeps, and no buffer: the next piece is made when the one before was taken.
- It ends when the caller goes away, when the source ends, and with the server, which says so in a last event. It ends
  with the caller's key, too: before each piece it is asked whether that is still let in.
- Whoever waits is woken through one call into its event loop, however many wait there. A thread that wakes only leaves
  a word.
- While nothing happens a heartbeat keeps proxies from cutting the connection, and shows that a reader is gone.
- At most OPEN_STREAMS_MAX are open in a server.

Not here: what the events are (the sources), and how long a reader may take nothing (`listen`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final, NamedTuple, Protocol

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, Overloaded, StoreClosed, Unauthenticated
from crdtstore.http.call import Call
from crdtstore.http.request import JSON_LINES
from crdtstore.http.respond import Answer
from crdtstore.http.wait import Callback, Held, wakes_of

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = b"text/event-stream"


class Source(Protocol):
    """What a reader reads. All but `wake` is called on the event loop, one call at a time."""

    ended: bool
    """Whether nothing comes any more, once everything was taken."""

    def listen(self, wake: Callback) -> Callback:
        """Call back, from any thread, each time that there is something new; returns what ends that."""

    async def take(self) -> bytes:
        """What is new since the last call, in bounded pieces; empty where nothing is. What is slow goes to a thread."""

    def heartbeat(self) -> bytes:
        """What is sent where nothing was for long: no event, but how to go on from here where the form can say it."""

    def farewell(self) -> bytes:
        """The last event where the server stops before the source ends: how to go on from here."""

    def close(self) -> None:
        """Let go of everything; the reader is gone or at its end."""


class Form(NamedTuple):
    """How events are written, and what an answer begins with."""

    media_type: bytes
    begin: bytes


SERVER_SENT: Final = Form(MEDIA_TYPE, b"retry: %d\n\n" % int(limits.STREAM_RETRY_SECONDS * 1_000))
LINES: Final = Form(JSON_LINES.media_type, b"")
"""One value a line."""

NO_EVENT: Final = b":\n\n"
"""A comment: a heartbeat of Server-Sent Events."""

NO_LINE: Final = b"\n"
"""An empty line is no value: a heartbeat of lines."""


def message(data: bytes, name: bytes = b"", identifier: bytes = b"") -> bytes:
    """Write an event as a Server-Sent Event.

    Args:
        data: What it says; JSON, mostly.
        name: What kind of event it is; empty for the one that readers take for granted, `message`.
        identifier: What `Last-Event-ID` says where a reader comes back after it; empty leaves that as it was.
    """
    first = b"id: %b\n" % identifier if identifier else b""
    second = b"event: %b\n" % name if name else b""
    return b"%b%bdata: %b\n\n" % (first, second, b"\ndata: ".join(data.splitlines()))


class EventStream:
    """One reader of a source, as the body of an answer."""

    def __init__(self, call: Call, source: Source, form: Form) -> None:
        """Begin to listen; on the event loop."""
        self.held = call.desk.held
        self.check_key = call.check_key
        self.source = source
        self.form = form
        self.first = form.begin
        self.over = self.rung = self.sent = False
        self.waiting: asyncio.Future[None] | None = None
        self.loop = asyncio.get_running_loop()
        self.wakes = wakes_of(self.loop)
        self.quiet = source.listen(self.ring)
        self.beat = self.loop.call_later(limits.STREAM_HEARTBEAT_SECONDS, self.tick)
        self.late = False
        self.gone = call.gone()
        self.gone.add_done_callback(self.wake)
        self.held.ends.add(self.wake)

    # --- waking ---

    def ring(self) -> None:
        """Say that there is something new; from any thread."""
        if not self.rung:
            self.rung = True
            self.wakes.add(self.loop, self.wake)

    def wake(self, *_: object) -> None:
        """Go on, where it waits; on the event loop."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    def tick(self) -> None:
        """Have a heartbeat sent, if nothing else was since the last tick."""
        self.beat = self.loop.call_later(limits.STREAM_HEARTBEAT_SECONDS, self.tick)
        self.late, self.sent = not self.sent, False
        if self.late:
            self.wake()

    async def until_woken(self) -> None:
        """Wait, unless something came since the source was asked."""
        self.waiting = self.loop.create_future()
        if not self.rung and not self.late and not self.held.over and not self.gone.done():
            await self.waiting
        self.waiting = None

    # --- as a Stream ---

    async def piece(self) -> bytes:
        """The next piece; empty at the end, or when nobody is there to read it."""
        made = b"" if self.over or self.gone.done() else await self.next_piece()
        self.sent = True
        return made

    async def next_piece(self) -> bytes:
        """What the form begins with, then what the source has, a heartbeat where that is nothing for long."""
        if self.first:
            first, self.first = self.first, b""
            return first
        while not self.gone.done():
            if self.held.over:
                self.over = True
                return self.source.farewell()
            self.rung = False
            taken = await self.take()
            if taken or self.over:
                return taken
            if self.late:
                self.late = False
                return self.source.heartbeat()
            await self.until_woken()
        return b""

    async def take(self) -> bytes:
        """Ask the source, and notice its end; what breaks it ends the answer, whose head is long sent."""
        try:
            await self.check_key()
        except Overloaded:
            # What there is waits until the key can be looked at: with the next event, or the next heartbeat.
            return b""
        except Unauthenticated:
            self.over = True
            return b""
        except StoreClosed:
            self.over = True
            return self.source.farewell()
        try:
            taken = await self.source.take()
        except CrdtStoreError as error:
            logger.error("A stream broke off: %s", error)  # noqa: TRY400  the sentence says it
            self.over = True
            return self.source.farewell()
        self.over = self.source.ended and not taken
        return taken

    def close(self) -> None:
        """Stop listening; on the event loop."""
        self.over = True
        self.quiet()
        self.beat.cancel()
        self.gone.cancel()
        self.held.ends.discard(self.wake)
        self.held.streams -= 1
        self.source.close()


def answer_events(call: Call, source: Source, form: Form, txn: int | None = None) -> Answer:
    """Answer with events as they happen.

    Args:
        call: The call.
        source: What is read; it is closed with the answer, also where that is refused.
        form: How it writes its events.
        txn: The transaction that the answer says the store was at; None for the newest.

    Raises:
        Overloaded: OPEN_STREAMS_MAX are open.
    """
    try:
        check_streams(call.desk.held)
        stream = EventStream(call, source, form)
    except BaseException:
        source.close()
        raise
    call.desk.held.streams += 1
    return Answer(200, b"", txn, media_type=form.media_type, stream=stream)


def check_streams(held: Held) -> None:
    """Refuse one more than there may be."""
    if held.streams >= limits.OPEN_STREAMS_MAX:
        message = f"{limits.OPEN_STREAMS_MAX} answers that go on are open, the bound: ask again later."
        raise Overloaded(message, limit="OPEN_STREAMS_MAX", maximum=limits.OPEN_STREAMS_MAX)
