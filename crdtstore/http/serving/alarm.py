"""An alarm is the one clock of a connection: when it must have gone on, and what happens if it has not.

Rules: an alarm is set and cleared for every request, so it leaves the loop's timer alone where that would ring early
enough: one that rings too early is set again for what is left.

Not here: how long what may take (`connection`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """What happens at which time, unless it is cleared."""

    __slots__ = ("act", "at", "loop", "rings_at", "timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing is to happen."""
        self.loop = loop
        self.act: Callable[[], None] | None = None
        self.at = self.rings_at = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float, act: Callable[[], None]) -> None:
        """Have something happen after some time, instead of what was to."""
        self.act = act
        self.at = self.loop.time() + seconds
        if self.timer is None or self.rings_at > self.at:
            self.start(seconds)

    def clear(self) -> None:
        """Let nothing happen."""
        self.act = None

    def end(self) -> None:
        """Let nothing happen any more: the connection is gone."""
        self.act = None
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def start(self, seconds: float) -> None:
        """Start the timer anew."""
        if self.timer is not None:
            self.timer.cancel()
        self.rings_at = self.at
        self.timer = self.loop.call_later(seconds, self.ring)

    def ring(self) -> None:
        """Have it happen, if it is time."""
        self.timer = None
        if self.act is None:
            return
        left = self.at - self.loop.time()
        if left > 0:
            self.start(left)
            return
        act, self.act = self.act, None
        act()
