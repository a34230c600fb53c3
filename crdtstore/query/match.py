"""A tree made into a function: does this document match? Closures, one for each node, built once per query.

Rules: what an operator means is read from its node and decided while the closures are built, not for each
document. A closure never raises for a value of the value model; it gives True, False, or None for unknown. Constants
are prepared once, and constant arrays become sets.

Compiled twin: `ext/evaluate.pxi`, which runs the program of a tree (`program`) on document bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import NoneType
from typing import Protocol, TypeAlias, assert_never

from crdtstore.crdt.field import step_into
from crdtstore.crdt.spread import spread
from crdtstore.crdt.value import Value
from crdtstore.query.instant import parse_instant
from crdtstore.query.pattern import compile_like, compile_pattern
from crdtstore.query.relation import (
    MIRRORED,
    MIXED,
    TESTS,
    TYPES,
    Relation,
    Verdict,
    classes_of,
    compile_relation,
    identity,
    null_if_missing,
)
from crdtstore.query.tree import (
    MISSING,
    And,
    ArrayLiteral,
    Call,
    Compare,
    Comparison,
    Conflicted,
    Contains,
    Field,
    IsType,
    Literal,
    Missing,
    Node,
    Not,
    Operator,
    Or,
    Parameter,
    Path,
    Some,
    Truth,
)


class Lookup(Protocol):
    """How a query reads one document."""

    def __call__(self, path: Path, /) -> Value:
        """The value at a path, or MISSING; the path's first segment `_id` is the id."""

    def conflicted(self, path: Path, /) -> bool:
        """Whether more than one value lives at a path; for the empty path, anywhere."""


Predicate: TypeAlias = Callable[[Lookup], Verdict]
Getter: TypeAlias = Callable[[Lookup], Value]


def compile_match(node: Node) -> Predicate:
    """Make the test that tells whether a document matches: it does where the test gives True.

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
            return compile_not(compile_match(operand))
        case Truth(operand):
            return over_values(operand, is_true)
        case IsType(operand, types):
            return over_values(operand, lambda value: TYPES[value.__class__] in types)
        case Compare():
            return compile_compare(node)
        case Contains():
            return compile_contains(node)
        case Call():
            return compile_call(node)
        case Some():
            return compile_some(node)
        case Conflicted(path):
            return lambda lookup: lookup.conflicted(path)
        case Literal() | Parameter() | Field() | ArrayLiteral():
            raise TypeError(f"A query's condition is a value without a Truth around it: {node!r}.")
    assert_never(node)


def compile_value(node: Node) -> Getter:
    """Make the function that gives a node's value for a document, MISSING included; unknown as a value is null."""
    match node:
        case Literal(value):
            return lambda _: value
        case Field(path):
            return lambda lookup: lookup(path)
        case ArrayLiteral(items):
            getters = tuple(map(compile_value, items))
            return lambda lookup: [null_if_missing(get(lookup)) for get in getters]
        case Parameter(name):
            raise TypeError(f"The parameter {name} was not bound.")
    return compile_match(node)


def compile_and(tests: tuple[Predicate, ...]) -> Predicate:
    """False when one is, asked in the order written."""

    def test_all(lookup: Lookup) -> Verdict:
        result: Verdict = True
        for test in tests:
            verdict = test(lookup)
            if not verdict:
                if verdict is False:
                    return False
                result = None
        return result

    return test_all


def compile_or(tests: tuple[Predicate, ...]) -> Predicate:
    """True when one is, asked in the order written."""
    return lambda lookup: any_of(test(lookup) for test in tests)


def any_of(verdicts: Iterator[Verdict]) -> Verdict:
    """True when one is, else unknown when one is, else false."""
    result: Verdict = False
    for verdict in verdicts:
        if verdict:
            return True
        if verdict is None:
            result = None
    return result


def compile_not(test: Predicate) -> Predicate:
    """True for false, false for true."""

    def negate(lookup: Lookup) -> Verdict:
        verdict = test(lookup)
        return None if verdict is None else not verdict

    return negate


def compile_some(node: Some) -> Predicate:
    """Or over the items of an array or the values of an object, each a document of its own."""
    path, test = node.path, compile_match(node.operand)

    def test_some(lookup: Lookup) -> Verdict:
        value = lookup(path)
        items = value.values() if value.__class__ is dict else value if value.__class__ is list else ()
        return any_of(test(lookup_in(item)) for item in items)

    return test_some


def is_true(value: Value) -> bool:
    """A value as a condition: see `Truth`."""
    if value is MISSING or value is None:
        return False
    return bool(value) if isinstance(value, bool | int | float | str) else True


# --- fields that are spread ---


def is_spread(node: Node) -> bool:
    """Whether a node stands for several values."""
    return isinstance(node, Field) and node.spread


def compile_values(node: Node) -> Callable[[Lookup], list[Value]]:
    """Make the function that gives all values of a node, at least one."""
    if isinstance(node, Field) and node.spread:
        path = node.path
        return lambda lookup: spread(lookup, path) or [MISSING]
    get = compile_value(node)
    return lambda lookup: [get(lookup)]


