"""What the placeholder `time:` of RQL stands for, once the time is known: `time:now-7d[d]`.

Rules: `now` or `now_epoch_millis`; behind it `+` or `-`, a whole number and a unit (none means seconds); behind that a
unit in brackets, to the beginning of which the time is cut. Months and years count by the calendar: the day is the
last one that the month has, weeks begin on Monday, all in UTC. The value is a string: `now` gives a date-time with
milliseconds and `Z`, of one length always, so that as text it orders as times do; `now_epoch_millis` gives digits.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

UNITS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
MONTHS: Final = {"mo": 1, "y": 12}
PLACEHOLDER: Final = re.compile(
    r"time:(now|now_epoch_millis)(?:([+-])([0-9]{1,18})(ms|s|mo|m|h|d|w|y)?)?(?:\[(ms|s|mo|m|h|d|w|y)\])?"
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_MONDAY: Final = datetime(1, 1, 1, tzinfo=UTC)


def resolve_time(placeholder: str, now_milliseconds: int) -> str | None:
    """What a placeholder stands for.

    Args:
        placeholder: As it is written.
        now_milliseconds: The time, since 1970 in UTC.

    Returns:
        The text; None for one that names no time of the years 1 to 9999.
    """
    found = PLACEHOLDER.fullmatch(placeholder)
    if found is None:
        return None
    name, sign, count, unit, cut = found.groups()
    try:
        at = shift(EPOCH + timedelta(milliseconds=now_milliseconds), int(f"{sign or ''}{count or 0}"), unit or "s")
    except (OverflowError, ValueError):
        return None
    at = truncate(at, cut) if cut else at
    if name == "now":
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str((at - EPOCH) // UNITS["ms"])


def shift(at: datetime, count: int, unit: str) -> datetime:
    """The time so many units later."""
    if unit in UNITS:
        return at + count * UNITS[unit]
    month = at.year * 12 + at.month - 1 + count * MONTHS[unit]
    year, month = month // 12, month % 12 + 1
    return at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))


def truncate(at: datetime, unit: str) -> datetime:
    """The beginning of the unit that a time lies in."""
    if unit in UNITS:
        return at - (at - FIRST_MONDAY) % UNITS[unit]
    day = at.replace(hour=0, minute=0, second=0, microsecond=0, day=1)
    return day if unit == "mo" else day.replace(month=1)
