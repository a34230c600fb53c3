"""A projection is what a statement shows of a row: columns, all fields, and all but some.

Rules: a column is called as its alias, a plain path as its last key, anything else by its place: `($2)`. What is
missing is left out, null is shown; of two columns of one name the later one is. `*` is the document, `_id` first; of a
join one object for each alias; `alias.*` is the fields of that document. `MISSING path` takes away from what is shown,
at whatever depth, and no item of an array.

Rows that statements return (`RETURNING`) are shown here too: aggregates in them make one row of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidQuery
from crdtstore.query.dql.aggregates import aggregates_in
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.expression import Expression, Field
from crdtstore.query.dql.statement import All, Column, Projection, Without
from crdtstore.query.tree import MISSING
from crdtstore.statement.group import Grouping, compile_grouping, group_rows
from crdtstore.statement.scope import Places, Scope, relocate, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crdtstore.query.dql.evaluate import Context, Evaluator
    from crdtstore.query.tree import Path
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.rows import Row

WHOLE_ROW = Field(())


class Item(NamedTuple):
    """One thing that is shown: a value under a name, or, without a name, all fields of an object."""

    value: Expression
    name: str | None


class Shown(NamedTuple):
    """What is shown of a row."""

    items: tuple[Item, ...]
    without: tuple[Path, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether rows are shown as they are."""
        return self.items == (Item(WHOLE_ROW, None),) and not self.without


# --- reading ---


def read_projections(projections: Iterable[Projection], scope: Scope, name: str = "") -> Shown:
    """What projections ask for.

    Args:
        projections: As written.
        scope: The names of their sources.
        name: What the only source is called if it has no alias.

    Raises:
        InvalidQuery: `x.*` of what is no source.
    """
    items: list[Item] = []
    without: list[Path] = []
    for number, projection in enumerate(projections, 1):
        match projection:
            case All(alias):
                items += all_items(alias, scope, name)
            case Column(value, alias):
                items.append(Item(resolve(value, scope), column_name(value, number) if alias is None else alias))
            case Without(path):
                without.append(path[1:] if len(path) > 1 and path[0] == scope.alias else path)
    return Shown(tuple(items), tuple(without))


def all_items(alias: str | None, scope: Scope, name: str) -> list[Item]:
    """What `*` and `alias.*` ask for."""
    if alias is None and scope.joined:
        return [Item(Field((each,)), each) for each in scope.aliases]
    if alias is not None and alias not in (scope.aliases or (name,)):
        raise InvalidQuery(f"{alias}.* names no source of the statement.", reason="alias", field=alias)
    return [Item(Field((alias,)) if alias is not None and scope.joined else WHOLE_ROW, None)]


def column_name(expression: Expression, number: int) -> str:
    """What a column without an alias is called."""
    if isinstance(expression, Field) and isinstance(expression.path[-1], str):
        return expression.path[-1]
    return f"(${number})"


def move(shown: Shown, places: Places, what: str) -> Shown:
    """The same of rows in which values stand at places; see `scope.relocate`."""
    return Shown(tuple(Item(relocate(value, places, what), name) for value, name in shown.items), shown.without)


# --- showing ---


def compile_projection(shown: Shown, context: Context) -> Callable[[Row], Row]:
    """Make what shows a row."""
    if shown.is_whole:
        return lambda row: row
    gets = [(compile_expression(value, context), name) for value, name in shown.items]
    without = shown.without

    def show(row: Row) -> Row:
        made: Row = {}
        for get, name in gets:
            put(made, get, name, row)
        for path in without:
            leave_out(made, path)
        return made

    names = {name for _, name in gets}
    if None not in names and len(names) == len(gets) and not without:
        named: list[tuple[Evaluator, str | None]] = gets
        return lambda row: {name: value for get, name in named if (value := get(row)) is not MISSING}
    return show


def put(made: Row, get: Evaluator, name: str | None, row: Row) -> None:
    """Put one thing that is shown."""
    value = get(row)
    if name is not None:
        if value is MISSING:
            made.pop(name, None)
        else:
            made[name] = value
    elif value.__class__ is dict:
        made.update(value)


def leave_out(made: Row, path: Path) -> None:
    """Take what stands at a path away, from copies of the objects around it."""
    inner: Value = made
    for step in path[:-1]:
        held = inner.get(step)
        if held.__class__ is not dict:
            return
        inner[step] = inner = dict(held)
    inner.pop(path[-1], None)


# --- RETURNING ---


def show_rows(
    rows: Iterable[Row], projections: tuple[Projection, ...], context: Context, budget: Budget, alias: str | None = None
) -> Iterator[Row]:
    """What a statement that writes returns of its documents.

    Args:
        rows: The documents, with `_id` first; read when the first row is asked for.
        projections: What stands behind RETURNING.
        context: Parameters and the clock.
        budget: What may be spent.
        alias: That of the source.

    Raises:
        InvalidQuery: Fields beside aggregates.
    """
    shown = read_projections(projections, Scope(() if alias is None else (alias,)))
    found = [aggregate for item in shown.items for aggregate in aggregates_in(item.value)]
    if found:
        grouping = Grouping((), tuple(dict.fromkeys(found)))
        shown = move(shown, grouping.places(), "grouped")
        rows = group_rows(rows, compile_grouping(grouping, context), budget)
    return map(compile_projection(shown, context), rows)
