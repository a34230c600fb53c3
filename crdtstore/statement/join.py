"""Joins: rows of one source, each with the documents of further ones that go with it.

Rules: the documents of a joined source are looked up, by their `_id` or by an index, for what the rows so far have on
the other side of an equality in ON: a chunk of rows together. Without such an equality the statement is refused. Null
equals nothing. A row has each document under its alias, and their ids under `_id`. Rows come in no order. `RIGHT` reads
the joined source first, and is `LEFT` the other way round.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from crdtstore.errors import InvalidQuery, LimitExceeded
from crdtstore.limits import JOINS_MAX
from crdtstore.query.dql import messages
from crdtstore.query.dql.condition import parts_of
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.expression import Compare, Expression, Field, In, Logic, Parameter
from crdtstore.query.dql.statement import Join
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.relation import identity
from crdtstore.query.tree import ID_PATH, MISSING
from crdtstore.statement.rows import CHUNK_ROWS, Names, Row, named_indexes, read_rows, ready_indexes
from crdtstore.statement.scope import alias_of, fields_in

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping

    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Context, Evaluator
    from crdtstore.query.dql.statement import Select, Source
    from crdtstore.query.tree import Path
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View

KEYS: Final = "\0keys"
"""The name of the parameter that holds what a chunk of rows is joined by: no statement can name it."""


class Reading(NamedTuple):
    """How a further source is joined."""

    source: Source
    keep: bool
    """Whether rows stay for which nothing is found."""
    other: Evaluator
    """Gives what a row so far is joined by."""
    own: Evaluator
    """Gives what a document of the source is joined by."""
    lookup: Expression
    """The condition on the source's documents."""
    test: Evaluator
    """All of ON, on the joined row."""
    names: Names


def join_rows(
    view: View,
    select: Select,
    where: Expression | None,
    names: Mapping[str, Names],
    context: Context,
    budget: Budget,
) -> Iterator[Row]:
    """The joined rows of a SELECT; the parts of its condition that are about the first source only hold of them.

    Raises:
        InvalidQuery: A join without an equality that `_id` or an index serves.
        LimitExceeded: More than JOINS_MAX joins.
    """
    if len(select.joins) > JOINS_MAX:
        message = f"A statement joins at most {JOINS_MAX} sources; this one {len(select.joins)}."
        raise LimitExceeded(message, limit="JOINS_MAX", value=len(select.joins), maximum=JOINS_MAX)
    first, joins = in_order(select)
    known = [alias_of(first)]
    pushed = both([part for part in parts_of(where) if heads(part) == {known[0]}])
    rows = read_first(view, first, pushed, names[known[0]], context, budget)
    for join in joins:
        alias = alias_of(join.source)
        reading = read_join(view, join, known, names[alias], context)
        rows = join_one(view, rows, reading, context, budget)
        known.append(alias)
    return rows


def in_order(select: Select) -> tuple[Source, tuple[Join, ...]]:
    """What is read first, and what is joined to it."""
    first, *others = select.joins
    if first.kind != "right":
        return select.source, select.joins
    return first.source, (Join("left", select.source, first.on), *others)


def named(source: Source) -> Source:
    """A source under its alias."""
    return msgspec.structs.replace(source, alias=alias_of(source))


def heads(expression: Expression) -> set[str]:
    """The sources that an expression is about."""
    return {str(path[0]) for path in fields_in(expression)}


def both(parts: list[Expression]) -> Expression | None:
    """Conditions joined by AND."""
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Logic("and", tuple(parts))


def read_first(
    view: View, source: Source, where: Expression | None, names: Names, context: Context, budget: Budget
) -> Iterator[Row]:
    """The rows of the source that is read first."""
    alias = alias_of(source)
    rows = read_rows(view, named(source), where, names, context, budget)
    return ({alias: row, ID_FIELD: {alias: row[ID_FIELD]}} for row in rows)


# --- how a source is joined ---


