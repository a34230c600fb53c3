"""Bounds are the ranges of value keys in which a document that matches must have its value at one path.

Rules: bounds may hold more than what matches, never less: whoever reads by them asks the condition all the same,
unless they are exact. `None` says that the condition tells nothing about the path. Ranges are half-open, sorted and
do not touch. What a condition on a spread field says is true of one of the values, so bounds of two such conditions
are not intersected: each may be met by another value. Dates that compare as instants lie within a day of their text.

Value keys: `crdt/value_key.py`. Property: `tests/query/test_bounds.py`. Not here: which index is read; see `plan`.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.crdt.identifier import ARRAY, BINARY, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE
from crdtstore.crdt.value_key import value_key
from crdtstore.query.instant import parse_instant
from crdtstore.query.relation import MIRRORED, TYPES
from crdtstore.query.tree import (
    And,
    Call,
    Compare,
    Comparison,
    Contains,
    Field,
    IsType,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Path,
    Truth,
    TypeName,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crdtstore.crdt.value import Value

KEY_END: Final = b"\xff"
"""Behind every value key."""


TYPE_TAGS: Final[dict[TypeName, tuple[int, int]]] = {
    "missing": (0, 0),
    "null": (NULL, NULL),
    "boolean": (FALSE, TRUE),
    "number": (NUMBER, NUMBER),
    "string": (STRING, STRING),
    "binary": (BINARY, BINARY),
    "array": (ARRAY, ARRAY),
    "object": (OBJECT, OBJECT),
}
"""The first and the last tag of each type's keys."""

NUMBER_KEY_BYTES: Final = 11


class Range(NamedTuple):
    """Value keys from `start` to before `end`."""

    start: bytes
    end: bytes


class Bounds(NamedTuple):
    """The ranges, sorted and apart; exact: what lies in them matches. Spread: of any value that the path finds."""

    ranges: tuple[Range, ...]
    exact: bool
    spread: bool


def behind(prefix: bytes) -> bytes:
    """The lowest key behind all that begin with a prefix."""
    cut = prefix.rstrip(b"\xff")
    return cut[:-1] + bytes([cut[-1] + 1]) if cut else KEY_END


def point(key: bytes) -> Range:
    """The range of one value key; no key is the beginning of another."""
    return Range(key, behind(key))


def type_range(name: TypeName) -> Range:
    """All keys of a type."""
    first, last = TYPE_TAGS[name]
    return Range(bytes([first]), bytes([last + 1]))


EVERYTHING: Final = (Range(b"", KEY_END),)


