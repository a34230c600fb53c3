"""SELECT: rows are read, filtered, grouped, sorted and shown, each step a generator over the one before.

Rules: joins come first, then WHERE, GROUP BY, HAVING, DISTINCT, ORDER BY, OFFSET and LIMIT. ORDER BY may name columns
by their aliases, before fields of the same name. What it leaves equal comes by the documents' ids, ascending, rows of a
join by the ids of all their documents, groups by what they were grouped by. Groups without an order come by that too;
other rows as they are found. DISTINCT groups rows by all that they show, and they are ordered by that only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from crdtstore.crdt.json_output import write_json
from crdtstore.errors import InvalidQuery
from crdtstore.query.dql.aggregates import aggregates_in
from crdtstore.query.dql.condition import parts_of
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.expression import Expression, Field, Quantified
from crdtstore.query.dql.statement import Column, SortKey
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.order import BY_ID
from crdtstore.statement.group import KEY, Compiled, Grouping, compile_grouping, group_rows, name_of, tie
from crdtstore.statement.join import heads, in_order, join_rows
from crdtstore.statement.keys import document_tie, joined_tie, make_sort_key
from crdtstore.statement.plain import Plain, find_plain, read_plain
from crdtstore.statement.project import Shown, compile_projection, move, read_projections
from crdtstore.statement.rows import Names, Opened, Row, count_rows, filter_rows, names_of, open_rows, order_of
from crdtstore.statement.scope import (
    Places,
    Scope,
    alias_of,
    fields_in,
    map_children,
    relocate,
    resolve,
    scope_of,
    within,
)
from crdtstore.statement.sort import paced, sort_rows

if TYPE_CHECKING:
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.dql.statement import Select
    from crdtstore.query.order import Order
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View

DISTINCT = name_of(0)
"""Under this name a row that was made one of equal ones has what is shown of it."""


class Steps(NamedTuple):
    """What a SELECT does, as far as that does not depend on its parameters."""

    select: Select
    scope: Scope
    needed: tuple[Expression, ...]
    """What is computed of the rows that were read."""
    grouping: Grouping | None
    having: Expression | None
    shown: Shown
    distinct: bool
    order: tuple[SortKey, ...]
    """Of the rows that are sorted: of groups, or of distinct rows, where they were made."""


# --- reading a statement ---


def read_select(select: Select) -> Steps:
    """What a SELECT does.

    Raises:
        InvalidQuery: A path, a column or an order that its rows cannot have.
    """
    scope = scope_of(select)
    shown = read_projections(select.projections, scope, select.source.name)
    order = read_order(select, scope)
    having = None if select.having is None else resolve(select.having, scope)
    grouping = read_grouping(select, scope, [item.value for item in shown.items], having, order)
    if grouping is None:
        needed = (*(item.value for item in shown.items), *(key.value for key in order))
    else:
        needed = (*grouping.keys, *(each for each in grouping.aggregates if each.argument is not None))
        places = grouping.places()
        shown = move(shown, places, "grouped")
        having = None if having is None else relocate(having, places, "grouped")
        order = move_order(order, places, "grouped")
    distinct = select.distinct and not (shown.is_whole and grouping is None)
    if distinct:
        order = move_order(order, distinct_places(shown), "distinct")
    return Steps(select, scope, needed, grouping, having, shown, distinct, order)


def read_order(select: Select, scope: Scope) -> tuple[SortKey, ...]:
    """The keys of an order, with what aliases of columns stand for."""
    columns = {each.alias: each.value for each in select.projections if isinstance(each, Column) and each.alias}

    def put_in(expression: Expression, bound: frozenset[str]) -> Expression:
        match expression:
            case Field(path) if path[0] not in bound and path[0] in columns:
                value = columns[str(path[0])]
                if len(path) == 1:
                    return value
                if isinstance(value, Field) and path[0] not in scope.aliases:
                    return Field((*value.path, *path[1:]))
                return expression
            case Quantified():
                return within(expression, bound, put_in)
        return map_children(expression, lambda part: put_in(part, bound))

    return tuple(SortKey(resolve(put_in(key.value, frozenset()), scope), key.descending) for key in select.order)


def read_grouping(
    select: Select,
    scope: Scope,
    values: list[Expression],
    having: Expression | None,
    order: tuple[SortKey, ...],
) -> Grouping | None:
    """What rows are grouped by, None where they are not."""
    spoken = [*values, *(key.value for key in order), *([] if having is None else [having])]
    aggregates = tuple(dict.fromkeys(found for value in spoken for found in aggregates_in(value)))
    if not aggregates and not select.group and having is None:
        return None
    return Grouping(tuple(dict.fromkeys(resolve(key, scope) for key in select.group)), aggregates)


def distinct_places(shown: Shown) -> Places:
    """Where values stand in a row that shows what it is distinct by."""
    return {value: (DISTINCT,) if name is None else (DISTINCT, name) for value, name in shown.items}


def move_order(order: tuple[SortKey, ...], places: Places, what: str) -> tuple[SortKey, ...]:
    """The order of rows that were made of others."""
    return tuple(SortKey(relocate(key.value, places, what), key.descending) for key in order)


# --- running it ---


class Ready(NamedTuple):
    """A SELECT that was read: what is kept of its text."""

    steps: Steps
    plain: Plain | None


def make_ready(select: Select, profile: Profile) -> Ready:
    """Read a SELECT.

    Raises:
        InvalidQuery: A path, a column or an order that its rows cannot have.
    """
    steps = read_select(select)
    return Ready(steps, read_plain(select, steps.order, profile))


def select_json(
    view: View, ready: Ready, context: Context, budget: Budget, *, whole: bool
) -> Generator[bytes, None, None]:
    """The rows of a SELECT as JSON; to be closed.

    Args:
        view: What is read.
        ready: The statement.
        context: Parameters and the clock.
        budget: What may be spent.
        whole: Whether the rows are kept until the last is there.
    """
    if ready.plain is not None:
        window = window_of(ready.steps.select, context)
        found = find_plain(view, ready.plain, context, budget, window, whole=whole)
        if found is not None:
            return flow(found)
    return flow(paced(map(write_json, run_steps(view, ready.steps, context, budget)), budget))


def flow(rows: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The rows; who stops asking closes it, and with it all that they are made of."""
    yield from rows


