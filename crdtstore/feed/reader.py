"""A reader of the feed: a position, first in the log, then in the ring that it shares.

Rules: it reads whole transactions, in order, each once. From the log it goes over to the ring where that begins; once
there, it is cut when it falls out. One thread uses a reader at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.errors import FeedCut, VersionNotAvailable
from crdtstore.feed.event import requery
from crdtstore.feed.past import read_past
from crdtstore.feed.ring import Chunk
from crdtstore.storage.log import check_reach, last_txn

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdtstore.feed.feed import Feed, Rings
    from crdtstore.feed.past import Asked
    from crdtstore.feed.ring import Ring


class Reader:
    """One reader of a feed; `txn` is the transaction up to which it was told everything."""

    def __init__(self, feed: Feed, rings: Rings, ring: Ring, asked: Asked) -> None:
        self.feed = feed
        self.rings = rings
        self.ring = ring
        self.asked = asked
        self.txn = ring.txn
        self.number: int | None = None
        self.closed = False

    def begin(self, since: int | None) -> None:
        """Take a position.

        Raises:
            VersionNotAvailable: It is not applied yet.
            LogTrimmed: What follows it is not in the log any more.
        """
        with self.feed.store.storage.snapshot() as snapshot:
            applied = last_txn(snapshot)
            self.txn = applied if since is None else since
            if self.txn > applied:
                raise VersionNotAvailable(self.txn, applied)
            if self.txn < self.ring.since:
                check_reach(snapshot, self.txn)
        self.number = self.ring.place_of(self.txn)

    @property
    def is_past(self) -> bool:
        """Whether the next call reads the log, and may take long."""
        return self.number is None

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more behind what is in the ring."""
        return self.rings.over

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call back, on the pump's thread, when there is something new; at once if there is. Returns what ends that."""
        self.ring.wakes.add(wake)
        if self.number is None or self.number < self.ring.end or self.ended:
            wake()
        return lambda: self.ring.wakes.discard(wake)

    def take(self) -> Chunk | None:
        """The next events, None where there are none yet; from the log maybe none either.

        Raises:
            FeedCut: It fell out of the ring.
            LogTrimmed: The log was trimmed before it was read.
        """
        if self.number is None:
            chunk = read_past(self.feed.store, self.asked, self.txn, self.ring.since)
            self.txn = max(self.txn, chunk.txn)
            self.number = self.ring.place_of(self.txn)
            return chunk
        while True:
            seen = self.ring.txn
            if self.number >= self.ring.end:
                self.txn = max(self.txn, seen)
                return None
            found = self.ring.chunks.get(self.number)
            if found is None:
                message = (
                    f"This reader of the feed was too slow: what follows {self.txn} is not kept. Go on from there."
                )
                raise FeedCut(message, next=self.txn)
            self.number += 1
            chunk, self.txn = found.behind(self.txn), max(self.txn, found.txn)
            if chunk.events:
                return chunk

    def skip(self) -> Chunk:
        """Leave out what cannot be read, and say so: the next events are those that come from now on."""
        self.number = self.ring.end
        self.txn = max(self.txn, self.ring.txn)
        return Chunk([requery(self.txn)], self.txn)

    def close(self) -> None:
        """Let go of the ring; again does nothing."""
        if not self.closed:
            self.closed = True
            self.rings.give_back(self.ring)
            self.feed.detach(self.rings)
