"""A scope is the names by which the paths of a statement may begin; here paths are made to mean what stands in a row.

Rules: the row of one source is the document itself, and a path that begins with the source's alias is one without it.
The row of a join has each document under its alias, and all their ids under `_id`: a path has to begin with one of
these. A variable of ANY or EVERY hides what is called like it. Once rows are grouped, an expression can only be made of
what was grouped by and of aggregates; each stands in the new row under a name of its own (`places`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from crdtstore.errors import InvalidQuery
from crdtstore.query.dql import messages
from crdtstore.query.dql.expression import Aggregate, Base, Expression, Field, Quantified
from crdtstore.query.lookup import ID_FIELD

if TYPE_CHECKING:
    from crdtstore.query.dql.statement import Select, Source
    from crdtstore.query.tree import Path

Part = TypeVar("Part")
Places: TypeAlias = Mapping[Expression, "Path"]
"""Where in a row the value of an expression stands already."""

NOTHING_BOUND: Final[frozenset[str]] = frozenset()


class Scope(NamedTuple):
    """The aliases of a statement's sources, in the order in which they are joined."""

    aliases: tuple[str, ...] = ()
    joined: bool = False

    @property
    def alias(self) -> str | None:
        """That of the only source."""
        return None if self.joined or not self.aliases else self.aliases[0]


def scope_of(select: Select) -> Scope:
    """The names of a SELECT's sources.

    Raises:
        InvalidQuery: Two have the same.
    """
    if not select.joins:
        return scope_of_source(select.source)
    aliases = tuple(alias_of(source) for source in (select.source, *(join.source for join in select.joins)))
    for number, alias in enumerate(aliases):
        if alias in aliases[:number] or alias == ID_FIELD:
            raise InvalidQuery(f"No second source can be called {alias}: AS gives it another name.", reason="alias")
    return Scope(aliases, joined=True)


def scope_of_source(source: Source) -> Scope:
    """The names of the only source of a statement."""
    return Scope(() if source.alias is None else (source.alias,))


def alias_of(source: Source) -> str:
    """The name by which a source is known in a join."""
    return source.name if source.alias is None else source.alias


def resolve(expression: Expression, scope: Scope, bound: frozenset[str] = NOTHING_BOUND) -> Expression:
    """An expression whose paths are paths of the scope's rows.

    Raises:
        InvalidQuery: A path in a join that does not say of which source it is.
    """
    match expression:
        case Field(path) if path[0] not in bound:
            return resolve_path(expression, path, scope)
        case Quantified():
            quantified = expression if scope.alias is None else hidden(expression)
            return within(quantified, bound, lambda part, known: resolve(part, scope, known))
    return map_children(expression, lambda part: resolve(part, scope, bound))


def hidden(quantified: Quantified) -> Quantified:
    """ANY or EVERY with a variable that no field is called like, once paths have lost the alias before them."""
    name = f"\0{quantified.variable}"
    condition = renamed(quantified.condition, quantified.variable, name)
    return Quantified(quantified.quantifier, name, quantified.array, condition)


def renamed(expression: Expression, old: str, new: str) -> Expression:
    """An expression in which a variable is called otherwise."""
    match expression:
        case Field(path) if path[0] == old:
            return Field((new, *path[1:]))
        case Quantified(quantifier, variable, array, condition) if variable == old:
            return Quantified(quantifier, variable, renamed(array, old, new), condition)
    return map_children(expression, lambda part: renamed(part, old, new))


def resolve_path(field: Field, path: Path, scope: Scope) -> Field:
    """A path of a document, or of a joined row."""
    first = str(path[0])
    if not scope.joined:
        return Field(path[1:]) if scope.aliases and first == scope.aliases[0] else field
    if first not in scope.aliases and first != ID_FIELD:
        message = messages.ambiguous(first)
        raise InvalidQuery(f"{message}.", reason="ambiguous", description=message, field=first)
    return field


def within(
    quantified: Quantified, bound: frozenset[str], change: Callable[[Expression, frozenset[str]], Expression]
) -> Quantified:
    """The same for ANY and EVERY, whose variable is known in their condition only."""
    array = change(quantified.array, bound)
    condition = change(quantified.condition, bound | {quantified.variable})
    return Quantified(quantified.quantifier, quantified.variable, array, condition)


def map_children(node: Part, change: Callable[[Expression], Expression]) -> Part:
    """A node with other expressions right inside of it."""
    if not isinstance(node, Base):
        return node
    fields = {name: map_part(getattr(node, name), change) for name in node.__struct_fields__}
    return msgspec.structs.replace(node, **fields)


def map_part(part: Any, change: Callable[[Expression], Expression]) -> Any:
    """What a node holds: an expression, several, or something else."""
    if isinstance(part, Base):
        return change(part)  # type: ignore[arg-type]
    return tuple(map_part(each, change) for each in part) if isinstance(part, tuple) else part


# --- rows that were made of others ---


def relocate(expression: Expression, places: Places, what: str, bound: frozenset[str] = NOTHING_BOUND) -> Expression:
    """An expression about rows in which the values of some expressions stand at places.

    Args:
        expression: About the rows before.
        places: What stands where.
        what: How the rows came about, for the error.
        bound: Variables of ANY and EVERY around it.

    Raises:
        InvalidQuery: It needs a field that is not there any more.
    """
    hidden = bound and any(path[:1] and path[0] in bound for path in fields_in(expression))
    place = None if hidden else places.get(expression)
    match expression:
        case Field(path) if path and path[0] in bound:
            return expression
        case Field(path):
            return Field(place_of(path, places, what))
        case Aggregate() if place is None:
            raise InvalidQuery(f"An aggregate cannot stand here: the rows are {what}.", reason=what)
        case _ if place is not None:
            return Field(place)
        case Quantified():
            return within(expression, bound, lambda part, known: relocate(part, places, what, known))
    return map_children(expression, lambda part: relocate(part, places, what, bound))


def place_of(path: Path, places: Places, what: str) -> Path:
    """Where a path leads: to what stands at a place, or inside of it."""
    for length in range(len(path), -1, -1):
        place = places.get(Field(path[:length]))
        if place is not None:
            return (*place, *path[length:])
    shown = ".".join(map(str, path)) or "the document"
    message = f"{shown} has no single value: the rows are {what}, and not by it."
    raise InvalidQuery(message, reason=what, field=shown)


def fields_in(expression: Expression, bound: frozenset[str] = NOTHING_BOUND) -> frozenset[Path]:
    """The paths of the row that an expression needs."""
    found: set[Path] = set()

    def collect(part: Expression, known: frozenset[str]) -> Expression:
        match part:
            case Field(path) if not path or path[0] not in known:
                found.add(path)
            case Quantified():
                within(part, known, collect)
            case Field():
                pass
            case _:
                map_children(part, lambda each: collect(each, known))
        return part

    collect(expression, bound)
    return frozenset(found)
