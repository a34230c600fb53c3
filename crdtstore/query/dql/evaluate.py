"""An expression made into a function: what is its value for a row? Closures, one for each node, built once.

Rules: a row is an object: a document with its `_id`, or one of several objects under their aliases. What a row does not
have is MISSING. A closure never raises for a value. The results of aggregates are in the row too, each under its own
`Aggregate`. Operators are in `values`, functions in `functions`.

CASE compares by `=`, takes the first branch that is true, and gives null where there is none. ANY is OR over the items
of an array, EVERY is AND; over what is no array both are false.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, assert_never

from crdtstore.crdt.field import step_into
from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidValue, MalformedRequest
from crdtstore.query.dql import messages, values
from crdtstore.query.dql.dates import now
from crdtstore.query.dql.expression import (
    Aggregate,
    Array,
    Between,
    Binary,
    Call,
    Case,
    Compare,
    Expression,
    Field,
    In,
    Is,
    Like,
    Literal,
    Logic,
    Missing,
    Negate,
    Not,
    Object,
    Parameter,
    Quantified,
    Resemblance,
)
from crdtstore.query.dql.functions import call_function
from crdtstore.query.dql.patterns import compile_resemblance, regular_pattern
from crdtstore.query.dql.profile import Profile, version_of
from crdtstore.query.pattern import compile_pattern
from crdtstore.query.relation import TYPES, null_if_missing
from crdtstore.query.rules import EVERYTHING, Rules
from crdtstore.query.tree import MISSING, Path

Row: TypeAlias = Mapping[Any, Value]
Evaluator: TypeAlias = Callable[[Row], Value]

CONNECTED: Final = {"and": values.all_of, "or": values.any_of, "xor": values.one_of_two}


def milliseconds_now() -> int:
    """The time since 1970."""
    return time.time_ns() // 1_000_000


class Context(NamedTuple):
    """What an expression's value depends on besides its row."""

    parameters: Mapping[str, Value]
    clock: Callable[[], int] = milliseconds_now
    """Milliseconds since 1970; whoever runs a statement gives one time for all of it."""

    profile: Profile = "v5"
    rules: Rules = EVERYTHING
    """Which documents the statement sees and may write."""


def evaluate(expression: Expression, row: Row, parameters: Mapping[str, Value] | None = None) -> Value:
    """The value of an expression for one row.

    Raises:
        MalformedRequest: A parameter was not provided.
        InvalidValue: A pattern, written out or given as a parameter, that cannot be compiled.
        StoreError: A regular expression, and RE2 is not installed.
    """
    return compile_expression(expression, Context(parameters or {}))(row)


def compile_expression(expression: Expression, context: Context) -> Evaluator:
    """Make the function that gives an expression's value for a row.

    Raises:
        MalformedRequest: A parameter was not provided.
        InvalidValue: A pattern, written out or given as a parameter, that cannot be compiled.
        StoreError: A regular expression, and RE2 is not installed.
    """
    match expression:
        case Literal() | Missing() | Parameter():
            value = constant(expression, context)
            return lambda _: value
        case Field(path):
            return compile_path(path)
        case Array() | Object():
            return compile_collection(expression, context)
        case Negate(operand):
            get = compile_expression(operand, context)
            return lambda row: values.minus(get(row))
        case Not(operand):
            get = compile_expression(operand, context)
            return lambda row: values.negate_truth(get(row))
        case Binary(operator, left, right):
            get, other = compile_expression(left, context), compile_expression(right, context)
            return lambda row: values.compute(operator, get(row), other(row))
        case Compare(operation, left, right):
            get, other = compile_expression(left, context), compile_expression(right, context)
            compare = values.compile_compare(operation)
            return lambda row: compare(get(row), other(row))
        case Logic(connective, operands):
            gets, join = compile_all(operands, context), CONNECTED[connective]
            return lambda row: join(get(row) for get in gets)
        case In(item, array):
            get, other = compile_expression(item, context), compile_expression(array, context)
            return lambda row: values.is_in(get(row), other(row))
        case Between(operand, least, greatest):
            get, low, high = compile_all((operand, least, greatest), context)
            return lambda row: values.is_between(get(row), low(row), high(row))
        case Like():
            return compile_like(expression, context)
        case Is(operand, what):
            get, wanted = compile_expression(operand, context), None if what == "null" else MISSING
            return lambda row: get(row) is wanted
        case Case():
            return compile_case(expression, context)
        case Quantified():
            return compile_quantified(expression, context)
        case Call():
            return compile_call(expression, context)
        case Aggregate():
            return lambda row: row[expression]
    assert_never(expression)


