"""What a writing statement came to: the ids of the documents it changed, and the rows that it returns."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from crdtstore.statement.budget import check_rows
from crdtstore.statement.project import show_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.statement import Insert, Remove, Update
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row


class Mutated(NamedTuple):
    """Documents in the order in which they changed."""

    ids: tuple[Value, ...]
    rows: tuple[Row, ...] = ()
    is_mutation: bool = True
    """False for what a SELECT in between read."""


class Returning:
    """What a statement returns of the documents it changed: read before it does anything, made when all is done."""

    def __init__(self, statement: Insert | Update | Remove, context: Context, budget: Budget) -> None:
        """Read what stands behind RETURNING.

        Raises:
            InvalidQuery: Fields beside aggregates.
            MalformedRequest: A parameter was not provided.
        """
        self.is_asked = bool(statement.returning)
        self.rows: list[Iterable[Row]] = []
        rows = chain.from_iterable(self.rows)
        alias = statement.source.alias
        self.shown = show_rows(rows, statement.returning, context, budget, alias) if self.is_asked else iter(())

    def answer(self, ids: tuple[Value, ...], rows: Iterable[Row]) -> Mutated:
        """The answer; the rows of the documents are made only if they are asked for.

        Raises:
            LimitExceeded: They are more than one answer may have.
        """
        if self.is_asked:
            check_rows(len(ids))
            self.rows.append(rows)
        return Mutated(ids, tuple(self.shown))
