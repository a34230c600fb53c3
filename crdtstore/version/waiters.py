"""Waiters are the reads that wait for a transaction; they are woken when it is on disk, never by polling.

Rules: `publish` runs on the thread that commits, after the commit; each waiter is called exactly once, in the order of
the txn ids, outside the lock. A waiter can be cancelled; cancelling one that was called does nothing. At most
WAITERS_MAX wait at a time. A callback that raises is logged and harms no other. Followers are called after every
`publish`, after those who waited: the store's own, of whom there are few.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from sortedcontainers import SortedDict

from crdtstore.bell import Bell
from crdtstore.errors import Overloaded, VersionNotAvailable
from crdtstore.limits import WAITERS_MAX

Callback: TypeAlias = Callable[[], None]

logger = logging.getLogger(__name__)


class Waiters:
    """The newest applied txn id and who waits for a later one."""

    def __init__(self, applied: int) -> None:
        self.applied = applied
        self.lock = Lock()
        self.waiting: SortedDict = SortedDict()  # (txn, ticket) -> callback
        self.ticket = 0
        self.followers: tuple[Callback, ...] = ()

    def follow(self, callback: Callback) -> Callback:
        """Call back whenever something was applied, from now on. Returns what cancels it."""
        with self.lock:
            self.followers = (*self.followers, callback)
        return lambda: self.unfollow(callback)

    def unfollow(self, callback: Callback) -> None:
        """Call back no more."""
        with self.lock:
            self.followers = tuple(other for other in self.followers if other != callback)

    def notify(self, txn: int, callback: Callback) -> Callback:
        """Call back once `txn` is applied: at once if it is. Returns what cancels it.

        Raises:
            Overloaded: WAITERS_MAX wait already.
        """
        with self.lock:
            ready = txn <= self.applied
            key = (txn, self.ticket)
            if not ready:
                self.add(key, callback)
        if ready:
            call(callback)
        return lambda: self.cancel(key)

    def add(self, key: tuple[int, int], callback: Callback) -> None:
        """Enter a waiter; the lock is held."""
        if len(self.waiting) >= WAITERS_MAX:
            raise Overloaded(f"{WAITERS_MAX} reads wait already, the bound.", limit="WAITERS_MAX", maximum=WAITERS_MAX)
        self.waiting[key] = callback
        self.ticket += 1

    def cancel(self, key: tuple[int, int]) -> None:
        """Forget a waiter."""
        with self.lock:
            self.waiting.pop(key, None)

    def publish(self, applied: int) -> None:
        """Make a txn id known as applied and wake who waited for it or for an earlier one."""
        with self.lock:
            self.applied = applied
            due = [self.waiting.pop(key) for key in list(self.waiting.irange(maximum=(applied + 1,)))]
        for callback in (*due, *self.followers):
            call(callback)

    def wait(self, txn: int, seconds: float) -> int:
        """Block until `txn` is applied; returns the newest applied txn id.

        Raises:
            VersionNotAvailable: It was not within `seconds`.
        """
        if txn > self.applied:
            bell = Bell()
            cancel = self.notify(txn, bell.ring)
            if not bell.wait(seconds):
                cancel()
        if txn > self.applied:
            raise VersionNotAvailable(txn, self.applied)
        return self.applied


def call(callback: Callback) -> None:
    """Run a callback; its error is its own."""
    try:
        callback()
    except Exception:
        logger.exception("A waiter's callback failed.")
