"""Retained versions: snapshots that stay open, so that a store can be read as it was.

Rules: the writer retains the newest version of each second of the store's clock, just before the first commit of a
later one: nothing is retained while nothing is written, and nothing polls. A version goes when it stopped being the
newest longer ago than the store was told, when there are more than RETAINED_VERSIONS_MAX, or when it costs too much of
the disk. A caller pins a version for up to PIN_VERSION_SECONDS_MAX; the bounds on numbers and bytes end pins too. The
oldest goes first, since LMDB uses no page again that was freed after the oldest open snapshot. What is to go while it
is read is closed by its last reader. Names are only ever added to a catalog, so the newest one serves every version.

What versions cost: when the file grows, LMDB found no free page that it may use, so all that is unused waits for a
snapshot. Beyond half of RETAINED_BYTES_MAX each commit that makes the file grow costs versions, the more the more is
unused, and at the bound all of them: then there is enough to be used again, and nothing is retained for as long as
versions would be. The growth alone would count new documents, and the unused bytes alone what a large removal left
behind long ago.

Not here: waiting for versions that are yet to come (`waiters`), the snapshots of joins (`replication/pins.py`).
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from itertools import islice
from math import ceil
from threading import Lock, RLock
from typing import TYPE_CHECKING, Final, Self, TypeVar

from sortedcontainers import SortedDict

from crdtstore.errors import Overloaded, StoreReadOnly, VersionNotAvailable, VersionNotRetained
from crdtstore.limits import PIN_VERSION_SECONDS_MAX, PINNED_VERSIONS_MAX, RETAINED_BYTES_MAX, RETAINED_VERSIONS_MAX
from crdtstore.storage.log import last_txn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.storage.interface import Snapshot, Storage
    from crdtstore.version.clock import Clock

Row = TypeVar("Row")

ROWS: Final = 128
"""Rows that a scan takes at a time: others read the same snapshot in between."""

logger = logging.getLogger(__name__)


class Version:
    """One version that can be read: by one thread at a time, under its lock."""

    __slots__ = ("lock", "over", "pinned", "pins", "readers", "since", "snapshot", "txn")

    def __init__(self, txn: int, snapshot: Snapshot, since: int) -> None:
        """Keep the snapshot of a txn id; `since` is when it stopped being the newest, or was pinned."""
        self.txn = txn
        self.snapshot = snapshot
        self.since = since
        self.lock = RLock()
        self.readers = 0
        self.pins = 0
        self.pinned = since
        self.over = False

    def in_turns(self, rows: Iterator[Row], at_once: int = ROWS) -> Iterator[Row]:
        """Go through rows of the snapshot, which between so many of them is free for other threads."""
        while True:
            with self.lock:
                taken = list(islice(rows, at_once))
            yield from taken
            if len(taken) < at_once:
                return

    def is_kept(self, now: int, seconds: float) -> bool:
        """Whether it is young enough, or pinned by somebody who is."""
        if now - self.since < seconds * 1_000:
            return True
        return self.pins > 0 and now - self.pinned < PIN_VERSION_SECONDS_MAX * 1_000


class Pin:
    """One version, kept to be read `at` until this is closed, or for PIN_VERSION_SECONDS_MAX."""

    def __init__(self, retained: Retained, version: Version) -> None:
        self.retained = retained
        self.version: Version | None = version
        self.txn = version.txn

    def close(self) -> None:
        """Let go of the version; again does nothing."""
        version, self.version = self.version, None
        if version is not None:
            self.retained.unpin(version)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Retained:
    """The versions of one store that can be read beside the newest."""

    def __init__(self, storage: Storage, clock: Clock, seconds: float) -> None:
        """Retain nothing yet.

        Args:
            storage: Of which store.
            clock: Milliseconds since 1970.
            seconds: How long a version is retained once it is not the newest any more; 0 retains none but pinned ones.
        """
        self.storage = storage
        self.clock = clock
        self.seconds = seconds
        self.lock = Lock()
        self.versions: SortedDict = SortedDict()  # txn -> Version
        self.second: int | None = None
        self.rests_until = 0
        self.bytes = 0
        self.pid = os.getpid()

    @property
    def txns(self) -> tuple[int, ...]:
        """The txn ids that can be read beside the newest, in order."""
        with self.lock:
            self.expire(self.clock())
            return tuple(self.versions)

    # --- the writer ---

    def before_commit(self) -> None:
        """Retain what is the newest version so far, if a second is over. Whatever fails here, the commit goes on."""
        if not self.seconds and not self.versions:
            return
        try:
            now = self.clock()
            self.check_bytes(now)
            if now // 1_000 != self.second:
                self.begin_second(now)
        except Exception:
            logger.exception("No version was retained.")

    def begin_second(self, now: int) -> None:
        """Retain the newest version of the seconds before."""
        self.second = now // 1_000
        with self.lock:
            self.expire(now)
        # A clock that fell back must not make it a long rest.
        self.rests_until = min(self.rests_until, now + int(self.seconds * 1_000))
        if self.seconds and now >= self.rests_until:
            snapshot = self.storage.snapshot()
            txn = last_txn(snapshot)
            with self.lock:
                self.keep(txn, snapshot, now).since = now
                self.expire(now)

    def check_bytes(self, now: int) -> None:
        """Let old versions go if the file grew and much of it is not used by the newest."""
        if not self.versions:
            return
        before, self.bytes = self.bytes, self.storage.bytes_on_disk()
        if self.bytes > before:
            share = 2 * self.storage.bytes_unused() / RETAINED_BYTES_MAX - 1
            if share >= 1:
                self.rests_until = now + int(self.seconds * 1_000)
            with self.lock:
                versions = self.versions.values()
                for version in versions[: max(0, ceil(share * len(versions)))]:
                    self.drop(version)

    # --- readers ---

    @contextmanager
    def holding(self, asked: int | None) -> Iterator[Version]:
        """A version, None for the newest, open until the block ends; its snapshot is used under its lock.

        Raises:
            VersionNotAvailable: It is not applied yet.
            VersionNotRetained: It is not the newest, and not retained.
        """
        with self.storage.snapshot() as newest:
            applied = last_txn(newest)
            if asked is None or asked == applied:
                yield Version(applied, newest, 0)
                return
        version = self.take(asked, applied)
        try:
            yield version
        finally:
            self.give_back(version)

    @contextmanager
    def reading(self, asked: int) -> Iterator[Snapshot]:
        """The snapshot of a version, for this thread alone while the block runs.

        Raises:
            VersionNotAvailable: It is not applied yet.
            VersionNotRetained: It is not the newest, and not retained.
        """
        with self.holding(asked) as version, version.lock:
            yield version.snapshot

    def pin(self, asked: int | None) -> Pin:
        """Keep a version; None for the newest.

        Raises:
            StoreReadOnly: Nobody here would notice what it keeps.
            Overloaded: PINNED_VERSIONS_MAX pins are open.
            VersionNotAvailable: It is not applied yet.
            VersionNotRetained: It is not the newest, and not retained.
        """
        if self.storage.read_only:
            raise StoreReadOnly("A store that was opened read-only keeps no versions: pin where it is written.")
        snapshot = self.storage.snapshot()
        applied = last_txn(snapshot)
        now = self.clock()
        with self.lock:
            try:
                self.expire(now)
                self.check_pins()
                if asked is not None and asked != applied:
                    snapshot.close()
                    version = self.find(asked, applied)
                else:
                    version = self.keep(applied, snapshot, now)
            except BaseException:
                snapshot.close()
                raise
            version.pins += 1
            version.pinned = now
        return Pin(self, version)

    def unpin(self, version: Version) -> None:
        """End one pin of a version."""
        with self.lock:
            version.pins -= 1
            self.expire(self.clock())

    def take(self, asked: int, applied: int) -> Version:
        """Find a version and count a reader of it."""
        with self.lock:
            self.expire(self.clock())
            version = self.find(asked, applied)
            version.readers += 1
            return version

    def give_back(self, version: Version) -> None:
        """Count one reader less."""
        with self.lock:
            version.readers -= 1
            if version.over and not version.readers:
                version.snapshot.close()

    def close(self) -> None:
        """Let everything go; what is read meanwhile ends with the storage. In a forked child there is nothing."""
        if os.getpid() != self.pid:
            return
        with self.lock:
            self.seconds = 0
            for version in list(self.versions.values()):
                self.drop(version)

    # --- under the lock ---

    def find(self, asked: int, applied: int) -> Version:
        """A version that is retained; `applied` is the newest."""
        if asked > applied:
            raise VersionNotAvailable(asked, applied)
        version: Version | None = self.versions.get(asked)
        if version is None:
            known = [*self.versions, applied]
            raise VersionNotRetained(asked, min(known, key=lambda txn: abs(txn - asked)), known[0])
        return version

    def keep(self, txn: int, snapshot: Snapshot, now: int) -> Version:
        """Enter a version, unless it is there: then the snapshot is not needed."""
        version: Version | None = self.versions.get(txn)
        if version is not None:
            snapshot.close()
            return version
        if not self.versions:
            self.bytes = self.storage.bytes_on_disk()
        self.versions[txn] = version = Version(txn, snapshot, now)
        return version

    def check_pins(self) -> None:
        """Refuse a pin beyond the bound."""
        if sum(version.pins for version in self.versions.values()) >= PINNED_VERSIONS_MAX:
            message = f"{PINNED_VERSIONS_MAX} versions are pinned already, the bound: close a pin first."
            raise Overloaded(message, limit="PINNED_VERSIONS_MAX", maximum=PINNED_VERSIONS_MAX)

    def expire(self, now: int) -> None:
        """Let go of what is too old, and of the oldest where there are too many."""
        for version in list(self.versions.values()):
            # A clock that fell back must not make a version stay until it is that late again.
            version.since, version.pinned = min(version.since, now), min(version.pinned, now)
            if not version.is_kept(now, self.seconds):
                self.drop(version)
        while len(self.versions) > RETAINED_VERSIONS_MAX:
            self.drop(self.versions.peekitem(0)[1])

    def drop(self, version: Version) -> None:
        """Let a version go: now, or with its last reader."""
        del self.versions[version.txn]
        version.over = True
        if not version.readers:
            version.snapshot.close()
