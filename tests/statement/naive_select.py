"""SELECT of the naive interpreter: lists of rows, each step over all of them; and RETURNING, which is the same.

Rules: a row is what `*` shows of it and the names that expressions may use. Rows are joined, filtered, grouped, shown,
made different, and ranked; which of them LIMIT and OFFSET take is said beside them, since rows of one rank may come in
any order.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import at, id_order, kind_of, number
from tests.statement.naive_aggregates import ORDER
from tests.statement.naive_expressions import Expression, Refused, Row, Scope, evaluate, has_aggregate, is_true

Projection: TypeAlias = tuple[Any, ...]
"""("all",)  ("all of", alias)  ("column", expression, name | None)  ("without", keys)."""

SortKey: TypeAlias = tuple[Expression, bool]
"""A value, and whether it is descending."""


class Source(NamedTuple):
    """A collection; `ids` are expressions, or one parameter in a pair with "list"."""

    collection: str
    alias: str | None = None
    ids: tuple[Any, ...] | None = None

    @property
    def name(self) -> str:
        """What a join calls it."""
        return self.alias or self.collection


class Join(NamedTuple):
    """A further source."""

    kind: Literal["inner", "left", "right"]
    source: Source
    on: Expression


@dataclass(frozen=True)
class Select:
    """A SELECT."""

    projections: tuple[Projection, ...]
    source: Source
    distinct: bool = False
    joins: tuple[Join, ...] = ()
    where: Expression | None = None
    group: tuple[Expression, ...] = ()
    having: Expression | None = None
    order: tuple[SortKey, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None

    @cached_property
    def is_grouped(self) -> bool:
        """Whether rows are made of many."""
        parts = (self.projections, tuple([key for key, _ in self.order]))
        return bool(self.group) or self.having is not None or has_aggregate(parts)


class Found(NamedTuple):
    """A row: what `*` shows, and what paths begin with; in a group its rows, in the order of their ids."""

    shown: Row
    names: Row
    group: tuple[Row, ...] = ()


class Ranked(NamedTuple):
    """Rows in their order; those of one rank in any; of which `first` to `last` are asked for."""

    rows: list[Row]
    ranks: list[Any]
    first: int
    last: int


def one_source(document: Row, alias: str | None) -> Found:
    """A row of one collection: paths may begin with its alias, too."""
    return Found(document, document if alias is None else {**document, alias: document})


def select(statement: Select, sources: Sequence[list[Row]], parameters: Row) -> Ranked:
    """The rows of a SELECT, of the documents of its sources."""
    scope = Scope(parameters)
    rows = joined(statement, sources, scope)
    if statement.where is not None:
        rows = [row for row in rows if is_true(statement.where, row.names, scope)]
    if statement.is_grouped:
        rows = grouped(rows, statement.group, scope)
    if statement.having is not None:
        rows = [row for row in rows if is_true(statement.having, row.names, Scope(parameters, row.group))]
    pairs = [(show(row, statement.projections, parameters), row) for row in rows]
    if statement.distinct:
        pairs = different(pairs)
    pairs = ranked(pairs, statement, parameters)
    first = amount(statement.offset, scope, 0)
    last = min(len(pairs), first + amount(statement.limit, scope, len(pairs)))
    ranks = [rank(statement, shown, row, parameters) for shown, row in pairs] if statement.order else [()] * len(pairs)
    return Ranked([shown for shown, _ in pairs], ranks, min(first, len(pairs)), last)


def amount(expression: Expression | None, scope: Scope, otherwise: int) -> int:
    """What stands behind LIMIT or OFFSET."""
    if expression is None:
        return otherwise
    value = evaluate(expression, {}, scope)
    if type(value) is not int or value < 0:
        raise Refused("amount")
    return value


# --- joins ---


def joined(statement: Select, sources: Sequence[list[Row]], scope: Scope) -> list[Found]:
    """All rows of all sources."""
    first, *others = sources
    if not statement.joins:
        return [one_source(document, statement.source.alias) for document in first]
    rows = [{statement.source.name: document} for document in first]
    for join, documents in zip(statement.joins, others, strict=True):
        rows = paired(rows, join, documents, scope)
    return [Found(row, {**row, "_id": {name: document["_id"] for name, document in row.items()}}) for row in rows]


def paired(rows: list[Row], join: Join, documents: list[Row], scope: Scope) -> list[Row]:
    """Rows and documents that go together, and what has none where it is kept."""
    pairs = [(row, document, {**row, join.source.name: document}) for row in rows for document in documents]
    held = [pair for pair in pairs if is_true(join.on, pair[2], scope)]
    found = [both for _, _, both in held]
    if join.kind == "left":
        found += [row for row in rows if not any(row is one for one, _, _ in held)]
    if join.kind == "right":
        found += [{join.source.name: each} for each in documents if not any(each is one for _, one, _ in held)]
    return found


# --- groups ---


def identity(value: Any) -> Hashable:
    """The same for equal values, all the way down; null and missing are two."""
    kind = kind_of(value)
    if kind == "number":
        return kind, number(value)
    if kind == "array":
        return kind, tuple(map(identity, value))
    if kind == "object":
        return kind, tuple([(key, identity(value[key])) for key in sorted(value)])
    return kind, None if value is MISSING else value


def grouped(rows: list[Found], keys: tuple[Expression, ...], scope: Scope) -> list[Found]:
    """Rows with equal values of all keys as one; without keys one of all, of none too."""
    groups: dict[Hashable, list[Found]] = {} if keys else {(): []}
    for row in rows:
        key = tuple([identity(evaluate(each, row.names, scope)) for each in keys])
        groups.setdefault(key, []).append(row)
    empty = Found({}, {})
    found = [(members[0] if members else empty, members) for members in groups.values()]
    return [Found(one.shown, one.names, tuple([row.names for row in members])) for one, members in found]


# --- what is shown ---


def show(row: Found, projections: tuple[Projection, ...], parameters: Row) -> Row:
    """What is shown of a row."""
    scope = Scope(parameters, row.group)
    shown: Row = {}
    for place, projection in enumerate(projections, 1):
        match projection:
            case ("all",):
                shown |= row.shown
            case ("all of", alias):
                found = at(row.names, (alias,))
                shown |= {} if found is MISSING else found
            case ("column", expression, name):
                called, value = name or column_name(expression, place), evaluate(expression, row.names, scope)
                shown.pop(called, None)
                if value is not MISSING:
                    shown[called] = value
    for projection in projections:
        if projection[0] == "without":
            named, keys = row.names.get(projection[1][0]), projection[1]
            shown = without(shown, keys[1:] if named is row.shown and keys[1:] else keys)
    return shown


def column_name(expression: Expression, place: int) -> str:
    """What a column without a name is called."""
    if expression[0] == "path" and isinstance(expression[1][-1], str):
        return str(expression[1][-1])
    return f"(${place})"


def without(value: Any, path: tuple[str | int, ...]) -> Any:
    """A value of which what is at a path is left out."""
    first, *rest = path
    if not isinstance(value, dict) or first not in value:
        return value
    if not rest:
        return {key: each for key, each in value.items() if key != first}
    return {key: without(each, tuple(rest)) if key == first else each for key, each in value.items()}


def different(pairs: list[tuple[Row, Found]]) -> list[tuple[Row, Found]]:
    """The first of those that show the same."""
    kept: dict[Hashable, tuple[Row, Found]] = {}
    for pair in pairs:
        kept.setdefault(identity(pair[0]), pair)
    return list(kept.values())


def ranked(pairs: list[tuple[Row, Found]], statement: Select, parameters: Row) -> list[tuple[Row, Found]]:
    """By one key after the other, the last one first."""
    for key, descending in reversed(statement.order):

        def value(pair: tuple[Row, Found], key: Expression = key) -> Any:
            return ORDER.key(sorted_by(key, statement, pair, parameters))

        pairs = sorted(pairs, key=value, reverse=descending)
    return pairs


def rank(statement: Select, shown: Row, row: Found, parameters: Row) -> Any:
    """What rows have in common that may change places: none that have an order and ids of their own."""
    keys = [ORDER.key(sorted_by(key, statement, (shown, row), parameters)) for key, _ in statement.order]
    if not keys or row.group or statement.distinct or statement.joins or "_id" not in row.shown:
        return keys
    return [*keys, id_order(row.shown["_id"])]


def sorted_by(key: Expression, statement: Select, pair: tuple[Row, Found], parameters: Row) -> Any:
    """The value of a key: of a column by its alias, else of the row."""
    scope, names = Scope(parameters, pair[1].group), pair[1].names
    aliases = {name: evaluate(value, names, scope) for _, value, name in columns(statement) if name}
    return evaluate(key, {**names, **aliases}, scope)


def columns(statement: Select) -> list[Projection]:
    """The projections that are columns."""
    return [projection for projection in statement.projections if projection[0] == "column"]
