"""A relation is what one of the six operators says of two values, by the rules of one language.

Rules: `identity` is the one definition of equality: two values are equal exactly when their identities are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from types import NoneType
from typing import Any, Final, TypeAlias

from crdtstore.crdt.value import Value
from crdtstore.query.instant import parse_instant
from crdtstore.query.tree import MISSING, Comparison, Missing, Operator, TypeName

Verdict: TypeAlias = bool | None
"""True, false or unknown."""

Relation: TypeAlias = Callable[[Value, Value], Verdict]

NUMBER: Final[TypeName] = "number"
TYPES: Final[dict[type[Any], TypeName]] = {
    Missing: "missing",
    NoneType: "null",
    bool: "boolean",
    int: NUMBER,
    float: NUMBER,
    str: "string",
    bytes: "binary",
    list: "array",
    dict: "object",
}
"""Type of the value model for each class."""

KINDS: Final[dict[type[Any], TypeName]] = {**TYPES, Missing: "null"}
"""The same for comparing: a missing operand that counts at all counts as null."""

MIXED: Final[dict[tuple[str, bool], Verdict]] = {
    ("unequal", True): True,
    ("unequal", False): False,
    ("false", True): False,
    ("false", False): False,
    ("unknown", True): None,
    ("unknown", False): None,
}
"""What comparing two types gives: by the rule, and whether the operator is `!=`."""

TESTS: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""Python's operators compare integers with doubles exactly, and strings by code point, as the tree asks."""

MIRRORED: Final[dict[Operator, Operator]] = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}


def classes_of(value: Value) -> frozenset[type]:
    """The classes of the values that are of this value's type."""
    return frozenset({cls for cls, kind in TYPES.items() if kind == TYPES[value.__class__]})


def compile_relation(operation: Operator, comparison: Comparison) -> Relation:
    """Make one of the six operators between any two values."""
    dates = comparison.dates_are_instants

    def relate(left: Value, right: Value) -> Verdict:
        if left is MISSING or right is MISSING:
            if comparison.missing != "null":
                return None if comparison.missing == "unknown" else False
            left, right = null_if_missing(left), null_if_missing(right)
        if comparison.null == "unknown" and (left is None or right is None):
            return None
        if TYPES[left.__class__] != TYPES[right.__class__]:
            return MIXED[comparison.mixed, operation == "!="]
        if operation in (">", ">="):
            left, right = right, left
        if operation in ("<", ">"):
            return is_less(left, right, dates=dates)
        equal = identity(left, dates=dates) == identity(right, dates=dates)
        if operation == "!=":
            return not equal
        return equal or (operation != "==" and is_less(left, right, dates=dates))

    return relate


def identity(value: Value, *, dates: bool) -> Hashable:
    """What two values share exactly when they are equal; MISSING has null's.

    Numbers, strings and null are their own; Python hashes and compares equal integers and doubles alike.
    Booleans and binary are marked, since Python takes True for 1, and warns when b"a" meets "a".
    """
    kind = KINDS[value.__class__]
    if kind == "array":
        return ("array", *[identity(item, dates=dates) for item in value])
    if kind == "object":
        return ("object", frozenset((key, identity(item, dates=dates)) for key, item in value.items()))
    if kind in ("boolean", "binary"):
        return (kind, value)
    if kind == "null":
        return None
    instant = parse_instant(value) if dates and kind == "string" else None
    result: Hashable = value if instant is None else ("instant", instant)
    return result


def is_less(left: Value, right: Value, *, dates: bool) -> bool:
    """Whether one value comes before another; false for two types, nulls and objects, which have no order."""
    kind = KINDS[left.__class__]
    if kind != KINDS[right.__class__] or kind in ("null", "object"):
        return False
    if kind == "array":
        return is_less_array(left, right, dates=dates)
    if kind == "string" and dates:
        first, second = parse_instant(left), parse_instant(right)
        if first is not None and second is not None:
            return first < second
    return bool(left < right)


def is_less_array(left: list[Value], right: list[Value], *, dates: bool) -> bool:
    """The first items that differ decide; where there are none, the length does."""
    for one, other in zip(left, right, strict=False):
        if identity(one, dates=dates) != identity(other, dates=dates):
            return is_less(one, other, dates=dates)
    return len(left) < len(right)


# --- functions ---


def null_if_missing(value: Value) -> Value:
    """The value as it can stand in an array."""
    return None if value is MISSING else value
