"""As much of a condition as the tree of all query languages can say, with the rules of this language.

Rules: what is said means exactly what `evaluate` computes: the tree is true, false and unknown where the value is
true, false and anything else. Parameters, and whatever else no row changes, are put in as constants. What the tree
cannot say is left to whoever evaluates: a condition as a whole is None then, of an AND only its parts that are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from crdtstore.crdt.value import Value
from crdtstore.query import tree
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.expression import (
    Aggregate,
    Array,
    Between,
    Call,
    Compare,
    Expression,
    Field,
    In,
    Is,
    Like,
    Logic,
    Not,
    Quantified,
    children,
)
from crdtstore.query.dql.patterns import contains_pattern, like_pattern, regular_pattern, similar_pattern
from crdtstore.query.dql.values import truth
from crdtstore.query.pattern import compile_pattern
from crdtstore.query.tree import DQL, MISSING, Node

UNKNOWN: Final = tree.Compare("==", tree.Literal(None), tree.Literal(True), DQL)
HELD: Final = tree.Comparison(missing="false", null="value", mixed="unequal", dates_are_instants=False)
"""What `array_contains` compares with: it is true or false for everything."""

TYPE_TESTS: Final[dict[str, tuple[tree.TypeName, ...]]] = {
    "is_boolean": ("boolean",),
    "is_number": ("number",),
    "is_string": ("string",),
    "ismissingornull": ("missing", "null"),
}
TEXT_TESTS: Final = frozenset({"contains", "ends_with", "regexp_like", "starts_with"})


class Split(NamedTuple):
    """A condition in two: what the tree says of it, and the parts of its AND that are left to be evaluated."""

    node: Node
    rest: tuple[Expression, ...]


class Place(NamedTuple):
    """Where an expression stands: what its paths are about."""

    context: Context
    alias: str | None
    variable: str | None = None
    """Inside ANY and EVERY, the name of the item, of which alone something can be said there."""


def split_condition(expression: Expression | None, context: Context, alias: str | None = None) -> Split:
    """Say what can be said of a condition.

    Args:
        expression: What stands behind WHERE; None where nothing does.
        context: Parameters and the clock of the statement.
        alias: The name by which paths may begin with the document itself.

    Raises:
        MalformedRequest: A parameter was not provided.
        InvalidValue: A pattern that cannot be compiled.
        StoreError: A regular expression, and RE2 is not installed.
    """
    said: list[Node] = []
    rest: list[Expression] = []
    for part in parts_of(expression):
        node = to_condition(part, context, alias)
        if node is None:
            rest.append(part)
        elif node != tree.Literal(True):
            said.append(node)
    return Split(join_all(said), tuple(rest))


def join_all(nodes: list[Node]) -> Node:
    """All of them, as one condition."""
    if not nodes:
        return tree.Literal(True)
    return nodes[0] if len(nodes) == 1 else tree.And(tuple(nodes))


def parts_of(expression: Expression | None) -> Iterator[Expression]:
    """The operands of the ANDs at the top."""
    if isinstance(expression, Logic) and expression.operator == "and":
        for operand in expression.operands:
            yield from parts_of(operand)
    elif expression is not None:
        yield expression


def to_condition(expression: Expression, context: Context, alias: str | None = None) -> Node | None:
    """Say a whole condition, None where the tree cannot.

    Raises:
        MalformedRequest: A parameter was not provided.
        InvalidValue: A pattern that cannot be compiled.
        StoreError: A regular expression, and RE2 is not installed.
    """
    return say(expression, Place(context, alias))


def say(expression: Expression, place: Place) -> Node | None:
    """Say a condition, whatever it is."""
    if is_constant(expression):
        held = truth(compile_expression(expression, place.context)({}))
        return tree.Literal(held) if held.__class__ is bool else UNKNOWN
    match expression:
        case Field():
            field = say_value(expression, place)
            return None if field is None else tree.Compare("==", field, tree.Literal(True), DQL)
        case Not(operand):
            inner = say(operand, place)
            return None if inner is None else tree.Not(inner)
        case Logic():
            return say_logic(expression, place)
        case Compare(operator, left, right):
            return say_compare(operator, left, right, place)
        case Between(operand, least, greatest):
            low, high = say_compare("<=", least, operand, place), say_compare("<=", operand, greatest, place)
            return None if low is None or high is None else tree.And((low, high))
        case In(item, array):
            return say_contains(array, item, DQL, place)
        case Is(Field() as operand, what):
            field = say_value(operand, place)
            return None if field is None else tree.IsType(field, (what,))
        case Like():
            return say_like(expression, place)
        case Quantified():
            return say_quantified(expression, place)
        case Call():
            return say_call(expression, place)
    return None


def say_logic(logic: Logic, place: Place) -> Node | None:
    """AND, OR, and XOR as two conditions that differ."""
    operands = [say(operand, place) for operand in logic.operands]
    said = tuple(operand for operand in operands if operand is not None)
    if len(said) < len(operands):
        return None
    if logic.operator == "and":
        return tree.And(said)
    return tree.Or(said) if logic.operator == "or" else differing(said)


def differing(nodes: tuple[Node, ...]) -> Node:
    """Conditions of which an odd number is true, by halves so that nothing grows deep."""
    if len(nodes) == 1:
        return nodes[0]
    half = len(nodes) // 2
    return tree.Compare("!=", differing(nodes[:half]), differing(nodes[half:]), DQL)


def say_compare(operator: tree.Operator, left: Expression, right: Expression, place: Place) -> Node | None:
    """One value against another."""
    one, other = say_value(left, place), say_value(right, place)
    return None if one is None or other is None else tree.Compare(operator, one, other, DQL)


def say_contains(array: Expression, item: Expression, comparison: tree.Comparison, place: Place) -> Node | None:
    """An item of an array."""
    held, wanted = say_value(array, place), say_value(item, place)
    return None if held is None or wanted is None else tree.Contains(held, wanted, comparison)


def say_like(like: Like, place: Place) -> Node | None:
    """A text against a pattern that is known."""
    text, pattern = say_value(like.text, place), known_text(like.pattern, place)
    if text is None or pattern is None:
        return None
    if like.operator != "similar":
        return tree.Call(like.operator, (text, tree.Literal(like_pattern(pattern))), "unknown")
    return say_regex(text, similar_pattern(pattern))


def say_regex(text: Node, pattern: str) -> Node:
    """A text against a regular expression."""
    compile_pattern(pattern)
    return tree.Call("regex", (text, tree.Literal(pattern)), "unknown")


def say_call(call: Call, place: Place) -> Node | None:
    """The functions that the tree has too."""
    name, arguments = call.function, call.arguments
    if name in TYPE_TESTS:
        field = say_value(arguments[0], place)
        return None if field is None else tree.IsType(field, TYPE_TESTS[name])
    if name == "array_contains":
        return say_contains(arguments[0], arguments[1], HELD, place)
    if name == "array_contains_null":
        array = say_value(arguments[0], place)
        return None if array is None else tree.Contains(array, tree.Literal(None), HELD)
    if name not in TEXT_TESTS:
        return None
    text, known = say_value(arguments[0], place), [known_text(argument, place) for argument in arguments[1:]]
    if text is None or None in known:
        return None
    texts = [part for part in known if part is not None]
    if name == "regexp_like":
        return say_regex(text, regular_pattern(*texts))
    if name == "contains":
        return tree.Call("like", (text, tree.Literal(contains_pattern(texts[0]))), "unknown")
    return tree.Call(name, (text, tree.Literal(texts[0])), "unknown")


def say_quantified(quantified: Quantified, place: Place) -> Node | None:
    """ANY and EVERY over an array of the document; what is no array has none."""
    array = say_value(quantified.array, place)
    inner = say(quantified.condition, Place(place.context, None, quantified.variable))
    if not isinstance(array, tree.Field) or inner is None:
        return None
    is_array = tree.IsType(array, ("array",))
    if quantified.quantifier == "any":
        return tree.And((is_array, tree.Some(array.path, inner)))
    return tree.And((is_array, tree.Not(tree.Some(array.path, tree.Not(inner)))))


# --- values ---


def say_value(expression: Expression, place: Place) -> Node | None:
    """Say a value: a constant, a field, or an array of them."""
    if is_constant(expression):
        value = compile_expression(expression, place.context)({})
        return None if value is MISSING else tree.Literal(value)
    match expression:
        case Field(path):
            return say_field(path, place)
        case Array(items):
            said = [say_value(item, place) for item in items]
            nodes = tuple(item for item in said if item is not None)
            return tree.ArrayLiteral(nodes) if len(nodes) == len(said) else None
    return None


def say_field(path: tree.Path, place: Place) -> tree.Field | None:
    """Say a path: of the item inside of ANY and EVERY, else of the document."""
    if place.variable is not None:
        return tree.Field(path[1:]) if path[0] == place.variable else None
    if path[0] == place.alias:
        # The document as a whole is no field of it.
        return tree.Field(path[1:]) if len(path) > 1 else None
    return tree.Field(path)


def known_text(expression: Expression, place: Place) -> str | None:
    """The string that an expression is for every row."""
    if not is_constant(expression):
        return None
    value: Value = compile_expression(expression, place.context)({})
    return value if isinstance(value, str) else None


def is_constant(expression: Expression) -> bool:
    """Whether no row changes it."""
    if isinstance(expression, Field | Aggregate):
        return False
    nodes: tuple[Any, ...] = children(expression)
    return all(map(is_constant, nodes))