def read_join(view: View, join: Join, known: list[str], names: Names, context: Context) -> Reading:
    """Find the equality by which a source is looked up."""
    source, alias = named(join.source), alias_of(join.source)
    own, other = find_equality(view, source, join.on, known)
    only = [part for part in parts_of(join.on) if heads(part) == {alias}]
    path = own.path[1:]
    return Reading(
        source,
        join.kind == "left",
        compile_expression(other, context),
        compile_expression(Field(path), context),
        Logic("and", (In(own, Parameter(KEYS)), *only)),
        compile_expression(join.on, context),
        names if names is None else tuple(dict.fromkeys((*names, str(path[0])))),
    )


def find_equality(view: View, source: Source, on: Expression, known: list[str]) -> tuple[Field, Expression]:
    """The path of a source's documents and what it has to equal, where that can be looked up.

    Raises:
        InvalidQuery: There is none.
    """
    alias = alias_of(source)
    found = list(equalities(on, alias, known))
    for own, other in found:
        if own.path[1:] == ID_PATH:
            return own, other
    served = served_paths(view, source)
    for own, other in found:
        if served is None or own.path[1:] in served:
            return own, other
    message = messages.join_without_index(alias)
    raise InvalidQuery(message, reason="join-without-index", description=message, alias=alias)


def equalities(on: Expression, alias: str, known: list[str]) -> Iterator[tuple[Field, Expression]]:
    """The equalities of a path of a source with something of the sources before it."""
    for part in parts_of(on):
        if isinstance(part, Compare) and part.operator == "==":
            for own, other in ((part.left, part.right), (part.right, part.left)):
                if isinstance(own, Field) and own.path[0] == alias and own.path[1:] and heads(other) <= {*known}:
                    yield own, other


def served_paths(view: View, source: Source) -> set[Path] | None:
    """The paths with which an index begins; None where the collection does not exist, and nothing has to be read."""
    collection = view.catalog.by_name.get(source.name)
    if collection is None or source.system:
        return None
    there = named_indexes(view, collection, source.indexes) if source.indexes else ready_indexes(view, collection)
    return {each.index.paths[0] for each in there if each.index.kind == "fields"}


# --- joining ---


def join_one(view: View, rows: Iterable[Row], reading: Reading, context: Context, budget: Budget) -> Iterator[Row]:
    """Join one further source, a chunk of rows after the other."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        budget.spend(0)
        yield from join_chunk(view, chunk, reading, context, budget)


def join_chunk(view: View, chunk: list[Row], reading: Reading, context: Context, budget: Budget) -> Iterator[Row]:
    """Join one chunk: what is found comes first, then the rows for which nothing was, if they stay."""
    waiting: dict[Hashable, list[int]] = {}
    keys: list[Value] = []
    for number, row in enumerate(chunk):
        value = reading.other(row)
        if value is not MISSING and value is not None:
            same = waiting.setdefault(identity(value, dates=False), [])
            if not same:
                keys.append(value)
            same.append(number)
    missed = dict.fromkeys(range(len(chunk)))
    for number, joined in found_rows(view, chunk, waiting, keys, reading, context, budget):
        missed.pop(number, None)
        yield joined
    if reading.keep:
        yield from (chunk[number] for number in missed)


def found_rows(
    view: View,
    chunk: list[Row],
    waiting: Mapping[Hashable, list[int]],
    keys: list[Value],
    reading: Reading,
    context: Context,
    budget: Budget,
) -> Iterator[tuple[int, Row]]:
    """The joined rows of a chunk, each with the number of the row that it was made of."""
    if not keys:
        return
    alias = alias_of(reading.source)
    inner = context._replace(parameters={**context.parameters, KEYS: keys})
    for document in read_rows(view, reading.source, reading.lookup, reading.names, inner, budget):
        numbers = waiting.get(identity(reading.own(document), dates=False), ())
        budget.spend(len(numbers))
        for number in numbers:
            row = chunk[number]
            joined = {**row, alias: document, ID_FIELD: {**row[ID_FIELD], alias: document[ID_FIELD]}}
            if reading.test(joined) is True:
                yield number, joined
