"""Pinned snapshots: what a join that takes several requests is read from.

Rules: a join is of one version, so its snapshot stays open between requests. Each keeps pages that are replaced
meanwhile, so there are PINS_MAX at most, and one that was not asked for PIN_SECONDS_MAX is closed when the next is
needed. A pin belongs to the scope and origin that opened it, which have one at a time. One thread at a time reads a
pin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

from crdtstore.crdt.scope import Scope
from crdtstore.errors import MalformedMessage, Overloaded
from crdtstore.limits import PIN_SECONDS_MAX, PINS_MAX

if TYPE_CHECKING:
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Snapshot
    from crdtstore.storage.ranges import Ranges

Owner = tuple[bytes, Scope]


class Pin:
    """One snapshot with its head and sums, and who may read it."""

    __slots__ = ("head", "lock", "owner", "ranges", "snapshot", "used")

    def __init__(self, owner: Owner, snapshot: Snapshot, head: Head, ranges: Ranges, used: float) -> None:
        self.owner = owner
        self.snapshot = snapshot
        self.head = head
        self.ranges = ranges
        self.used = used
        self.lock = Lock()


class Pins:
    """The pinned snapshots of one store."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Make an empty set; `clock` gives seconds that only pass."""
        self.clock: Final = clock
        self.pins: dict[int, Pin] = {}
        self.lock = Lock()
        self.last = 0

    def add(self, owner: Owner, snapshot: Snapshot, head: Head, ranges: Ranges) -> int:
        """Keep a snapshot; returns its token.

        Raises:
            Overloaded: PINS_MAX others are in use; the snapshot stays the caller's to close.
        """
        with self.lock:
            self.close_idle()
            for token in [token for token, pin in self.pins.items() if pin.owner == owner]:
                self.pop(token)  # it broke off a join, and begins anew
            if len(self.pins) >= PINS_MAX:
                message = f"{PINS_MAX} snapshots are pinned for joins already, the bound."
                raise Overloaded(message, limit="PINS_MAX", maximum=PINS_MAX)
            self.last += 1
            self.pins[self.last] = Pin(owner, snapshot, head, ranges, self.clock())
            return self.last

    @contextmanager
    def reading(self, token: int, owner: Owner) -> Iterator[Pin]:
        """A pin, for one thread at a time.

        Raises:
            MalformedMessage: There is none of this token for this owner, or not any more: open a new one.
        """
        with self.lock:
            pin = self.pins.get(token)
            if pin is None or pin.owner != owner:
                raise MalformedMessage(f"No snapshot is pinned under {token} for this store; it may have expired.")
            pin.used = self.clock()
        with pin.lock:
            yield pin

    def remove(self, token: int, owner: Owner) -> None:
        """Let go of a snapshot; does nothing if it is gone."""
        with self.lock:
            pin = self.pins.get(token)
            if pin is not None and pin.owner == owner:
                self.pop(token)

    def close_idle(self) -> None:
        """Close what was not used for long; the lock is held."""
        now = self.clock()
        for token in [token for token, pin in self.pins.items() if now - pin.used > PIN_SECONDS_MAX]:
            self.pop(token)

    def pop(self, token: int) -> None:
        """Close one; the lock is held."""
        pin = self.pins.pop(token)
        with pin.lock:
            pin.snapshot.close()

    def close(self) -> None:
        """Close all."""
        with self.lock:
            for token in list(self.pins):
                self.pop(token)