def union(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same keys as sorted ranges that do not touch."""
    merged: list[Range] = []
    for each in sorted(ranges):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Range(merged[-1].start, max(merged[-1].end, each.end))
        elif each.start < each.end:
            merged.append(each)
    return tuple(merged)


def intersect(ours: Sequence[Range], theirs: Sequence[Range]) -> tuple[Range, ...]:
    """The keys that lie in both."""
    found = (Range(max(one.start, other.start), min(one.end, other.end)) for one in ours for other in theirs)
    return union(each for each in found if each.start < each.end)


def complement(ranges: Sequence[Range]) -> tuple[Range, ...]:
    """All other keys."""
    starts = [b"", *[each.end for each in ranges]]
    ends = [*[each.start for each in ranges], KEY_END]
    return union(Range(start, end) for start, end in zip(starts, ends, strict=True) if start < end)


def bounds_of(node: Node, path: Path) -> Bounds | None:
    """What a condition tells about the value at a path.

    Args:
        node: The condition.
        path: As a field that is not `_id` names it.
    """
    match node:
        case Literal(False):
            return Bounds((), exact=True, spread=False)
        case And(operands):
            return bounds_of_all(operands, path)
        case Or(operands):
            return bounds_of_any(operands, path)
        case Not(operand):
            inner = bounds_of(operand, path)
            if inner is None or not inner.exact or inner.spread:
                return None
            return Bounds(complement(inner.ranges), exact=is_two_valued(operand), spread=False)
        case _:
            return bounds_of_condition(node, path)


def bounds_of_all(operands: Sequence[Node], path: Path) -> Bounds | None:
    """Of several conditions that all hold."""
    known = [bounds_of(operand, path) for operand in operands]
    told = [bounds for bounds in known if bounds is not None]
    plain = [bounds for bounds in told if not bounds.spread]
    if not plain:
        # Any of them will do: take the one with the narrowest look.
        chosen = min(told, key=lambda bounds: (not is_points(bounds.ranges), len(bounds.ranges)), default=None)
        return chosen._replace(exact=len(operands) == 1 and chosen.exact) if chosen else None
    ranges: tuple[Range, ...] = EVERYTHING
    for bounds in plain:
        ranges = intersect(ranges, bounds.ranges)
    exact = len(plain) == len(known) and all(bounds.exact for bounds in plain)
    return Bounds(ranges, exact, spread=False)


def bounds_of_any(operands: Sequence[Node], path: Path) -> Bounds | None:
    """Of several conditions of which one holds; None when one of them tells nothing."""
    known: list[Bounds] = []
    for operand in operands:
        bounds = bounds_of(operand, path)
        if bounds is None:
            return None
        known.append(bounds)
    ranges = union(each for bounds in known for each in bounds.ranges)
    # What lies in the ranges of a plain field must be its own value, not an item's.
    alike = len({bounds.spread for bounds in known}) <= 1
    exact = alike and all(bounds.exact for bounds in known)
    return Bounds(ranges, exact, spread=any(bounds.spread for bounds in known))


def is_points(ranges: Sequence[Range]) -> bool:
    """Whether each range holds one value key; an array's does not count."""
    return all(is_scalar_key(each.start) and each.end == behind(each.start) for each in ranges)


def is_scalar_key(key: bytes) -> bool:
    """Whether these bytes are the whole key of a value that is no array."""
    if key[:1] == bytes([NUMBER]):
        return len(key) == NUMBER_KEY_BYTES
    if key[:1] in {bytes([STRING]), bytes([BINARY])}:
        return key.find(0) == len(key) - 1
    return len(key) == 1 and key != bytes([ARRAY])


def is_two_valued(node: Node) -> bool:
    """Whether a condition is never unknown."""
    match node:
        case Compare(_, _, _, comparison) | Contains(_, _, comparison):
            return "unknown" not in (comparison.missing, comparison.null, comparison.mixed)
        case Call(_, _, otherwise):
            return otherwise == "false"
        case And(operands) | Or(operands):
            return all(map(is_two_valued, operands))
        case Not(operand):
            return is_two_valued(operand)
    return isinstance(node, Literal | Truth | IsType)


# --- conditions of one field ---


def bounds_of_condition(node: Node, path: Path) -> Bounds | None:
    """Of a condition that is no And, Or or Not."""
    match node:
        case Truth(Field(at, spread)) if at == path:
            return Bounds(TRUTHS, exact=not spread, spread=spread)
        case IsType(Field(at, spread), types) if at == path:
            # A spread field that finds nothing has the value MISSING, as one has that finds only items.
            return Bounds(union(map(type_range, types)), exact=not spread, spread=spread)
        case Compare(operator, Field(at, spread), Literal(value), comparison) if at == path:
            return bounds_of_comparison(operator, value, comparison, spread=spread)
        case Compare(operator, Literal(value), Field(at, spread), comparison) if at == path:
            return bounds_of_comparison(MIRRORED[operator], value, comparison, spread=spread)
        case Contains(Literal(list() as values), Field(at, spread), comparison) if at == path:
            each = [bounds_of_comparison("==", value, comparison, spread=spread) for value in values]
            known = [bounds for bounds in each if bounds is not None]
            ranges = union(found for bounds in known for found in bounds.ranges)
            return Bounds(ranges, all(bounds.exact for bounds in known), spread) if len(known) == len(each) else None
        case Call(function, (Field(at, spread), Literal(str() as pattern))) if at == path:
            return bounds_of_text(function, pattern, spread=spread)
    return None


def bounds_of_text(function: str, pattern: str, *, spread: bool) -> Bounds | None:
    """Of a function of a text."""
    if function == "starts_with":
        start = value_key(pattern)[:-1]
        return Bounds((Range(start, behind(start)),), exact=True, spread=spread)
    if function == "like":
        literal, rest = like_prefix(pattern)
        start = value_key(literal)
        if not rest:
            return Bounds((point(start),), exact=True, spread=spread)
        return Bounds((Range(start[:-1], behind(start[:-1])),), exact=set(rest) == {"*"}, spread=spread)
    return Bounds((type_range("string"),), exact=False, spread=spread)


def like_prefix(pattern: str) -> tuple[str, str]:
    """The characters before the first wildcard of a pattern of `like`, and what follows them."""
    literal = ""
    at = 0
    while at < len(pattern) and pattern[at] not in "*?":
        at += pattern[at] == "\\" and at + 1 < len(pattern)
        literal += pattern[at]
        at += 1
    return literal, pattern[at:]


def bounds_of_comparison(operator: Operator, value: Value, comparison: Comparison, *, spread: bool) -> Bounds | None:
    """Of a field against a constant."""
    if value is None:
        return bounds_of_null(operator, comparison, spread=spread)
    if operator == "!=":
        return None
    kind = TYPES[value.__class__]
    if isinstance(value, list | dict):
        # Objects within have no keys of their own, and items of two types no order.
        known = operator == "==" and isinstance(value, list) and not comparison.dates_are_instants
        return Bounds((point(value_key(value)) if known else type_range(kind),), exact=False, spread=spread)
    if isinstance(value, str) and comparison.dates_are_instants and parse_instant(value) is not None:
        return Bounds((date_range(operator, value),), exact=False, spread=spread)
    return Bounds((range_of(operator, value_key(value), type_range(kind)),), exact=True, spread=spread)


def bounds_of_null(operator: Operator, comparison: Comparison, *, spread: bool) -> Bounds | None:
    """Of a field against null, which nothing is less or greater than."""
    if comparison.null == "unknown" or operator in ("<", ">"):
        return Bounds((), exact=True, spread=spread)
    nulls = [type_range("null")] + ([type_range("missing")] if comparison.missing == "null" else [])
    if operator != "!=":
        return Bounds(union(nulls), exact=not spread, spread=spread)
    if spread or comparison.mixed == "unknown":
        return None
    if comparison.mixed == "false":
        return Bounds((), exact=True, spread=False)
    missing = [] if comparison.missing == "null" else [type_range("missing")]
    return Bounds(complement(union(nulls + missing)), exact=True, spread=False)


def range_of(operator: Operator, key: bytes, whole: Range) -> Range:
    """The keys of a type that stand so to one of them."""
    match operator:
        case "<":
            return Range(whole.start, key)
        case "<=":
            return Range(whole.start, behind(key))
        case ">":
            return Range(behind(key), whole.end)
        case ">=":
            return Range(key, whole.end)
    return point(key)


DATE_CHARACTERS: Final = len("2022-04-29")


def date_range(operator: Operator, text: str) -> Range:
    """The strings that may name an instant that stands so to the one that a text names, or are ordered so to it.

    No offset reaches a day, so the date that a text begins with is within a day of the date in UTC, and two days of
    another text's that names the same instant.
    """
    whole = type_range("string")
    low, high = (shifted(text[:DATE_CHARACTERS], days) for days in (-2, 3))
    key = value_key(text)
    # The keys without their terminator: what a string that begins so has, and all behind it.
    start = min(key, value_key(low)[:-1]) if low else whole.start
    end = max(behind(key), value_key(high)[:-1]) if high else whole.end
    if operator in ("<", "<="):
        return Range(whole.start, end)
    return Range(start, whole.end if operator in (">", ">=") else end)


def shifted(text: str, days: int) -> str | None:
    """A date so many days later; None where the calendar ends."""
    try:
        return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return None


TRUTHS: Final = complement(
    union([type_range("missing"), type_range("null"), *[point(value_key(value)) for value in (False, 0, "")]])
)
"""Where a value counts as true."""
