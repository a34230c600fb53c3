"""An answer of JSON Lines: one value a line, made while they are sent, in bounded memory.

Rules: the first piece is made before the answer begins, so what is wrong with a request has a status of its own; an
answer that ends within that piece has a length. What goes wrong later is the last line, `{"error": ..}`: it is no
item, and says that the lines before are not all. Lines are made in a thread, as fast as their reader takes them. They
end with the reader, with the server and at the deadline, and with them the snapshot that they are read from: a timer
keeps the deadline, so that a reader who takes nothing holds the snapshot no longer than one who takes all.

Not here: what a line holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from threading import Lock
from time import monotonic
from typing import Final, NamedTuple

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, StatementTimeout
from crdtstore.http.call import Call
from crdtstore.http.request import JSON_LINES
from crdtstore.http.respond import Answer, encode

TIMEOUT: Final = "Timeout"
STOPPED: Final = "Stopped"
BROKEN: Final = "Broken"

logger = logging.getLogger(__name__)


class Lines(NamedTuple):
    """The lines, and the version at which they are read."""

    txn: int
    lines: Iterator[bytes]
    """One or more of them at a time, each with its end."""


async def answer_lines(
    call: Call, opened: AbstractContextManager[Lines], seconds: float, media_type: bytes = JSON_LINES.media_type
) -> Answer:
    """Answer with lines.

    Args:
        call: The call.
        opened: Gives the lines, and lets go of what they are made of when it ends.
        seconds: How long they may take, sending included.
        media_type: What the answer is called.

    Raises:
        StatementTimeout: There was no first piece in time.
    """
    listing = Listing(call, opened, monotonic() + seconds)
    try:
        txn, first = await call.in_thread(listing.begin)
    except BaseException:
        listing.close()
        raise
    if listing.ended:
        listing.close()
        return Answer(200, first, txn, media_type=media_type)
    listing.first = first
    listing.watch()
    return Answer(200, b"", txn, media_type=media_type, stream=listing)


class Listing:
    """Lines on their way."""

    def __init__(self, call: Call, opened: AbstractContextManager[Lines], deadline: float) -> None:
        """Nothing is read yet."""
        self.call = call
        self.opened = opened
        self.deadline = deadline
        self.lines: Iterator[bytes] | None = None
        self.first = b""
        self.ended = self.over = self.late = False
        self.gone: asyncio.Future[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.lock = Lock()

    def begin(self) -> tuple[int, bytes]:
        """The version that is read and the first piece; in a thread."""
        with self.lock:
            txn, self.lines = self.opened.__enter__()
            return txn, self.make_piece()

    def watch(self) -> None:
        """End with the reader and at the deadline, whether another piece is asked for or not."""
        self.gone = self.call.gone()
        self.timer = asyncio.get_running_loop().call_later(self.deadline - monotonic(), self.expire)

    def expire(self) -> None:
        """The deadline: nothing more is read. A reader who comes back is told."""
        self.late = self.over = True
        self.let_go()

    async def piece(self) -> bytes:
        """The next piece; empty at the end, or when nobody is there to read it."""
        if self.first:
            first, self.first = self.first, b""
            return first
        if self.ended or (self.gone is not None and self.gone.done()):
            return b""
        if self.call.desk.held.over:
            return self.break_off(STOPPED)
        try:
            return await self.call.in_thread(self.read_piece)
        except StatementTimeout:
            return self.break_off(TIMEOUT)
        except CrdtStoreError as error:
            logger.error("A listing broke off: %s", error)  # noqa: TRY400  the sentence says it
            return self.break_off(BROKEN)

    def break_off(self, why: str) -> bytes:
        """The last line of lines that are not all."""
        self.ended = True
        return encode({"error": why}) + b"\n"

    def read_piece(self) -> bytes:
        """The next piece; in a thread."""
        with self.lock:
            in_time = not self.late and monotonic() <= self.deadline
            piece = self.make_piece() if in_time and not self.over else b""
            if not piece and not self.ended and (self.late or not in_time):
                raise StatementTimeout("The listing was not read to its end in time.")
            return piece

    def make_piece(self) -> bytes:
        """Take as many lines as a piece has, or a few more."""
        assert self.lines is not None
        taken = bytearray()
        while not self.over and len(taken) < limits.LINES_PIECE_BYTES:
            some = next(self.lines, None)
            if some is None:
                self.ended = True
                break
            taken += some
        return bytes(taken)

    def close(self) -> None:
        """End, sent to the last line or not."""
        self.over = True
        if self.gone is not None:
            self.gone.cancel()
        if self.timer is not None:
            self.timer.cancel()
        self.let_go()

    def let_go(self) -> None:
        """Let go of what the lines are made of, in a thread: one may be reading it just now."""
        try:
            self.call.threads.submit(self.end)
        except RuntimeError:  # the server has stopped its threads
            self.end()

    def end(self) -> None:
        """Let go, once, of what was opened."""
        with self.lock:
            if self.lines is not None:
                self.lines = None
                self.opened.__exit__(None, None, None)
