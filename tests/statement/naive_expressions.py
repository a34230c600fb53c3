"""What expressions of the statement language give: tuples, walked anew for each row.

Written from docs/query-dql-values.md; it shares no code with the engine. An expression is a tuple whose first item says
what it is:

    ("value", value)  ("missing",)  ("parameter", name)  ("path", keys)  ("array", items)  ("object", pairs)
    ("negate", a)  ("binary", sign, a, b)  ("compare", sign, a, b)  ("logic", word, parts)  ("not", a)
    ("in", item, array)  ("between", a, low, high)  ("like", word, text, pattern)  ("is", "null" | "missing", a)
    ("case", subject | None, branches, otherwise | None)  ("quantified", "any" | "every", variable, array, condition)
    ("call", name, arguments)  ("aggregate", name, argument | None, distinct)

Rules: a row is a dict. Aggregates are made of the rows of their group, everything else of the first of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from crdtstore.query.tree import MISSING
from tests.query.oracles import dql_values as values
from tests.query.oracles.values import at, is_equal
from tests.statement.naive_aggregates import AGGREGATES
from tests.statement.naive_functions import FUNCTIONS

Expression: TypeAlias = tuple[Any, ...]
Row: TypeAlias = dict[str, Any]


class Refused(Exception):
    """A statement that is refused; its text names the kind."""


@dataclass(frozen=True)
class Scope:
    """What an expression depends on besides its row: parameters, and in a group its rows."""

    parameters: dict[str, Any] = field(default_factory=dict)
    group: tuple[Row, ...] = ()


def evaluate(expression: Expression, row: Row, scope: Scope) -> Any:
    """The value of an expression."""
    return MEANINGS[expression[0]](expression, row, scope)


def is_true(expression: Expression | None, row: Row, scope: Scope) -> bool:
    """Whether a row is looked for."""
    return expression is None or evaluate(expression, row, scope) is True


def truth(expression: Expression, row: Row, scope: Scope) -> str:
    """An expression as a condition: one of four letters."""
    return values.letter(evaluate(expression, row, scope))


def has_aggregate(expression: Any) -> bool:
    """Whether something is made of all rows of a group."""
    if not isinstance(expression, tuple) or expression[:1] == ("value",):
        return False
    return expression[:1] == ("aggregate",) or any(map(has_aggregate, expression))


# --- what each is ---


def parameter(expression: Expression, _row: Row, scope: Scope) -> Any:
    if expression[1] not in scope.parameters:
        raise Refused("parameter")
    return scope.parameters[expression[1]]


def array(expression: Expression, row: Row, scope: Scope) -> Any:
    items = [evaluate(item, row, scope) for item in expression[1]]
    return [None if item is MISSING else item for item in items]


def pairs(expression: Expression, row: Row, scope: Scope) -> Any:
    found = {key: evaluate(each, row, scope) for key, each in expression[1]}
    return {key: each for key, each in found.items() if each is not MISSING}


def negate(expression: Expression, row: Row, scope: Scope) -> Any:
    return values.minus(evaluate(expression[1], row, scope))


def binary(expression: Expression, row: Row, scope: Scope) -> Any:
    _, sign, left, right = expression
    return values.compute(sign, evaluate(left, row, scope), evaluate(right, row, scope))


def compare(expression: Expression, row: Row, scope: Scope) -> Any:
    _, sign, left, right = expression
    return values.spelled(values.compare(sign, evaluate(left, row, scope), evaluate(right, row, scope)))


def logic(expression: Expression, row: Row, scope: Scope) -> Any:
    return values.spelled(values.logic(expression[1], [truth(part, row, scope) for part in expression[2]]))


def negation(expression: Expression, row: Row, scope: Scope) -> Any:
    return values.spelled({"T": "F", "F": "T", "M": "M", "N": "N"}[truth(expression[1], row, scope)])


def is_in(expression: Expression, row: Row, scope: Scope) -> Any:
    _, item, looked_in = expression
    return values.spelled(values.is_in(evaluate(item, row, scope), evaluate(looked_in, row, scope)))


def between(expression: Expression, row: Row, scope: Scope) -> Any:
    return values.spelled(values.between(*[evaluate(each, row, scope) for each in expression[1:]]))


def like(expression: Expression, row: Row, scope: Scope) -> Any:
    _, word, text, pattern = expression
    return values.like(word, evaluate(text, row, scope), evaluate(pattern, row, scope))


def state(expression: Expression, row: Row, scope: Scope) -> bool:
    value = evaluate(expression[2], row, scope)
    return value is None if expression[1] == "null" else value is MISSING


def choice(expression: Expression, row: Row, scope: Scope) -> Any:
    _, subject, branches, otherwise = expression
    for when, then in branches:
        if subject is None:
            held = truth(when, row, scope)
        else:
            held = values.compare("==", evaluate(subject, row, scope), evaluate(when, row, scope))
        if held == "T":
            return evaluate(then, row, scope)
    return None if otherwise is None else evaluate(otherwise, row, scope)


def quantified(expression: Expression, row: Row, scope: Scope) -> Any:
    _, word, variable, looked_in, condition = expression
    items = evaluate(looked_in, row, scope)
    if not isinstance(items, list):
        return False
    held = [truth(condition, {**row, variable: item}, scope) for item in items]
    return values.spelled(values.greatest(held) if word == "any" else values.least(held))


def call(expression: Expression, row: Row, scope: Scope) -> Any:
    return FUNCTIONS[expression[1]](*[evaluate(argument, row, scope) for argument in expression[2]])


def aggregate(expression: Expression, _row: Row, scope: Scope) -> Any:
    _, name, argument, distinct = expression
    if argument is None:
        return len(scope.group)
    given = [evaluate(argument, row, scope) for row in scope.group]
    taken = [value for value in given if value is not MISSING and value is not None]
    return AGGREGATES[name](different(taken) if distinct else taken)


def different(given: list[Any]) -> list[Any]:
    """Each of equal values once."""
    kept: list[Any] = []
    for value in given:
        if not any(is_equal(value, other, dates=False) for other in kept):
            kept.append(value)
    return kept


MEANINGS: Final[dict[str, Callable[[Expression, Row, Scope], Any]]] = {
    "value": lambda expression, _row, _scope: expression[1],
    "missing": lambda _expression, _row, _scope: MISSING,
    "parameter": parameter,
    "path": lambda expression, row, _scope: at(row, expression[1]),
    "array": array,
    "object": pairs,
    "negate": negate,
    "binary": binary,
    "compare": compare,
    "logic": logic,
    "not": negation,
    "in": is_in,
    "between": between,
    "like": like,
    "is": state,
    "case": choice,
    "quantified": quantified,
    "call": call,
    "aggregate": aggregate,
}
