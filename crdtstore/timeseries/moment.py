"""A moment is the time of an event, to the nanosecond, as text that sorts as time does.

    read_moment("2021-04-20T14:34:56.5+02:00", "_time")  # "2021-04-20T12:34:56.500000000Z"

Rules: always UTC with nine digits behind the point, so all moments are equally long. What is read is an RFC 3339
date-time; without a fraction it has none, without an offset it is in UTC. A leap second is second 60, and lies between
its neighbours. Numbers are whole: no time passes through a float.
"""

from __future__ import annotations

from typing import Final

from crdtstore.errors import InvalidValue
from crdtstore.query.instant import DAY_SECONDS, DAYS_IN_MONTH, Instant, days_before, days_in_month, parse_instant

NANOSECOND_DIGITS: Final = 9
EPOCH_SECONDS: Final = days_before(1970, 1, 1) * DAY_SECONDS
"""1970, in the seconds of an instant."""

END_SECONDS: Final = days_before(10_000, 1, 1) * DAY_SECONDS
"""Behind the last second that has four digits for its year."""

EPOCH: Final = "1970-01-01T00:00:00.000000000Z"
MOMENT_BYTES: Final = len(EPOCH)


def read_moment(text: object, place: str) -> str:
    """The moment that a text names.

    Args:
        text: An RFC 3339 date-time; its offset may be missing.
        place: What it was given as, for the message.

    Raises:
        InvalidValue: It is none, is finer than nanoseconds, or lies outside of the years 0000 to 9999 in UTC.
    """
    instant = None if not isinstance(text, str) else parse_instant(text) or parse_instant(text + "Z")
    if instant is None:
        raise bad_time(place, text, "an RFC 3339 date-time is expected, such as 2021-04-20T12:34:56.123456789Z")
    if len(instant.fraction) > NANOSECOND_DIGITS:
        raise bad_time(place, text, "a time has at most nanoseconds")
    if not 0 <= instant.second < END_SECONDS:
        raise bad_time(place, text, "in UTC a time lies in the years 0000 to 9999")
    return write_moment(instant)


def bad_time(place: str, given: object, why: str) -> InvalidValue:
    """Say what is wrong with a time, and where it stands."""
    return InvalidValue(f"{place} is {given!r:.60}: {why}.", path=place)


def write_moment(instant: Instant) -> str:
    """An instant, in range and not too fine, as text."""
    day, rest = divmod(instant.second, DAY_SECONDS)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    fraction = instant.fraction.ljust(NANOSECOND_DIGITS, "0")
    return f"{write_date(day)}T{hour:02}:{minute:02}:{second + instant.leap:02}.{fraction}Z"


def write_date(day: int) -> str:
    """The date so many days behind 0000-01-01."""
    # A year is not longer than 366 days and not shorter than 365.2 on average: at most one behind.
    year = day * 400 // 146_097
    year += (days_before(year + 1, 1, 1) <= day) - (days_before(year, 1, 1) > day)
    month, left = 1, day - days_before(year, 1, 1)
    while month < len(DAYS_IN_MONTH) and left >= days_in_month(year, month):
        left -= days_in_month(year, month)
        month += 1
    return f"{year:04}-{month:02}-{left + 1:02}"


def moment_at(milliseconds: int) -> str:
    """The moment so many milliseconds behind 1970, on the clock of a store; no later than there can be one."""
    second, rest = divmod(milliseconds, 1_000)
    second = min(max(second + EPOCH_SECONDS, 0), END_SECONDS - 1)
    return write_moment(Instant(second, 0, f"{rest:03}"))
