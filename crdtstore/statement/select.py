"""SELECT: rows are read, filtered, grouped, sorted and shown, each step a generator over the one before.

Rules: joins come first, then WHERE, GROUP BY, HAVING, DISTINCT, ORDER BY, OFFSET and LIMIT. Rows without an order come
as they are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from crdtstore.crdt.json_output import write_json
from crdtstore.errors import InvalidQuery
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.expression import Field
from crdtstore.query.dql.order import sort_key
from crdtstore.query.dql.statement import All, Column, Without
from crdtstore.query.tree import MISSING
from crdtstore.statement.rows import Row, aliased, read_rows

if TYPE_CHECKING:
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.expression import Expression
    from crdtstore.query.dql.statement import Projection, Select
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View


def select_json(view: View, select: Select, context: Context, budget: Budget) -> Iterator[bytes]:
    """The rows of a SELECT as JSON."""
    return map(write_json, select_rows(view, select, context, budget))


def select_rows(view: View, select: Select, context: Context, budget: Budget) -> Iterator[Row]:
    """The rows of a SELECT as objects, `_id` first where all fields are shown."""
    alias = select.source.alias
    rows: Iterator[Row] = read_rows(view, select.source, select.where, None, context, budget)
    for key in reversed(select.order):
        value = compile_expression(key.value, context)
        rows = iter(
            sorted(rows, key=lambda row, value=value: sort_key(value(aliased(row, alias))), reverse=key.descending)  # type: ignore[misc]
        )
    first = amount(select.offset, context) or 0
    count = amount(select.limit, context)
    rows = islice(rows, first, None if count is None else first + count)
    return (show(row, alias, select.projections, context) for row in rows)


def amount(expression: Expression | None, context: Context) -> int | None:
    """What stands behind LIMIT or OFFSET."""
    if expression is None:
        return None
    value = compile_expression(expression, context)({})
    if value.__class__ is not int or value < 0:
        raise InvalidQuery("LIMIT and OFFSET take an integer that is not negative.")
    return value


def show(row: Row, alias: str | None, projections: tuple[Projection, ...], context: Context) -> Row:
    """What is shown of a row."""
    shown: Row = {}
    for number, projection in enumerate(projections, 1):
        match projection:
            case All():
                shown.update(row)
            case Column(expression, name):
                value = compile_expression(expression, context)(aliased(row, alias))
                if value is not MISSING:
                    shown[name or column_name(expression, number)] = value
            case Without(path):
                shown.pop(str(path[0]), None)
    return shown


def column_name(expression: Expression, number: int) -> str:
    """What a column without an alias is called: as the field it shows, else by its place."""
    if isinstance(expression, Field) and isinstance(expression.path[-1], str):
        return expression.path[-1]
    return f"(${number})"
