"""Formats of dates: `%Y-%m-%d`, or `YYYY-MM-DD`.

Rules: a format with a per cent sign is of the first kind, any other of the second. What is no token stands for itself.
Reading asks for every token once, a year among them; what a format leaves out is the first month, the first day,
midnight and UTC. Names of days and months are English.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from crdtstore.crdt.value import Value
from crdtstore.query.dql.dates import read_date, write_date
from crdtstore.query.tree import MISSING

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

PERCENT: Final = {
    "%Y": "year",
    "%y": "short-year",
    "%m": "month",
    "%B": "month-name",
    "%b": "short-month-name",
    "%d": "day",
    "%j": "day-of-year",
    "%A": "day-name",
    "%a": "short-day-name",
    "%H": "hour",
    "%I": "hour-of-half",
    "%p": "half",
    "%M": "minute",
    "%S": "second",
    "%f": "microsecond",
    "%L": "millisecond",
    "%z": "offset",
    "%%": "percent",
}
LETTERS: Final = {
    "YYYY": "year",
    "YY": "short-year",
    "MM": "month",
    "DDD": "day-of-year",
    "DD": "day",
    "HH24": "hour",
    "HH12": "hour-of-half",
    "HH": "hour",
    "MI": "minute",
    "mm": "minute",
    "SSS": "millisecond",
    "SS": "second",
    "ss": "second",
    "AM": "half",
    "PM": "half",
    "TZ": "offset",
}
TOKENS: Final = (
    (PERCENT, re.compile(r"%.", re.DOTALL)),
    (LETTERS, re.compile("|".join(sorted(LETTERS, key=lambda token: -len(token))))),
)

WRITTEN: Final[dict[str, Callable[[datetime], str]]] = {
    "year": lambda date: f"{date.year:04}",
    "short-year": lambda date: f"{date.year % 100:02}",
    "month": lambda date: f"{date.month:02}",
    "month-name": lambda date: MONTHS[date.month - 1],
    "short-month-name": lambda date: MONTHS[date.month - 1][:3],
    "day": lambda date: f"{date.day:02}",
    "day-of-year": lambda date: f"{date.timetuple().tm_yday:03}",
    "day-name": lambda date: DAYS[date.weekday()],
    "short-day-name": lambda date: DAYS[date.weekday()][:3],
    "hour": lambda date: f"{date.hour:02}",
    "hour-of-half": lambda date: f"{(date.hour + 11) % 12 + 1:02}",
    "half": lambda date: "AM" if date.hour < 12 else "PM",
    "minute": lambda date: f"{date.minute:02}",
    "second": lambda date: f"{date.second:02}",
    "microsecond": lambda date: f"{date.microsecond:06}",
    "millisecond": lambda date: f"{date.microsecond // 1_000:03}",
    "offset": lambda date: date.strftime("%z")[:3] + ":" + date.strftime("%z")[3:5],
    "percent": lambda _: "%",
}

READ: Final = {
    "year": "[0-9]{4}",
    "month": "[0-9]{1,2}",
    "month-name": "|".join(MONTHS),
    "short-month-name": "|".join(month[:3] for month in MONTHS),
    "day": "[0-9]{1,2}",
    "hour": "[0-9]{1,2}",
    "hour-of-half": "[0-9]{1,2}",
    "half": "[AaPp][Mm]",
    "minute": "[0-9]{1,2}",
    "second": "[0-9]{1,2}",
    "microsecond": "[0-9]{1,6}",
    "millisecond": "[0-9]{1,3}",
    "offset": "[Zz]|[+-][0-9]{2}:?[0-9]{2}",
    "percent": "%",
}
"""What a token that can be read looks like; the others can only be written."""


def pieces(pattern: str) -> list[tuple[str, str]]:
    """The tokens of a format by their names, and the texts between them, which have none."""
    names, token = TOKENS["%" not in pattern]
    found: list[tuple[str, str]] = []
    end = 0
    for match in token.finditer(pattern):
        found.append(("", pattern[end : match.start()]))
        found.append((names.get(match[0], ""), match[0]))
        end = match.end()
    return [*found, ("", pattern[end:])]


def date_format(text: str, pattern: str) -> Value:
    """A date as a format shows it."""
    date = read_date(text)
    if date is None:
        return MISSING
    return "".join([WRITTEN[name](date) if name else piece for name, piece in pieces(pattern)])


def date_cast(text: str, pattern: str) -> Value:
    """The date that a text shows in a format."""
    names: list[str] = []
    expression = ""
    for name, piece in pieces(pattern):
        if name and name not in READ:
            return MISSING
        expression += f"({READ[name]})" if name else re.escape(piece)
        names += [name] * bool(name)
    # Each token once: so few groups of digits are matched in no time, however they can be divided.
    found = re.fullmatch(expression, text, re.ASCII) if len(set(names)) == len(names) else None
    if found is None:
        return MISSING
    try:
        return write_date(made_of(dict(zip(names, found.groups(), strict=True))))
    except (ValueError, KeyError, OverflowError):
        return MISSING


def made_of(parts: dict[str, str]) -> datetime:
    """The date of parts that were read.

    Raises:
        KeyError: There is no year.
        ValueError: There is no such date.
    """
    months = [month[:3] for month in MONTHS]
    named = parts.get("month-name", parts.get("short-month-name"))
    month = int(parts.get("month", "1")) if named is None else months.index(named[:3]) + 1
    hour = int(parts.get("hour", "0"))
    if "hour-of-half" in parts:
        hour = int(parts["hour-of-half"])
        if not 1 <= hour <= 12:
            raise ValueError("No such hour.")
        hour = hour % 12 + 12 * (parts.get("half", "AM").upper() == "PM")
    fraction = parts.get("microsecond", parts.get("millisecond", "")).ljust(6, "0")
    return datetime(
        int(parts["year"]),
        month,
        int(parts.get("day", "1")),
        hour,
        int(parts.get("minute", "0")),
        int(parts.get("second", "0")),
        int(fraction),
        zone_of(parts.get("offset", "Z")),
    )


def zone_of(offset: str) -> timezone:
    """The zone of an offset."""
    if offset in "Zz":
        return UTC
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-ahead if offset[0] == "-" else ahead)
