"""Expiry: the events that this store appended and that have an end, by their ends, and what removes them then.

    store.expiry.sweep()   # remove what has expired, in this thread
    store.expiry.start()   # go on doing so in the background, until the store is closed

Rules: an event is removed by the store that appended it and by no other, so no two stores send the same removal. What
is to expire is a row of its own, written with the event: its moment, the event's id, its series; so the next one is the
first row, and no series is searched. A sweep is a transaction of at most EXPIRED_EVENTS_MAX events after the other.
The thread sleeps until the next end, or until an event with an earlier one is appended; it looks again after
EXPIRY_SLEEP_SECONDS_MAX at the latest, since clocks are set. Until an event is removed reads hide it (`event.alive`).
"""

from __future__ import annotations

import logging
from itertools import islice
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.bell import Bell
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.path import ROOT
from crdtstore.errors import CrdtStoreError, StoreClosed
from crdtstore.limits import EXPIRED_EVENTS_MAX, EXPIRY_SLEEP_SECONDS_MAX
from crdtstore.query.instant import parse_instant
from crdtstore.storage.tables import Table
from crdtstore.timeseries.moment import MOMENT_BYTES, moment_at
from crdtstore.timeseries.series import ID_BYTES, PREFIX
from crdtstore.version.transaction import Sequenced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crdtstore.storage.draft import Draft
    from crdtstore.storage.interface import Batch, Snapshot
    from crdtstore.timeseries.host import Host

ROWS: Final = b"event-expiration:"
"""What the keys of these rows begin with."""

AT: Final = len(ROWS)
ID_AT: Final = AT + MOMENT_BYTES
SERIES_AT: Final = ID_AT + ID_BYTES
NEVER: Final = "~"
"""Behind every moment."""

logger = logging.getLogger(__name__)


class Ending(NamedTuple):
    """One event that is to expire."""

    moment: str
    id: str
    series: str

    def key(self) -> bytes:
        """Its row's key; there is nothing in the row."""
        return ROWS + f"{self.moment}{self.id}{self.series}".encode()


def read_ending(key: bytes) -> Ending:
    """The event of a row."""
    return Ending(key[AT:ID_AT].decode(), key[ID_AT:SERIES_AT].decode(), key[SERIES_AT:].decode())


def endings(snapshot: Snapshot, until: str) -> Iterator[Ending]:
    """What expires up to a moment, and in it, the earliest first."""
    rows = snapshot.scan(Table.KEYS, ROWS, ROWS + until.encode() + b"\xff")
    return (read_ending(key) for key, _ in rows)


def note_endings(batch: Batch, noted: Iterable[Ending]) -> None:
    """Note what is to expire, with the transaction that appends it."""
    for ending in noted:
        batch.put(Table.KEYS, ending.key(), b"")


class Expiry:
    """What removes the expired events of one store."""

    def __init__(self, store: Host) -> None:
        self.store = store
        self.thread: Thread | None = None
        self.bell = Bell()
        self.closed = False
        self.asleep_until = NEVER

    def sweep(self) -> int:
        """Remove what has expired; returns how many events that were."""
        removed = 0
        while True:
            seen, gone = self.sweep_some()
            removed += gone
            if seen < EXPIRED_EVENTS_MAX:
                return removed

    def sweep_some(self) -> tuple[int, int]:
        """Remove some of it as one transaction; returns how many rows were seen, and how many events were there."""
        drafts: list[Draft] = []
        seen: list[Ending] = []

        def evaluate(draft: Draft) -> int:
            drafts.append(draft)
            seen.extend(islice(endings(draft.batch, moment_at(self.store.clock())), EXPIRED_EVENTS_MAX))
            return remove_events_of(draft, seen)

        def finish(done: Sequenced) -> tuple[int, int]:
            for ending in seen:
                drafts[0].batch.delete(Table.KEYS, ending.key())
            assert isinstance(done.answer, int)
            return len(seen), done.answer

        swept: tuple[int, int] = self.store.sequence(evaluate, finish).result()
        return swept

    # --- in the background ---

    def start(self) -> None:
        """Sweep in a thread of its own, as long as the store is open, if there is none yet."""
        if self.thread is None and not self.store.storage.read_only:
            self.thread = Thread(target=self.work, name="crdtstore-expiry", daemon=True)
            self.thread.start()

    def tell(self, moment: str) -> None:
        """Say that an event expires at a moment, once it is on disk."""
        if moment < self.asleep_until:
            self.bell.ring()

    def close(self) -> None:
        """End the thread."""
        self.closed = True
        self.bell.ring()
        if self.thread is not None:
            self.thread.join()

    def work(self) -> None:
        """Sweep, and sleep until there is something to sweep; what fails is tried again after the longest sleep."""
        while not self.closed:
            try:
                self.sweep()
                self.asleep_until = self.next_moment()
                seconds = seconds_between(moment_at(self.store.clock()), self.asleep_until)
            except StoreClosed:
                return
            except CrdtStoreError:
                logger.exception("Expired events cannot be removed now; reads hide them all the same.")
                seconds = EXPIRY_SLEEP_SECONDS_MAX
            self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Wait for so long, to be told of an earlier event, or for the end."""
        self.bell.wait(min(seconds, EXPIRY_SLEEP_SECONDS_MAX))
        self.asleep_until = NEVER

    def next_moment(self) -> str:
        """When the next event expires."""
        with self.store.storage.snapshot() as snapshot:
            return next((ending.moment for ending in endings(snapshot, NEVER)), NEVER)


def remove_events_of(draft: Draft, ends: Iterable[Ending]) -> int:
    """Remove those of some events that are still there; returns how many."""
    removed = 0
    for ending in ends:
        document = draft.document(draft.catalog.intern(PREFIX + ending.series), encode_id(ending.id))
        if document.living():
            document.fold.remove(ROOT)
            document.changed()
            removed += 1
    return removed


def seconds_between(now: str, then: str) -> float:
    """How long to sleep, never too short: both are moments, or the second is never."""
    begin, end = parse_instant(now), parse_instant(then)
    if begin is None or end is None:
        return EXPIRY_SLEEP_SECONDS_MAX
    return max(end.second - begin.second + 1, 0)
