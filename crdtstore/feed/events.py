"""Events of a store as an iterator, for whoever embeds it: it blocks until the next one comes.

Rules: it is closed by whoever opened it. `txn` is where to go on: a transaction is left behind when all its events were
taken and the next one is asked for.
"""

from __future__ import annotations

from collections import deque
from threading import Event as Signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from crdtstore.feed.event import Event
    from crdtstore.feed.reader import Reader


class Events:
    """What happens in a store, event by event."""

    def __init__(self, reader: Reader, seconds: float | None) -> None:
        """Take the events of a reader, which is closed with this; see `Store.events`."""
        self.reader = reader
        self.seconds = seconds
        self.waiting: deque[Event] = deque()
        self.woken = Signal()
        self.quiet = reader.listen(self.woken.set)
        self.txn = reader.txn
        """The transaction up to which every event was taken."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """The next event.

        Raises:
            StopIteration: None came for so long, or the store or this was closed.
            FeedCut: Events were taken too slowly.
        """
        while not self.waiting:
            if not self.fill():
                raise StopIteration
        event = self.waiting.popleft()
        self.txn = event.txn - 1 if self.waiting and self.waiting[0].txn == event.txn else event.txn
        return event

    def fill(self) -> bool:
        """Take the next piece, or wait for it; whether there may be more."""
        self.woken.clear()
        ended = self.reader.ended
        chunk = self.reader.take()
        if chunk is not None:
            self.waiting.extend(chunk.events)
        elif ended or not self.woken.wait(self.seconds):
            return False
        if not self.waiting:
            self.txn = max(self.txn, self.reader.txn)
        return True

    def close(self) -> None:
        """End the iteration; again does nothing."""
        self.quiet()
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
