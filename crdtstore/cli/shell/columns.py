"""The columns of an answer, where a statement names them all."""

from __future__ import annotations

from crdtstore.errors import QuerySyntaxError
from crdtstore.query.dql.statement import Column, Insert, Remove, Select, Statement, Update
from crdtstore.statement.project import column_name
from crdtstore.statement.run import parse_kept


def named_columns(text: str) -> list[str] | None:
    """The columns in their order; None where only the rows say which there are."""
    try:
        return columns_of(parse_kept(text, "v5"))
    except QuerySyntaxError:
        return None


def columns_of(statement: Statement) -> list[str] | None:
    """The columns of a statement's rows."""
    match statement:
        case Select():
            shown = statement.projections
        case Insert() | Update() | Remove():
            shown = statement.returning
        case _:
            return None
    named = [
        projection.alias or column_name(projection.value, number)
        for number, projection in enumerate(shown, 1)
        if isinstance(projection, Column)
    ]
    return list(dict.fromkeys(named)) if named and len(named) == len(shown) else None
