"""The clocks of the world: its own time, and what a store's machine believes it to be.

Rules: the world's time is milliseconds since its start and only ever passes. A machine's wall clock is that time, with
a skew that jumps; what a running store makes of jumps is the engine's own `version/clock.py`, injected with both.
"""

from __future__ import annotations

from crdtstore.version.clock import Clock, steady_clock

START_MILLISECONDS = 1_700_000_000_000
"""The world's time 0 in milliseconds since 1970: any fixed moment will do."""


class WorldTime:
    """The one time that passes for everybody."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic(self) -> int:
        """Milliseconds since the world's start."""
        return self.now


class WallClock:
    """What one machine believes the time to be; a coarse `grain` makes timestamps of different stores tie."""

    def __init__(self, time: WorldTime, skew: int, grain: int) -> None:
        self.time = time
        self.skew = skew
        self.grain = grain

    def read(self) -> int:
        """Milliseconds since 1970."""
        now = START_MILLISECONDS + self.time.now + self.skew
        return now - now % self.grain

    def start(self) -> Clock:
        """The clock of a store that starts now: it follows this one, but not its leaps."""
        return steady_clock(self.read, self.time.monotonic)
