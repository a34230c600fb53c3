"""An instant is what an RFC 3339 date-time names: exact, ordered, whatever its offset and number of digits.

Rules (RFC 3339 section 5.6): full-date, "T", full-time; "T" and "Z" may be lower case, a blank does not
stand for "T"; years 0000 to 9999, days that the month has, offsets up to 23:59. Second 60 is allowed where a
leap second can be: as the last second of a month in UTC; it lies between its neighbours. "-00:00" is read as
UTC. A date without a time, or a time without an offset, names no instant.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

SHORTEST: Final = len("2022-04-29T00:55:31Z")
DATE_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]"
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)

DAYS_BEFORE_MONTH: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
DAYS_IN_MONTH: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAY_SECONDS: Final = 86_400


class Instant(NamedTuple):
    """Compares as the instant does.

    `second` counts from 0000-01-01T00:00:00Z without leap seconds; `leap` is 1 in a leap second, which
    follows the second of that number; `fraction` is the digits after the point without trailing zeros, which
    as text order as the numbers do.
    """

    second: int
    leap: int
    fraction: str


def parse_instant(text: str) -> Instant | None:
    """The instant that a text names, or None when it is no RFC 3339 date-time."""
    # Most strings are no dates: their length and one character tell.
    if len(text) < SHORTEST or text[4] != "-":
        return None
    found = DATE_TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if not 1 <= month <= len(DAYS_IN_MONTH) or not 1 <= day <= days_in_month(year, month):
        return None
    second = int(found[6])
    leap = second // 60
    ahead = (int(found[9]) * 60 + int(found[10])) * 60 if found[8] else 0
    at = days_before(year, month, day) * DAY_SECONDS + (int(found[4]) * 60 + int(found[5])) * 60 + second - leap
    at += ahead if found[8] == "-" else -ahead
    if leap and not ends_month(at + 1):
        return None
    return Instant(at, leap, (found[7] or "").rstrip("0"))


def is_leap_year(year: int) -> bool:
    """Whether February has 29 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    """How many days a month has."""
    return DAYS_IN_MONTH[month - 1] + (month == 2 and is_leap_year(year))


def days_before(year: int, month: int, day: int) -> int:
    """How many days lie between 0000-01-01 and a date."""
    years = year * 365 + (year + 3) // 4 - (year + 99) // 100 + (year + 399) // 400
    return years + DAYS_BEFORE_MONTH[month - 1] + (month > 2 and is_leap_year(year)) + day - 1


def ends_month(second: int) -> bool:
    """Whether a month begins at this second, in UTC."""
    day, rest = divmod(second, DAY_SECONDS)
    if rest:
        return False
    # No year is longer than 366 days, so the estimate is never late, and within 9999 years some twenty early.
    year = day // 366
    while days_before(year + 1, 1, 1) <= day:
        year += 1
    return any(days_before(year, month, 1) == day for month in range(1, len(DAYS_IN_MONTH) + 1))
