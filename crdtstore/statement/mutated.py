"""What a writing statement came to: the ids of the documents it changed, and the rows that it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crdtstore.statement.budget import check_rows
from crdtstore.statement.project import show_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.statement import Projection, Source
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row


class Mutated(NamedTuple):
    """Documents in the order in which they changed."""

    ids: tuple[Value, ...]
    rows: tuple[Row, ...] = ()
    is_mutation: bool = True
    """False for what a SELECT in between read."""


def mutated(
    ids: tuple[Value, ...],
    rows: Iterable[Row],
    source: Source,
    returning: tuple[Projection, ...],
    context: Context,
    budget: Budget,
) -> Mutated:
    """The answer of a statement that changed documents; of their rows, which are made only then, what it returns."""
    if not returning:
        return Mutated(ids)
    check_rows(len(ids))
    return Mutated(ids, tuple(show_rows(rows, returning, context, budget, source.alias)))
