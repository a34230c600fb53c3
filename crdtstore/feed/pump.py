"""The pump tells listeners what was committed, in rounds: the store before, the store after, the log between.

Rules: one thread a store, which lives while somebody listens. It is woken after a commit and never polls; to the
writer it is one bell that is rung. Rounds follow each other without a gap, the first from the version at which the
listener began; several commit groups are one round where listeners are slow. Both snapshots are the thread's and end
with the round, so listeners are quick: no network, no waiting. One that raises hears no more, and harms no other.

Not here: what listeners make of it, who may see it.
"""

from __future__ import annotations

import logging
from collections import deque
from threading import Lock, Thread, current_thread
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from crdtstore.bell import Bell
from crdtstore.errors import StoreClosed, StoreReadOnly
from crdtstore.feed.changed import Changed, changed
from crdtstore.storage.log import check_reach, last_txn, read_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.interface import Snapshot
    from crdtstore.storage.log import LogEntry
    from crdtstore.version.sequencer import Sequencer

Told = TypeVar("Told")

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """A version of the store, open, and the names that its documents use; another catalog may number them anew."""

    snapshot: Snapshot
    catalog: Catalog
    txn: int


class Round(NamedTuple):
    """What was committed between two versions; the catalog serves both."""

    before: Snapshot
    after: Snapshot
    since: int
    txn: int
    catalog: Catalog

    def entries(self) -> Iterator[LogEntry]:
        """The log between the two, while it is read.

        Raises:
            LogTrimmed: Some of it is there no more.
        """
        check_reach(self.after, self.since)
        return read_entries(self.after, self.since)

    def changed(self) -> Changed:
        """The documents that it touches; as `entries`."""
        return changed(self.entries())


class Listener(Protocol):
    """Whoever is told; every call comes on the pump's thread."""

    def begin(self, place: Place) -> None:
        """Where the store is: the rounds go on from there."""

    def take(self, heard: Round) -> None:
        """What was committed since."""

    def end(self, error: Exception | None) -> None:
        """Nothing comes any more: it was detached or the store closed, or an error broke it off. Called once."""


class Pump:
    """The thread of one store, and who listens."""

    def __init__(self, sequencer: Sequencer) -> None:
        """Nobody listens yet."""
        self.sequencer = sequencer
        self.lock = Lock()
        self.bell = Bell()
        self.listeners: list[Listener] = []
        self.coming: deque[Listener] = deque()
        self.going: deque[Listener] = deque()
        self.thread: Thread | None = None
        self.closed = False

    def attach(self, listener: Listener) -> None:
        """Tell a listener from now on; it begins at what is the newest version or was it a moment ago.

        Raises:
            StoreReadOnly: Another process writes, and nothing says when.
            StoreClosed: The store was closed.
        """
        if self.sequencer.storage.read_only:
            raise StoreReadOnly("A store that was opened read-only is not told what another process writes.")
        with self.lock:
            if self.closed:
                raise StoreClosed("The store was closed.")
            self.coming.append(listener)
            self.bell.ring()
            if self.thread is None:
                self.thread = Thread(target=self.follow, name="crdtstore-pump", daemon=True)
                self.thread.start()

    def detach(self, listener: Listener) -> None:
        """Tell a listener nothing more; the round that runs may still reach it, until its `end`."""
        with self.lock:
            self.going.append(listener)
            self.bell.ring()

    def close(self) -> None:
        """Tell what was committed, then that it is over. Nothing is committed any more when this is called."""
        with self.lock:
            self.closed = True
            self.bell.ring()
            thread = self.thread
        if thread is not None:
            thread.join()

    # --- the thread ---

    def follow(self) -> None:
        """Go round after round, until nobody listens."""
        cancel = self.sequencer.waiters.follow(self.bell.ring)
        error: Exception | None = None
        try:
            ended = self.go_rounds()
        except Exception as caught:
            logger.exception("Listeners are told nothing any more: a version of the store could not be opened.")
            error, ended = caught, self.leave()
        cancel()
        for listener in ended:
            tell_end(listener, error)

    def go_rounds(self) -> list[Listener]:
        """From the newest version on; who still listens at the end."""
        place = self.open()
        try:
            while True:
                self.bell.wait()
                closed = self.closed
                self.heed(place)
                place = self.go_round(place)
                if closed or self.is_alone():
                    return self.leave()
        finally:
            place.snapshot.close()

    def open(self) -> Place:
        """The newest version."""
        snapshot = self.sequencer.storage.snapshot()
        return Place(snapshot, self.sequencer.catalog, last_txn(snapshot))

    def heed(self, place: Place) -> None:
        """Let in who comes, and out who goes."""
        while self.coming:
            listener = self.coming.popleft()
            self.listeners.append(listener)
            self.tell(listener, listener.begin, place)
        while self.going:
            self.drop(self.going.popleft(), None)

    def go_round(self, place: Place) -> Place:
        """Tell what was committed since, if something was; returns the version that is the newest then."""
        after = self.open()
        if after.txn == place.txn:
            after.snapshot.close()
            return place
        heard = Round(place.snapshot, after.snapshot, place.txn, after.txn, after.catalog)
        for listener in list(self.listeners):
            self.tell(listener, listener.take, heard)
        place.snapshot.close()
        return after

    def tell(self, listener: Listener, what: Callable[[Told], None], told: Told) -> None:
        """Tell one listener."""
        try:
            what(told)
        except Exception as error:
            logger.exception("A listener failed, and is told nothing any more.")
            self.drop(listener, error)

    def drop(self, listener: Listener, error: Exception | None) -> None:
        """Tell a listener that it is over, unless it was told."""
        if listener in self.listeners:
            self.listeners.remove(listener)
            tell_end(listener, error)

    def is_alone(self) -> bool:
        """Whether nobody listens or comes; then the thread is the pump's no more: who comes next starts another."""
        with self.lock:
            if self.listeners or self.coming:
                return False
            self.thread = None
            return True

    def leave(self) -> list[Listener]:
        """End being the pump's thread; returns whom to tell."""
        with self.lock:
            if self.thread is not current_thread():
                return []
            self.thread = None
            ended = [*self.listeners, *self.coming]
            self.listeners.clear()
            self.coming.clear()
            return ended


def tell_end(listener: Listener, error: Exception | None) -> None:
    """Tell a listener that it is over; what it raises harms nobody."""
    try:
        listener.end(error)
    except Exception:
        logger.exception("A listener failed when it was told that it is over.")
