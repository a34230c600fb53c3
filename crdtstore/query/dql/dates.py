"""Functions of dates: a date is a string, RFC 3339 with its offset.

Rules: what is no such string, has no offset, or lies in a leap second or outside of the years 1 to 9999 makes the
result MISSING; a result outside of these years is null. Digits behind a microsecond are cut off. The offset of a date
stays with it: parts, cuts and formats are those of its own clock. A result is written with Z for UTC, and with
milliseconds or microseconds where there are any. Weeks begin on Monday.

Not here: how dates are formatted (`date_format`).
"""

from __future__ import annotations

import zoneinfo
from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import Final

from crdtstore.crdt.value import Value
from crdtstore.query.instant import DATE_TIME
from crdtstore.query.tree import MISSING

FRACTION_DIGITS: Final = 6
MONTHS: Final = {"year": 12, "quarter": 3, "month": 1}
MICROSECONDS: Final = {
    "week": 7 * 86_400_000_000,
    "day": 86_400_000_000,
    "hour": 3_600_000_000,
    "minute": 60_000_000,
    "second": 1_000_000,
    "millisecond": 1_000,
    "microsecond": 1,
}
MICROSECOND: Final = timedelta(microseconds=1)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_date(text: str) -> datetime | None:
    """The date that a string names, None where it names none."""
    found = DATE_TIME.fullmatch(text)
    if found is None:
        return None
    fraction = (found[7] or "")[:FRACTION_DIGITS].ljust(FRACTION_DIGITS, "0")
    offset = f"{found[8]}{found[9]}:{found[10]}" if found[8] else "+00:00"
    try:
        return datetime.fromisoformat(f"{text[:10]}T{text[11:19]}.{fraction}{offset}")
    except ValueError:
        return None


def write_date(date: datetime) -> str:
    """A date as a string."""
    digits = "milliseconds" if date.microsecond % 1_000 == 0 else "microseconds"
    return date.isoformat(timespec=digits if date.microsecond else "seconds").replace("+00:00", "Z")


def now(milliseconds: int) -> str:
    """The date so many milliseconds after 1970, in UTC, always with its milliseconds."""
    date = EPOCH + timedelta(milliseconds=milliseconds)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def date_add(text: str, part: str, count: float) -> Value:
    """A date so many parts later; a day that the month does not have becomes its last."""
    date, part = read_date(text), part.lower()
    if date is None or (part not in MONTHS and part not in MICROSECONDS) or count != int(count):
        return MISSING
    try:
        if part in MONTHS:
            return write_date(add_months(date, int(count) * MONTHS[part]))
        return write_date(date + int(count) * MICROSECONDS[part] * MICROSECOND)
    except (ValueError, OverflowError):
        return None


def date_sub(text: str, part: str, count: float) -> Value:
    """A date so many parts earlier."""
    return date_add(text, part, -count)


def add_months(date: datetime, count: int) -> datetime:
    """A date so many months later.

    Raises:
        ValueError: Not within the years 1 to 9999.
    """
    year, month = divmod(date.year * 12 + date.month - 1 + count, 12)
    if not 1 <= year <= 9_999:
        raise ValueError("No such year.")
    return date.replace(year=year, month=month + 1, day=min(date.day, monthrange(year, month + 1)[1]))


def date_diff(text: str, other: str, part: str) -> Value:
    """How many whole parts the first date is later than the second."""
    one, two, part = read_date(text), read_date(other), part.lower()
    if one is None or two is None:
        return MISSING
    if part in MICROSECONDS:
        return towards_zero((one - two) // MICROSECOND, MICROSECONDS[part])
    if part not in MONTHS:
        return MISSING
    try:
        return towards_zero(months_between(one, two.astimezone(one.tzinfo)), MONTHS[part])
    except OverflowError:
        return None


def months_between(one: datetime, two: datetime) -> int:
    """How many whole months lie between two dates."""
    months = (one.year - two.year) * 12 + one.month - two.month
    rest = one.replace(year=2000, month=1) - two.replace(year=2000, month=1)
    if months > 0 and rest < timedelta(0):
        return months - 1
    return months + 1 if months < 0 and rest > timedelta(0) else months


def towards_zero(number: int, unit: int) -> int:
    """How many whole units a number holds."""
    return number // unit if number >= 0 else -(-number // unit)


def date_part(text: str, part: str) -> Value:
    """One number of a date; days of the week count from Monday, 1."""
    date = read_date(text)
    if date is None:
        return MISSING
    parts = {
        "year": date.year,
        "quarter": (date.month + 2) // 3,
        "month": date.month,
        "week": date.isocalendar().week,
        "day": date.day,
        "hour": date.hour,
        "minute": date.minute,
        "second": date.second,
        "millisecond": date.microsecond // 1_000,
        "microsecond": date.microsecond,
        "dow": date.isoweekday(),
        "doy": date.timetuple().tm_yday,
        "epoch": towards_zero((date - EPOCH) // MICROSECOND, 1_000_000),
    }
    return parts.get(part.lower(), MISSING)


def date_trunc(text: str, part: str) -> Value:
    """The beginning of the part in which a date lies."""
    date, part = read_date(text), part.lower()
    if date is None or (part not in MONTHS and part not in MICROSECONDS):
        return MISSING
    midnight = date.replace(hour=0, minute=0, second=0, microsecond=0)
    if part in MONTHS:
        months = MONTHS[part]
        return write_date(midnight.replace(month=(date.month - 1) // months * months + 1, day=1))
    if part == "week":
        try:
            return write_date(midnight - timedelta(days=date.weekday()))
        except OverflowError:
            return None
    unit = MICROSECONDS[part]
    return write_date(midnight + (date - midnight) // MICROSECOND // unit * unit * MICROSECOND)


def tz_offset(text: str, zone: str) -> Value:
    """The offset that a zone has at a date, such as `+02:00`."""
    date = read_date(text)
    if date is None:
        return MISSING
    try:
        offset = date.astimezone(zoneinfo.ZoneInfo(zone)).strftime("%z")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return MISSING
    except OverflowError:
        return None
    return f"{offset[:3]}:{offset[3:5]}"
