"""What expressions of DQL mean a second time, as slow and plain as the page that describes them: the oracle.

Written from docs/query-dql-values.md, apart from the evaluator: it shares no code with it and walks the tree anew
for each row. Functions are checked by tables elsewhere.
"""

from __future__ import annotations

from typing import Any

from crdtstore.query.dql import expression as ex
from crdtstore.query.tree import MISSING
from tests.query.oracles.dql_values import (
    between,
    compare,
    compute,
    greatest,
    is_in,
    least,
    letter,
    like,
    logic,
    minus,
    spelled,
)
from tests.query.oracles.values import at, kind_of


def evaluate(node: ex.Expression, row: dict[str, Any], parameters: dict[str, Any]) -> Any:
    """The value of an expression."""

    def value(inner: ex.Expression) -> Any:
        return evaluate(inner, row, parameters)

    if isinstance(node, ex.Literal):
        return node.value
    if isinstance(node, ex.Missing):
        return MISSING
    if isinstance(node, ex.Parameter):
        return parameters[node.name]
    if isinstance(node, ex.Field):
        return at(row, node.path)
    if isinstance(node, ex.Array):
        return [None if (item := value(each)) is MISSING else item for each in node.items]
    if isinstance(node, ex.Object):
        pairs = {key: value(each) for key, each in node.pairs}
        return {key: item for key, item in pairs.items() if item is not MISSING}
    if isinstance(node, ex.Negate):
        return minus(value(node.operand))
    if isinstance(node, ex.Binary):
        return compute(node.operator, value(node.left), value(node.right))
    if isinstance(node, ex.Is):
        return kind_of(value(node.operand)) == node.what
    if isinstance(node, ex.Case):
        return choose(node, value)
    if isinstance(node, ex.Quantified):
        items = value(node.array)
        inner = [row | {node.variable: item} for item in items] if kind_of(items) == "array" else None
        held = [letter(evaluate(node.condition, each, parameters)) for each in inner or []]
        if inner is None:
            return False
        return spelled(greatest(held) if node.quantifier == "any" else least(held))
    if isinstance(node, ex.Like):
        return like(node.operator, value(node.text), value(node.pattern))
    return spelled(condition(node, value))


def condition(node: ex.Expression, value: Any) -> str:
    """The truth of an operator."""
    if isinstance(node, ex.Not):
        return {"T": "F", "F": "T", "M": "M", "N": "N"}[letter(value(node.operand))]
    if isinstance(node, ex.Logic):
        return logic(node.operator, [letter(value(operand)) for operand in node.operands])
    if isinstance(node, ex.Compare):
        return compare(node.operator, value(node.left), value(node.right))
    if isinstance(node, ex.Between):
        return between(value(node.operand), value(node.least), value(node.greatest))
    assert isinstance(node, ex.In)
    return is_in(value(node.item), value(node.array))


def choose(case: ex.Case, value: Any) -> Any:
    """CASE."""
    for when, then in case.branches:
        wanted = letter(value(when)) if case.operand is None else compare("==", value(case.operand), value(when))
        if wanted == "T":
            return value(then)
    return None if case.otherwise is None else value(case.otherwise)
