"""A timestamp is a hybrid logical clock reading: u64, 48 bits of milliseconds, 16 bits of counter.

Rules: the origin fixes it once, when it sequences the transaction, as `max(clock, T + 1)` with T the greatest
timestamp in its version vector over all origins. So it increases strictly along a log and exceeds everything
that the store had observed; receivers keep it verbatim (law: `tests/laws`, planted bug `OwnOriginClock`).

Source: Kulkarni et al., "Logical Physical Clocks", 2014. Reading the machine's clock is not here.
"""

from __future__ import annotations

from datetime import UTC, datetime

LOGICAL_BITS = 16


def from_milliseconds(milliseconds: int) -> int:
    """The smallest timestamp of a millisecond since 1970."""
    return milliseconds << LOGICAL_BITS


def to_milliseconds(timestamp: int) -> int:
    """The millisecond since 1970 that a timestamp falls into."""
    return timestamp >> LOGICAL_BITS


def next_timestamp(clock_milliseconds: int, greatest: int) -> int:
    """The timestamp of the next transaction: ahead of the clock's reading and of all that was observed."""
    return max(from_milliseconds(clock_milliseconds), greatest + 1)


def format_timestamp(timestamp: int) -> str:
    """RFC 3339 with milliseconds, then the counter: for people, never parsed."""
    moment = datetime.fromtimestamp(to_milliseconds(timestamp) / 1000, UTC)
    return f"{moment.isoformat(timespec='milliseconds')}+{timestamp & 0xFFFF}"
