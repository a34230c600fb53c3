"""A tree made into a function: does this document match? Closures, one for each node, built once per query.

Rules: what an operator means is read from its node and decided while the closures are built, not for each
document. A closure never raises for a value of the value model. `identity` is the one definition of equality:
two values are equal exactly when their identities are, so constants are prepared once and arrays become sets.
Also here: which ids a query can be about (`point_ids`), so that a caller can look documents up instead of
scanning. Plans, indexes, sorting and paging are not.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from types import NoneType
from typing import Any, Final, TypeAlias, assert_never

from crdtstore.crdt.field import step_into
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidId
from crdtstore.query.instant import parse_instant
from crdtstore.query.pattern import compile_pattern
from crdtstore.query.tree import (
    ID_PATH,
    MISSING,
    And,
    ArrayLiteral,
    Call,
    Compare,
    Comparison,
    Contains,
    Field,
    Literal,
    Missing,
    Node,
    Not,
    Operator,
    Or,
    Path,
    Truth,
)

Lookup: TypeAlias = Callable[[Path], Value]
"""Gives a document's value at a path, or MISSING; the path's first segment `_id` is the id."""

Predicate: TypeAlias = Callable[[Lookup], bool]
Getter: TypeAlias = Callable[[Lookup], Value]
Relation: TypeAlias = Callable[[Value, Value], bool]


def compile_match(node: Node) -> Predicate:
    """Make the test that tells whether a document matches.

    Args:
        node: A condition (see `tree`): what a grammar's `parse` gives, or conditions joined by And, Or, Not.

    Raises:
        TypeError: The node is a value; `tree.condition` makes a condition of it.
        StoreError: The query has a regular expression and RE2 is not installed.
    """
    match node:
        case Literal(bool() as value):
            return lambda _: value
        case And(operands):
            return compile_and(tuple(map(compile_match, operands)))
        case Or(operands):
            return compile_or(tuple(map(compile_match, operands)))
        case Not(operand):
            inner = compile_match(operand)
            return lambda lookup: not inner(lookup)
        case Truth(operand):
            get = compile_value(operand)
            return lambda lookup: is_true(get(lookup))
        case Compare():
            return compile_compare(node)
        case Contains():
            return compile_contains(node)
        case Call():
            return compile_call(node)
        case Literal() | Field() | ArrayLiteral():
            raise TypeError(f"A query's condition is a value without a Truth around it: {node!r}.")
    assert_never(node)


def compile_value(node: Node) -> Getter:
    """Make the function that gives a node's value for a document, MISSING included."""
    match node:
        case Literal(value):
            return lambda _: value
        case Field(path):
            return lambda lookup: lookup(path)
        case ArrayLiteral(items):
            getters = tuple(map(compile_value, items))
            return lambda lookup: [null_if_missing(get(lookup)) for get in getters]
    return compile_match(node)


def null_if_missing(value: Value) -> Value:
    """The value as it can stand in an array."""
    return None if value is MISSING else value


def compile_and(tests: tuple[Predicate, ...]) -> Predicate:
    """True when all are, asked in the order written."""

    def test_all(lookup: Lookup) -> bool:
        for test in tests:  # noqa: SIM110 -- a generator for `all` costs half as much again for each document.
            if not test(lookup):
                return False
        return True

    return test_all


def compile_or(tests: tuple[Predicate, ...]) -> Predicate:
    """True when any is, asked in the order written."""

    def test_any(lookup: Lookup) -> bool:
        for test in tests:  # noqa: SIM110 -- as in compile_and.
            if test(lookup):
                return True
        return False

    return test_any


def is_true(value: Value) -> bool:
    """A value as a condition: see `Truth`."""
    if value is MISSING or value is None:
        return False
    return bool(value) if isinstance(value, bool | int | float | str) else True


# --- comparing ---

NUMBER: Final = "number"
KINDS: Final[dict[type[Any], str]] = {
    Missing: "null",
    NoneType: "null",
    bool: "boolean",
    int: NUMBER,
    float: NUMBER,
    str: "string",
    bytes: "binary",
    list: "array",
    dict: "object",
}
"""Type of the value model for each class; a missing operand that counts at all counts as null."""

