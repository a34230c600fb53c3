"""The query semantics a second time, as slow and plain as the page that describes them: the oracle.

Written from docs/query-legacy.md and the tree's docstrings, apart from the engine: it shares no code with
it, uses fractions for numbers and datetimes for dates, and looks at every value anew. Regular expressions
use `re`, on patterns that mean the same there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

from crdtstore.query import tree

MISSING = tree.MISSING


def matches(node: tree.Node, document: dict[str, Any]) -> bool:
    """Whether a document (its id under `_id`) is one that the query looks for."""
    result = evaluate(node, document)
    assert isinstance(result, bool), f"{node} is no condition"
    return result


def evaluate(node: tree.Node, document: dict[str, Any]) -> Any:
    """The value of a node, MISSING included."""
    if isinstance(node, tree.Literal):
        return node.value
    if isinstance(node, tree.Field):
        return walk(document, node.path)
    if isinstance(node, tree.ArrayLiteral):
        items = [evaluate(item, document) for item in node.items]
        return [None if item is MISSING else item for item in items]
    if isinstance(node, tree.And):
        return not any(evaluate(operand, document) is False for operand in node.operands)
    if isinstance(node, tree.Or):
        return any(evaluate(operand, document) is True for operand in node.operands)
    if isinstance(node, tree.Not):
        return evaluate(node.operand, document) is False
    if isinstance(node, tree.Truth):
        return is_true(evaluate(node.operand, document))
    if isinstance(node, tree.Compare):
        left, right = evaluate(node.left, document), evaluate(node.right, document)
        return compare(node.operator, left, right, node.comparison)
    if isinstance(node, tree.Contains):
        array, item = evaluate(node.array, document), evaluate(node.item, document)
        if type_of(array) != "array":
            return False
        return any(compare("==", each, item, node.comparison) for each in array)
    assert isinstance(node, tree.Call), f"{node} is of another language"
    return call(node, document)


def walk(value: Any, path: tuple[str | int, ...]) -> Any:
    """Follow a path through objects and arrays."""
    for segment in path:
        keys = value.keys() if isinstance(value, dict) else ()
        indexes = range(len(value)) if isinstance(value, list) else ()
        if segment not in (keys if isinstance(segment, str) else indexes):
            return MISSING
        value = value[segment]
    return value


def is_true(value: Any) -> bool:
    """A value as a condition."""
    kind = type_of(value)
    if kind in ("missing", "null"):
        return False
    if kind == "boolean":
        return value is True
    if kind == "number":
        return Fraction(value) != 0
    return value != "" if kind == "string" else True


def type_of(value: Any) -> str:
    """The type's name in the value model."""
    if value is None or value is MISSING:
        return "null" if value is None else "missing"
    names = {"bool": "boolean", "int": "number", "float": "number", "str": "string", "bytes": "binary"}
    return names.get(type(value).__name__) or {"list": "array", "dict": "object"}[type(value).__name__]


def compare(operator: str, left: Any, right: Any, rules: tree.Comparison) -> bool | None:
    """One of the six operators between two values; None where it is unknown."""
    if left is MISSING or right is MISSING:
        if rules.missing == "unknown":
            return None
        if rules.missing == "false":
            return False
    left = None if left is MISSING else left
    right = None if right is MISSING else right
    if rules.null == "unknown" and "null" in (type_of(left), type_of(right)):
        return None
    if type_of(left) != type_of(right):
        return None if rules.mixed == "unknown" else operator == "!=" and rules.mixed == "unequal"
    if operator == "==":
        return is_equal(left, right, rules)
    if operator == "!=":
        return not is_equal(left, right, rules)
    if operator in (">", ">="):
        left, right = right, left
    strictly = is_less(left, right, rules)
    return strictly if operator in ("<", ">") else strictly or is_equal(left, right, rules)


def is_equal(left: Any, right: Any, rules: tree.Comparison) -> bool:
    """Equality, all the way down."""
    if type_of(left) != type_of(right):
        return False
    kind = type_of(left)
    if kind == "null":
        return True
    if kind == "number":
        return Fraction(left) == Fraction(right)
    if kind == "string" and rules.dates_are_instants and instant(left) is not None and instant(right) is not None:
        return instant(left) == instant(right)
    if kind == "array":
        same = [is_equal(one, other, rules) for one, other in zip(left, right, strict=False)]
        return len(left) == len(right) and all(same)
    if kind == "object":
        return left.keys() == right.keys() and all(is_equal(left[key], right[key], rules) for key in left)
    return bool(left == right)


def is_less(left: Any, right: Any, rules: tree.Comparison) -> bool:
    """Order; values of different types, nulls and objects have none."""
    kind = type_of(left)
    if kind != type_of(right) or kind in ("null", "object"):
        return False
    if kind == "number":
        return Fraction(left) < Fraction(right)
    if kind == "string":
        first, second = instant(left), instant(right)
        if rules.dates_are_instants and first is not None and second is not None:
            return first < second
        return [ord(character) for character in left] < [ord(character) for character in right]
    if kind == "array":
        for one, other in zip(left, right, strict=False):
            if not is_equal(one, other, rules):
                return is_less(one, other, rules)
        return len(left) < len(right)
    return bool(left < right)


def instant(text: str) -> tuple[datetime, Fraction] | None:
    """An RFC 3339 date-time: the second in UTC, and the time since; in a leap second 59 goes on."""
    shape = r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})"
    found = re.fullmatch(shape, text, re.ASCII)
    if found is None:
        return None
    date, minute, second, fraction, offset = found.groups()
    leap = second == "60"
    try:
        local = datetime.fromisoformat(f"{date}T{minute}:{'59' if leap else second}")
        hours, minutes = (0, 0) if offset in "Zz" else (int(offset[1:3]), int(offset[4:6]))
        if hours > 23 or minutes > 59 or minute > "23:59":
            return None
        ahead = timedelta(hours=hours, minutes=minutes) * (-1 if offset[0] == "-" else 1)
        at = local.replace(tzinfo=timezone(ahead)).astimezone(UTC)
    except ValueError:
        return None
    after = Fraction("0" + fraction) if fraction else Fraction(0)
    if leap:
        following = at + timedelta(seconds=1)
        if (following.day, following.hour, following.minute, following.second) != (1, 0, 0, 0):
            return None
        after += 1
    return at, after


def call(node: tree.Call, document: dict[str, Any]) -> bool:
    """A function of two strings."""
    text, other = (evaluate(argument, document) for argument in node.arguments)
    if type_of(text) != "string" or type_of(other) != "string":
        return False
    if node.function == "starts_with":
        return bool(text[: len(other)] == other)
    if node.function == "ends_with":
        return bool(other == "" or text[-len(other) :] == other)
    assert node.function == "regex"
    return re.search(other.replace("$", r"\Z"), text) is not None
