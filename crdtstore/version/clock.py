"""The clock that stamps transactions: the machine's wall clock, kept from leaping.

Rules: a running store does not follow a wall clock that leaps ahead of the monotonic clock by more than
CLOCK_AHEAD_SECONDS_MAX; it warns once and goes on from where it was. A clock that falls back needs nothing here:
timestamps increase by themselves (`crdt/timestamp.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeAlias

from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX

Clock: TypeAlias = Callable[[], int]
"""Returns milliseconds since 1970."""

logger = logging.getLogger(__name__)


def wall_milliseconds() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def monotonic_milliseconds() -> int:
    """Milliseconds that only ever pass."""
    return time.monotonic_ns() // 1_000_000


def steady_clock(wall: Clock = wall_milliseconds, monotonic: Clock = monotonic_milliseconds) -> Clock:
    """A clock that follows `wall` but not its leaps."""
    anchor = wall() - monotonic()
    warned = False

    def read() -> int:
        nonlocal warned
        expected = anchor + monotonic()
        now = wall()
        if now <= expected + CLOCK_AHEAD_SECONDS_MAX * 1_000:
            return now
        if not warned:
            logger.warning("The clock leapt %d s ahead; going on from where it was.", (now - expected) // 1_000)
            warned = True
        return expected

    return read