TESTS: Final[dict[Operator, Relation]] = {
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


def compile_compare(node: Compare) -> Predicate:
    """Make a comparison; against a scalar constant, as in nearly all queries, it has a short way."""
    left, right, operation = node.left, node.right, node.operator
    if isinstance(left, Literal):
        left, right, operation = right, left, MIRRORED[operation]
    get = compile_value(left)
    if isinstance(right, Literal) and isinstance(right.value, bool | int | float | str | bytes):
        return compare_constant(get, operation, right.value, node.comparison)
    get_other, relation = compile_value(right), compile_relation(operation, node.comparison)
    return lambda lookup: relation(get(lookup), get_other(lookup))


def compare_constant(get: Getter, operation: Operator, constant: Value, comparison: Comparison) -> Predicate:
    """Make a comparison with a scalar other than null: only values of its type are equal or ordered to it."""
    test, classes = TESTS[operation], classes_of(constant)
    other_type = operation == "!=" and comparison.types_are_unequal
    missing = other_type and comparison.missing_is_null
    instant = parse_instant(constant) if comparison.dates_are_instants and isinstance(constant, str) else None

    def compare_plain(lookup: Lookup) -> bool:
        value = get(lookup)
        if value.__class__ in classes:
            return test(value, constant)
        return missing if value is MISSING else other_type

    def compare_date(lookup: Lookup) -> bool:
        value = get(lookup)
        if value.__class__ is str:
            found = parse_instant(value)
            return test(value, constant) if found is None else test(found, instant)
        return missing if value is MISSING else other_type

    return compare_plain if instant is None else compare_date


def classes_of(value: Value) -> frozenset[type]:
    """The classes of the values that are of this value's type."""
    return frozenset({cls for cls, kind in KINDS.items() if kind == KINDS[value.__class__]})


def compile_relation(operation: Operator, comparison: Comparison) -> Relation:
    """Make one of the six operators between any two values."""
    dates = comparison.dates_are_instants

    def relate(left: Value, right: Value) -> bool:
        if not comparison.missing_is_null and (left is MISSING or right is MISSING):
            return False
        if KINDS[left.__class__] != KINDS[right.__class__]:
            return operation == "!=" and comparison.types_are_unequal
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


def compile_contains(node: Contains) -> Predicate:
    """Make `contains`: a constant array becomes a set of identities, however many ids it lists."""
    comparison, dates = node.comparison, node.comparison.dates_are_instants
    get_array, get_item = compile_value(node.array), compile_value(node.item)

    def identities(array: Value) -> frozenset[Hashable]:
        items = array if array.__class__ is list else ()
        return frozenset(identity(item, dates=dates) for item in items)

    constant = identities(node.array.value) if isinstance(node.array, Literal) else None

    def contains(lookup: Lookup) -> bool:
        item = get_item(lookup)
        if item is MISSING and not comparison.missing_is_null:
            return False
        known = identities(get_array(lookup)) if constant is None else constant
        return identity(item, dates=dates) in known

    return contains


def compile_call(node: Call) -> Predicate:
    """Make a function of two strings; anything else in their place makes it false."""
    get, get_other = map(compile_value, node.arguments)
    test = string_test(node)

    def call(lookup: Lookup) -> bool:
        text, other = get(lookup), get_other(lookup)
        return text.__class__ is str and other.__class__ is str and test(text, other)

    return call


def string_test(node: Call) -> Callable[[str, str], bool]:
    """The test that a function's name stands for; a pattern is compiled here, once."""
    match node.function, node.arguments[1]:
        case "starts_with", _:
            return str.startswith
        case "ends_with", _:
            return str.endswith
        case "regex", Literal(str() as pattern):
            search = compile_pattern(pattern)
            return lambda text, _: search(text)
    raise TypeError(f"There is no function {node.function} with these arguments.")


# --- lookups ---


def lookup_in(document: Value) -> Lookup:
    """Make the lookup of a plain value.

    Args:
        document: An object with all fields, `_id` among them.
    """

    def lookup(path: Path) -> Value:
        value = document
        for segment in path:
            value = step_into(value, segment)
        return value

    return lookup


def point_ids(node: Node) -> list[Value] | None:
    """The ids that a matching document can have, or None when the query does not tell.

    Recognises `_id == constant`, `contains(constant array, _id)`, any of these in a conjunction and all of
    these in a disjunction. The documents still have to be matched: these are the only ones that can. No id
    is listed twice, and what cannot be an id (null, an array, a text that is too long) is left out.
    Constants that are dates, or hold some, tell nothing where dates compare as instants: ids in other
    spellings would be equal.
    """
    match node:
        case Literal(False):
            return []
        case Compare("==", Field(path), Literal(value)) | Compare("==", Literal(value), Field(path)) if path == ID_PATH:
            return possible_ids([value], node.comparison)
        case Contains(Literal(list() as values), Field(path)) if path == ID_PATH:
            return possible_ids(values, node.comparison)
        case And(operands):
            known = [ids for ids in map(point_ids, operands) if ids is not None]
            return min(known, key=len) if known else None
        case Or(operands):
            return every_id(operands)
    return None


def possible_ids(values: list[Value], comparison: Comparison) -> list[Value] | None:
    """Those of the values that can be ids, each once; None when others could be equal to one of them."""
    ids: dict[bytes, Value] = {}
    for value in values:
        if comparison.dates_are_instants and identity(value, dates=True) != identity(value, dates=False):
            return None
        try:
            ids.setdefault(encode_id(value), value)
        except InvalidId:
            continue
    return list(ids.values())


def every_id(operands: tuple[Node, ...]) -> list[Value] | None:
    """The ids of all alternatives together, each once; None when one of them does not tell."""
    ids: dict[bytes, Value] = {}
    for operand in operands:
        known = point_ids(operand)
        if known is None:
            return None
        ids.update({encode_id(value): value for value in known})
    return list(ids.values())