def select_rows(view: View, select: Select, context: Context, budget: Budget) -> Iterator[Row]:
    """The rows of a SELECT as objects, `_id` first where all fields are shown."""
    return run_steps(view, read_select(select), context, budget)


def run_steps(view: View, steps: Steps, context: Context, budget: Budget) -> Iterator[Row]:
    """Take the steps of a SELECT."""
    skip, wanted = window_of(steps.select, context)
    last = None if wanted is None else skip + wanted
    show = compile_projection(steps.shown, context)
    rows, ordered = grouped_rows(view, steps, context, budget, last)
    if steps.distinct:
        rows = budget.watch("distinct", group_rows(map(show, rows), Compiled((lambda row: row,), (), ()), budget))
        show, ordered = show_distinct, False
    if steps.order and not ordered:
        keys = [(compile_expression(key.value, context), key.descending) for key in steps.order]
        rows = budget.watch("sort", sort_rows(rows, make_sort_key(keys, tie_of(steps)), budget, last))
    return budget.watch("show", map(show, islice(rows, skip, last)))


def window_of(select: Select, context: Context) -> tuple[int, int | None]:
    """How many rows are skipped, and how many are wanted; None for all."""
    return amount(select.offset, context) or 0, amount(select.limit, context)


def show_distinct(row: Row) -> Row:
    """What is shown of a row that stands for equal ones."""
    shown: Row = row[DISTINCT]
    return shown


def tie_of(steps: Steps) -> Callable[[Row], bytes]:
    """What decides between rows that an order leaves equal."""
    if steps.grouping is not None or steps.distinct:
        return tie
    return joined_tie(steps.scope.aliases) if steps.scope.joined else document_tie


def grouped_rows(view: View, steps: Steps, context: Context, budget: Budget, last: int | None) -> Opened:
    """The rows, or the groups, that a SELECT shows."""
    if steps.grouping is None:
        return source_rows(view, steps, context, budget, last)
    compiled = compile_grouping(steps.grouping, context)
    having = None if steps.having is None else compile_expression(steps.having, context)
    counted = count_only(view, steps, context, budget)
    if counted is None:
        rows = group_rows(source_rows(view, steps, context, budget, None).rows, compiled, budget)
    else:
        rows = iter([{KEY: b"", **{name_of(number): counted for number in range(len(compiled.aggregates))}}])
    rows = budget.watch("group", rows)
    if having is not None:
        rows = budget.watch("having", filter_rows(rows, (having,)))
    return Opened(rows, ordered=False)


def count_only(view: View, steps: Steps, context: Context, budget: Budget) -> int | None:
    """How many rows there are, where nothing else is asked and no row has to be read for it."""
    grouping, select = steps.grouping, steps.select
    if steps.scope.joined or grouping is None or grouping.keys or any(each.argument for each in grouping.aggregates):
        return None
    return count_rows(view, select.source, select.where, context, budget)


def source_rows(view: View, steps: Steps, context: Context, budget: Budget, last: int | None) -> Opened:
    """The rows that WHERE leaves."""
    select = steps.select
    if not steps.scope.joined:
        by, names = row_order(steps)
        wanted = names_of(steps.needed, names)
        most = None if steps.distinct else last
        rows, ordered = open_rows(view, select.source, select.where, wanted, context, budget, by, most)
        return Opened(budget.watch("read", rows), ordered)
    parts = [resolve(part, steps.scope) for part in parts_of(select.where)]
    on = [resolve(join.on, steps.scope) for join in select.joins]
    needed = joined_names(steps.scope, [*steps.needed, *parts, *on])
    rows = budget.watch("join", join_rows(view, select, select.where, needed, context, budget))
    first = {alias_of(in_order(select)[0])}
    rest = [compile_expression(part, context) for part in parts if heads(part) != first]
    if rest:
        rows = budget.watch("where", filter_rows(rows, tuple(rest)))
    return Opened(rows, ordered=False)


def row_order(steps: Steps) -> tuple[Order, tuple[str, ...]]:
    """The order in which the rows of the source would best come, and what sorting them needs."""
    if not steps.order or steps.grouping is not None or steps.distinct:
        return BY_ID, ()
    return order_of(steps.order) or BY_ID, (ID_FIELD,)


def joined_names(scope: Scope, expressions: Iterable[Expression]) -> dict[str, Names]:
    """The fields that are needed of each source of a join; always the `_id`."""
    paths = [path for expression in expressions for path in fields_in(expression)]
    names: dict[str, Names] = {}
    for alias in scope.aliases:
        own = [path[1:] for path in paths if path and path[0] == alias]
        wanted = (ID_FIELD, *sorted({str(path[0]) for path in own if path}))
        names[alias] = None if () in own else tuple(dict.fromkeys(wanted))
    return names


def amount(expression: Expression | None, context: Context) -> int | None:
    """What stands behind LIMIT or OFFSET.

    Raises:
        InvalidQuery: No integer, or a negative one.
    """
    if expression is None:
        return None
    value = compile_expression(expression, context)({})
    if value.__class__ is not int or value < 0:
        raise InvalidQuery("LIMIT and OFFSET take an integer that is not negative.", reason="amount")
    return value
