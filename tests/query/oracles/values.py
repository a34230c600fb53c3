"""Values as the oracles see them: types, exact numbers, dates, order. Plain Python, apart from the engine's.

Rules: nothing here comes from the package but MISSING. Numbers are fractions, dates are seconds as fractions, strings
are lists of code points; what differs between languages is in their oracles.
"""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from crdtstore.query.tree import MISSING

KINDS: Final[dict[type, str]] = {
    type(MISSING): "missing",
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    bytes: "binary",
    list: "array",
    dict: "object",
}

RANKS: Final = ("null", "boolean", "number", "string", "binary", "array", "object")
"""Types in the order in which ids have them."""


def kind_of(value: Any) -> str:
    """The name of a value's type."""
    return KINDS[type(value)]


@lru_cache(4_096)
def exact(number: float, is_int: bool) -> Fraction:  # noqa: FBT001  1 and 1.0 are two keys of the cache
    """A number without rounding."""
    return Fraction(number)


def number(value: float) -> Fraction:
    """The same, for either type."""
    return exact(value, isinstance(value, int))


def part_of(value: Any, key: str | int) -> Any:
    """What an object has under a key, or an array at an index."""
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key, MISSING)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return MISSING


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """What a value has at a path."""
    for key in path:
        value = part_of(value, key)
    return value


def is_equal(left: Any, right: Any, *, dates: bool) -> bool:
    """Equality, all the way down; null equals null."""
    kind = kind_of(left)
    if kind != kind_of(right):
        return False
    if kind == "number":
        return number(left) == number(right)
    if kind == "string" and dates and instant(left) is not None and instant(right) is not None:
        return instant(left) == instant(right)
    if kind == "array":
        return len(left) == len(right) and all(is_equal(*pair, dates=dates) for pair in zip(left, right, strict=True))
    if kind == "object":
        return left.keys() == right.keys() and all(is_equal(left[key], right[key], dates=dates) for key in left)
    return bool(left == right)


def is_less(left: Any, right: Any, *, dates: bool) -> bool:
    """Order within a type; nulls and objects have none."""
    kind = kind_of(left)
    if kind != kind_of(right) or kind in ("null", "object"):
        return False
    if kind == "number":
        return number(left) < number(right)
    if kind == "array":
        for one, other in zip(left, right, strict=False):
            if not is_equal(one, other, dates=dates):
                return is_less(one, other, dates=dates)
        return len(left) < len(right)
    if kind == "string":
        first, second = (instant(left), instant(right)) if dates else (None, None)
        if first is not None and second is not None:
            return first < second
        return list(map(ord, left)) < list(map(ord, right))
    return bool(left < right)


DATE_TIME: Final = re.compile(
    r"(\d\d\d\d)-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)((?:\.\d+)?)([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@lru_cache(4_096)
def instant(text: str) -> tuple[Fraction, Fraction] | None:
    """An RFC 3339 date-time of the years 1 to 9999: the second in UTC, and what follows it; 60 is 59 and more."""
    found = DATE_TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        days = date(year, month, day).toordinal()
    except ValueError:
        return None
    offset = found[8]
    ahead = 0 if offset in "Zz" else int(offset[1:3]) * 60 + int(offset[4:6])
    if hour > 23 or minute > 59 or second > 60 or int(offset[1:3] or 0) > 23 or int(offset[4:6] or 0) > 59:
        return None
    minutes = days * 1_440 + hour * 60 + minute + (ahead if offset[0] == "-" else -ahead)
    after = Fraction(f"0{found[7]}") if found[7] else Fraction(0)
    if second < 60:
        return Fraction(minutes * 60 + second), after
    last = date.fromordinal((minutes + 1) // 1_440)
    if (minutes + 1) % 1_440 or last.day != 1:
        return None
    return Fraction(minutes * 60 + 59), after + 1


def id_order(id_: Any) -> Any:
    """What ids sort by: false, true, numbers, strings, objects by their keys in order and what these hold."""
    kind = kind_of(id_)
    rank = RANKS.index(kind)
    if kind == "number":
        return rank, number(id_)
    if kind == "array":
        return rank, tuple(map(id_order, id_))
    if kind == "object":
        return rank, tuple([(key, id_order(id_[key])) for key in sorted(id_)])
    return rank, 0 if id_ is None else id_
