"""The feed of a store: one listener of the pump makes the events, once for all readers, while there is a reader.

Rules: each filter that somebody reads has a ring; readers of equal filters share it. All rings together take at most
FEED_RING_BYTES_MAX. A round that is too large, or that joined a snapshot, is told as `requeryRequired`, and so is a
transaction whose events alone are more than a ring may hold.

Not here: where a reader stands (`reader`).
"""

from __future__ import annotations

from threading import Event as Signal
from threading import Lock
from typing import TYPE_CHECKING

from crdtstore.errors import LogTrimmed, Overloaded, StoreClosed
from crdtstore.feed.event import DocumentChange, requery
from crdtstore.feed.images import Joined, Replay
from crdtstore.feed.past import Asked
from crdtstore.feed.reader import Reader
from crdtstore.feed.ring import Ring
from crdtstore.limits import FEED_FILTERS_MAX, FEED_RING_BYTES_MAX, FEED_ROUND_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.feed.filter import Filter
    from crdtstore.feed.pump import Place, Pump, Round
    from crdtstore.reading import Reading
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.log import LogEntry


class Rings:
    """The rings that are filled while somebody reads: a listener of the pump."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.by_filter: dict[object, Ring] = {}
        self.replay: Replay | None = None
        self.txn = 0
        self.begun = Signal()
        self.over = False
        self.error: Exception | None = None

    # --- on the pump's thread ---

    def begin(self, place: Place) -> None:
        """Begin behind the newest transaction."""
        with self.lock:
            self.replay = Replay(place.snapshot, place.catalog)
            self.txn = place.txn
        self.begun.set()

    def take(self, heard: Round) -> None:
        """Make the events of a round."""
        with self.lock:
            assert self.replay is not None
            rings = tuple(self.by_filter.values())
            for ring in rings:
                ring.bytes_max = FEED_RING_BYTES_MAX // len(rings)
            self.replay.begin(heard.before, heard.catalog)
            try:
                for entry in heard.entries():
                    self.tell(rings, entry, heard.catalog)
            except (Joined, LogTrimmed):
                for ring in rings:
                    ring.add(requery(heard.txn))
                self.replay = Replay(heard.after, heard.catalog)
            for ring in rings:
                ring.publish(heard.txn)
            self.txn = heard.txn

    def tell(self, rings: Sequence[Ring], entry: LogEntry, catalog: Catalog) -> None:
        """Add the events of a transaction to every ring."""
        assert self.replay is not None
        changes = [DocumentChange(entry.txn, catalog, touched) for touched in self.replay.apply(entry.record)]
        if self.replay.bytes > FEED_ROUND_BYTES_MAX:
            raise Joined
        for ring in rings:
            left = ring.bytes_max
            for change in changes:
                event = ring.filter.judge(change)
                if event is not None:
                    ring.add(event)
                    left -= event.size
                if left < 0:
                    ring.replace(requery(entry.txn))
                    break

    def end(self, error: Exception | None) -> None:
        """Let readers know that nothing comes any more."""
        self.error = error
        self.over = True
        self.begun.set()
        for ring in tuple(self.by_filter.values()):
            ring.wake_all()

    # --- readers ---

    def ring_of(self, filter_: Filter) -> Ring:
        """The ring of a filter, with one reader more.

        Raises:
            StoreClosed: Nothing comes any more.
            Overloaded: FEED_FILTERS_MAX filters are read.
        """
        if self.over:
            raise self.error or StoreClosed("The store was closed.")
        with self.lock:
            ring = self.by_filter.get(filter_.key)
            if ring is None:
                if len(self.by_filter) >= FEED_FILTERS_MAX:
                    message = f"{FEED_FILTERS_MAX} different filters of the feed are read, the bound: ask again later."
                    raise Overloaded(message, limit="FEED_FILTERS_MAX", maximum=FEED_FILTERS_MAX)
                ring = self.by_filter[filter_.key] = Ring(filter_, self.txn)
            ring.readers += 1
            return ring

    def give_back(self, ring: Ring) -> None:
        """Count a reader of a ring less; the last one takes it along."""
        with self.lock:
            ring.readers -= 1
            if not ring.readers:
                del self.by_filter[ring.filter.key]


class Feed:
    """The change feed of one store."""

    def __init__(self, store: Reading, pump: Pump) -> None:
        """Nothing is followed yet."""
        self.store = store
        self.pump = pump
        self.lock = Lock()
        self.rings: Rings | None = None
        self.readers = 0

    def open(self, filter_: Filter, since: int | None = None, *, images: bool = False) -> Reader:
        """Read events behind a transaction, by default behind the newest; the caller closes the reader.

        Args:
            filter_: Which events.
            since: A txn id.
            images: Whether events without images are of no use: what they would tell is `requeryRequired`.

        Raises:
            VersionNotAvailable: `since` is not applied yet.
            LogTrimmed: What followed `since` is not in the log any more.
            Overloaded: FEED_FILTERS_MAX filters are read.
        """
        rings = self.attach()
        try:
            rings.begun.wait()
            ring = rings.ring_of(filter_)
        except BaseException:
            self.detach(rings)
            raise
        asked = Asked(filter_, images or filter_.judges)
        reader = Reader(self, rings, ring, asked)
        try:
            reader.begin(since)
        except BaseException:
            reader.close()
            raise
        return reader

    def attach(self) -> Rings:
        """Count a reader more; the first one begins to listen to the pump."""
        with self.lock:
            if self.rings is None or self.rings.over:
                rings = Rings()
                self.pump.attach(rings)
                self.rings, self.readers = rings, 0
            self.readers += 1
            return self.rings

    def detach(self, rings: Rings) -> None:
        """Count a reader less; the last one ends the listening."""
        with self.lock:
            if rings is not self.rings:
                return
            self.readers -= 1
            if self.readers:
                return
            self.rings = None
        self.pump.detach(rings)