def compile_all(expressions: tuple[Expression, ...], context: Context) -> tuple[Evaluator, ...]:
    """Make the functions of several expressions."""
    return tuple(compile_expression(expression, context) for expression in expressions)


def constant(expression: Expression, context: Context) -> Value:
    """The value of what is written out or given as a parameter; MISSING for anything else."""
    match expression:
        case Literal(value):
            return value
        case Parameter(name):
            if name not in context.parameters:
                message = messages.parameter_not_provided(name)
                raise MalformedRequest(f"{message}.", description=message, parameter=name)
            return context.parameters[name]
    return MISSING


def compile_path(path: Path) -> Evaluator:
    """Make the function that follows a path; the empty one is the row itself."""
    if not path:
        return dict
    first, *rest = path
    if not rest:
        return lambda row: row.get(first, MISSING)

    def follow(row: Row) -> Value:
        value = row.get(first, MISSING)
        for segment in rest:
            value = step_into(value, segment)
        return value

    return follow


def compile_collection(expression: Array | Object, context: Context) -> Evaluator:
    """Make an array, in which a missing item is null; or an object, in which a missing value is left out."""
    if isinstance(expression, Array):
        items = compile_all(expression.items, context)
        return lambda row: [null_if_missing(get(row)) for get in items]
    pairs = [(key, compile_expression(value, context)) for key, value in expression.pairs]
    return lambda row: {key: value for key, get in pairs if (value := get(row)) is not MISSING}


def compile_like(like: Like, context: Context) -> Evaluator:
    """Make the test of a text; a pattern that is known is compiled once, and must be one."""
    get, other = compile_expression(like.text, context), compile_expression(like.pattern, context)
    known = constant(like.pattern, context)
    test = compile_resemblance(like.operator, known) if known.__class__ is str else None

    def resemble(row: Row) -> Value:
        text, pattern = get(row), other(row)
        nothing = values.flaw((text, pattern))
        if nothing is not True:
            return nothing
        if text.__class__ is not str or pattern.__class__ is not str:
            return MISSING
        return test(text) if test is not None else resembles(like.operator, text, pattern)

    return resemble


def resembles(operator: Resemblance, text: str, pattern: str) -> Value:
    """Whether a text is like a pattern out of a document, MISSING where it is none."""
    try:
        return compile_resemblance(operator, pattern)(text)
    except InvalidValue:
        return MISSING


def compile_case(case: Case, context: Context) -> Evaluator:
    """Make the choice of a branch."""
    subject = None if case.operand is None else compile_expression(case.operand, context)
    branches = [compile_all(branch, context) for branch in case.branches]
    otherwise = None if case.otherwise is None else compile_expression(case.otherwise, context)

    def choose(row: Row) -> Value:
        value = None if subject is None else subject(row)
        for when, then in branches:
            held = when(row)
            if (held if subject is None else values.equal(value, held)) is True:
                return then(row)
        return None if otherwise is None else otherwise(row)

    return choose


def compile_quantified(quantified: Quantified, context: Context) -> Evaluator:
    """Make the test of the items of an array, each of which its variable names in a row of its own."""
    array, test = compile_expression(quantified.array, context), compile_expression(quantified.condition, context)
    variable, join = quantified.variable, values.any_of if quantified.quantifier == "any" else values.all_of

    def hold(row: Row) -> Value:
        items = array(row)
        if items.__class__ is not list:
            return False
        return join(test({**row, variable: item}) for item in items)

    return hold


def compile_call(call: Call, context: Context) -> Evaluator:
    """Make a function's call."""
    name, gets = call.function, compile_all(call.arguments, context)
    if name == "clock":
        return lambda _: now(context.clock())
    if name == "type":
        return lambda row: type_name(gets[0](row), context.profile)
    if name == "regexp_like":
        known = [constant(argument, context) for argument in call.arguments[1:]]
        if all(value.__class__ is str for value in known):
            compile_pattern(regular_pattern(*known))
    return lambda row: call_function(name, tuple([get(row) for get in gets]))


def type_name(value: Value, profile: Profile) -> Value:
    """The type of a value as the language names it; nothing has none."""
    if value is MISSING:
        return MISSING
    if version_of(profile) == 5 and value.__class__ in (int, float):
        return "integer" if value.__class__ is int else "float"
    return TYPES[value.__class__]
