"""A ring holds the newest events of one filter, printed once and shared by all its readers.

Rules: it is bounded in bytes and in chunks; what goes is the oldest. A reader is a number in it: who lags behind
the oldest has fallen out. One thread adds, any may read, without a lock: a chunk is complete before the end of the
ring is moved behind it. A chunk holds whole transactions, at least one and about LINES_PIECE_BYTES of them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from crdtstore.limits import FEED_RING_BYTES_MAX, FEED_RING_CHUNKS_MAX, LINES_PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from crdtstore.feed.event import Event
    from crdtstore.feed.filter import Filter


class Chunk:
    """Events of consecutive transactions."""

    def __init__(self, events: Sequence[Event], txn: int) -> None:
        """Hold events; `txn` is the last transaction that it says all of, whether it has an event or not."""
        self.events = tuple(events)
        self.txn = txn
        self.size = sum(event.size for event in self.events)

    @cached_property
    def lines(self) -> bytes:
        """The events as JSON Lines."""
        return b"".join(event.json + b"\n" for event in self.events)

    @cached_property
    def server_sent(self) -> bytes:
        """The events as Server-Sent Events; the id stands on the last of each transaction."""
        following = [*(event.txn for event in self.events[1:]), -1]
        return b"".join(
            server_sent(event, last=event.txn != other) for event, other in zip(self.events, following, strict=True)
        )

    def first(self, count: int) -> Chunk:
        """Its first transactions, as many as hold so many events, or all of it."""
        if len(self.events) <= count:
            return self
        last = self.events[count - 1].txn
        return Chunk([event for event in self.events if event.txn <= last], last)

    def behind(self, txn: int) -> Chunk:
        """What of it comes after a transaction."""
        if not self.events or self.events[0].txn > txn:
            return self
        return Chunk([event for event in self.events if event.txn > txn], self.txn)


def server_sent(event: Event, *, last: bool) -> bytes:
    """One event as text/event-stream has it."""
    identifier = b"id: %d\n" % event.txn if last else b""
    return b"%bevent: %b\ndata: %b\n\n" % (identifier, event.kind.encode(), event.json)


class Ring:
    """The newest events that a filter tells, from behind the transaction `since` up to `txn`."""

    def __init__(self, filter_: Filter, txn: int) -> None:
        """Begin behind a transaction."""
        self.filter = filter_
        self.since = self.txn = txn
        self.chunks: dict[int, Chunk] = {}
        self.first = self.end = 0
        self.bytes = 0
        self.bytes_max = FEED_RING_BYTES_MAX
        self.told = 0
        self.readers = 0
        self.wakes: set[Callable[[], None]] = set()
        self.draft: list[Event] = []
        self.drafted = 0

    # --- who adds ---

    def add(self, event: Event) -> None:
        """Add an event; it is seen with the chunk that it is in, which may end where the next transaction begins."""
        if self.drafted >= LINES_PIECE_BYTES and self.draft[-1].txn < event.txn:
            self.cut()
        self.draft.append(event)
        self.drafted += len(event.json)

    def replace(self, event: Event) -> None:
        """Tell one event in place of all those of its transaction, the newest."""
        self.draft = [each for each in self.draft if each.txn < event.txn]
        self.drafted = sum(len(each.json) for each in self.draft)
        self.add(event)

    def cut(self) -> None:
        """Make a chunk of what was added; what is too much goes."""
        if not self.draft:
            return
        chunk = Chunk(self.draft, self.draft[-1].txn)
        self.draft, self.drafted = [], 0
        self.chunks[self.end] = chunk
        self.bytes += chunk.size
        self.end += 1
        while self.bytes > self.bytes_max and self.end - self.first > 1:
            self.drop()
        if self.end - self.first > FEED_RING_CHUNKS_MAX:
            self.drop()

    def publish(self, txn: int) -> None:
        """Let readers see what was added up to a transaction."""
        self.cut()
        self.txn = txn
        if self.end > self.told:
            self.told = self.end
            self.wake_all()

    def drop(self) -> None:
        """Let the oldest chunk go."""
        chunk = self.chunks.pop(self.first)
        self.since = chunk.txn
        self.first += 1
        self.bytes -= chunk.size

    def wake_all(self) -> None:
        """Wake every reader, whether there is something or not."""
        for wake in tuple(self.wakes):
            wake()

    # --- who reads ---

    def place_of(self, txn: int) -> int | None:
        """The number of the first chunk with something behind a transaction; None where it was dropped."""
        number = self.first
        if txn < self.since:
            return None
        while number < self.end:
            chunk = self.chunks.get(number)
            if chunk is None:
                return None
            if chunk.txn > txn:
                break
            number += 1
        return number