def over_values(node: Node, test: Callable[[Value], Verdict]) -> Predicate:
    """A test of one value as a test of a document: Or over the values of a node that is spread."""
    if is_spread(node):
        get_all = compile_values(node)
        return lambda lookup: any_of(test(value) for value in get_all(lookup))
    get = compile_value(node)
    return lambda lookup: test(get(lookup))


def over_pairs(left: Node, right: Node, relation: Relation) -> Predicate:
    """A relation of two values as a test of a document."""
    if is_spread(left) or is_spread(right):
        lefts, rights = compile_values(left), compile_values(right)
        return lambda lookup: any_of(relation(one, other) for one in lefts(lookup) for other in rights(lookup))
    get, get_other = compile_value(left), compile_value(right)
    return lambda lookup: relation(get(lookup), get_other(lookup))


# --- conditions of values ---


def compile_compare(node: Compare) -> Predicate:
    """Make a comparison; of a field that is not spread with a scalar constant, as in most queries, a short one."""
    left, right, operation = node.left, node.right, node.operator
    if isinstance(left, Literal):
        left, right, operation = right, left, MIRRORED[operation]
    scalar = isinstance(right, Literal) and isinstance(right.value, bool | int | float | str | bytes)
    if scalar and isinstance(right, Literal) and not is_spread(left):
        return compare_constant(compile_value(left), operation, right.value, node.comparison)
    return over_pairs(left, right, compile_relation(operation, node.comparison))


def compare_constant(get: Getter, operation: Operator, constant: Value, comparison: Comparison) -> Predicate:
    """Make a comparison with a scalar other than null: only values of its type are equal or ordered to it."""
    test, classes = TESTS[operation], classes_of(constant)
    mixed = MIXED[comparison.mixed, operation == "!="]
    other = {
        Missing: {"null": mixed, "false": False, "unknown": None}[comparison.missing],
        NoneType: mixed if comparison.null == "value" else None,
    }
    if comparison.missing == "null" and comparison.null == "unknown":
        other[Missing] = None
    instant = parse_instant(constant) if comparison.dates_are_instants and isinstance(constant, str) else None

    def compare_plain(lookup: Lookup) -> Verdict:
        value = get(lookup)
        if value.__class__ in classes:
            return test(value, constant)
        return other.get(value.__class__, mixed)

    def compare_date(lookup: Lookup) -> Verdict:
        value = get(lookup)
        if value.__class__ is str:
            found = parse_instant(value)
            return test(value, constant) if found is None else test(found, instant)
        return other.get(value.__class__, mixed)

    return compare_plain if instant is None else compare_date


def compile_contains(node: Contains) -> Predicate:
    """Make the test for an item; a constant array becomes a set of identities, however many ids it lists."""
    relation = compile_relation("==", node.comparison)
    no_array: Verdict = None if node.comparison.mixed == "unknown" else False
    if isinstance(node.array, Literal) and isinstance(node.array.value, list) and is_plain(node.comparison):
        dates = node.comparison.dates_are_instants
        known = frozenset(identity(item, dates=dates) for item in node.array.value)
        absent = node.comparison.missing == "false"
        return over_values(
            node.item, lambda item: not (absent and item is MISSING) and identity(item, dates=dates) in known
        )

    def contains(item: Value, array: Value) -> Verdict:
        if array.__class__ is not list:
            return no_array
        return any_of(relation(item, each) for each in array)

    return over_pairs(node.item, node.array, contains)


def is_plain(comparison: Comparison) -> bool:
    """Whether equality by a comparison is equality of identities, apart from missing operands."""
    return comparison.missing != "unknown" and comparison.null == "value" and comparison.mixed != "unknown"


def compile_call(node: Call) -> Predicate:
    """Make a function of two strings."""
    test = string_test(node)
    otherwise: Verdict = None if node.otherwise == "unknown" else False

    def call(text: Value, other: Value) -> Verdict:
        if text.__class__ is str and other.__class__ is str:
            return test(text, other)
        return otherwise

    left, right = node.arguments
    return over_pairs(left, right, call)


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
        case "like" | "ilike" as name, Literal(str() as pattern):
            fits = compile_like(pattern, folded=name == "ilike")
            return lambda text, _: fits(text)
    raise TypeError(f"There is no function {node.function} with these arguments.")


# --- lookups ---


class ValueLookup:
    """The lookup of a plain value, in which nothing is conflicted."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    def __call__(self, path: Path) -> Value:
        """The value at a path below."""
        value = self.value
        for segment in path:
            value = step_into(value, segment)
        return value

    def conflicted(self, path: Path) -> bool:  # noqa: ARG002  a value has no rivals
        """No value has rivals inside of it."""
        return False


def lookup_in(document: Value) -> Lookup:
    """Make the lookup of a plain value.

    Args:
        document: An object with all fields, `_id` among them; or an item of Some.
    """
    return ValueLookup(document)
