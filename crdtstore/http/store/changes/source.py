"""A reader of the feed as the source of an answer that goes on.

Rules: events that are in a ring are given on the event loop, those of the log are read in a thread. Who falls out of
the ring is cut with a last event that says where to go on; in the original form, which has no such thing, he is told to
read the documents anew, and goes on from now.
"""

from __future__ import annotations

from typing import Final

from crdtstore import limits
from crdtstore.errors import FeedCut, LogTrimmed
from crdtstore.feed.reader import Reader
from crdtstore.feed.ring import Chunk
from crdtstore.http.call import Call
from crdtstore.http.event_stream import NO_LINE, message
from crdtstore.http.respond import encode
from crdtstore.http.store.changes.arguments import Asked
from crdtstore.http.wait import Callback

CUT: Final = "cut"


class ChangesSource:
    """What a reader of changes reads."""

    def __init__(self, call: Call, reader: Reader, asked: Asked) -> None:
        self.call = call
        self.reader = reader
        self.asked = asked
        self.left = asked.limit
        self.cut = self.ended = False

    def listen(self, wake: Callback) -> Callback:
        """Be woken by the feed."""
        return self.reader.listen(wake)

    async def take(self) -> bytes:
        """The events that there are, about as many as a socket takes."""
        parts: list[bytes] = []
        size = 0
        while size < limits.LINES_PIECE_BYTES and self.left != 0:
            over = self.reader.ended
            chunk = await self.next_chunk()
            if chunk is None:
                self.cut = self.cut or over
                break
            parts.append(self.count(chunk))
            size += len(parts[-1])
        if self.cut and not self.ended:
            parts.append(self.farewell())
        self.ended = self.cut or self.left == 0
        return b"".join(parts)

    async def next_chunk(self) -> Chunk | None:
        """The next events; None where there are none yet, or no more."""
        try:
            if self.reader.is_past:
                return await self.call.in_thread(self.reader.take)
            return self.reader.take()
        except (FeedCut, LogTrimmed):
            if self.asked.original:
                return self.reader.skip()
            self.cut = True
            return None

    def count(self, chunk: Chunk) -> bytes:
        """Events as they are written, no more transactions than are needed to reach the limit."""
        if self.left is not None:
            chunk = chunk.first(self.left)
            self.left = max(0, self.left - len(chunk.events))
        return chunk.server_sent if self.asked.server_sent else chunk.lines

    def heartbeat(self) -> bytes:
        """Where to go on, for a reader whose filter lets nothing through: an `id` without data is no event."""
        return b":\nid: %d\n\n" % self.reader.txn if self.asked.server_sent else NO_LINE

    def farewell(self) -> bytes:
        """Say where to go on: it was too slow, or the server stops."""
        data = encode({"type": CUT, "next": self.reader.txn})
        if self.asked.server_sent:
            return message(data, CUT.encode(), b"%d" % self.reader.txn)
        return data + b"\n"

    def close(self) -> None:
        """Let go of the reader, in a thread: the feed may be at work."""
        try:
            self.call.threads.submit(self.reader.close)
        except RuntimeError:  # the server has stopped its threads
            self.reader.close()
