"""What the naive interpreter refuses before it looks at a row.

Rules: in a join a path says of which source it is. A joined source is looked up by `_id` or by an index. What stands
beside a group is made of what was grouped by, and of aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.statement.naive_expressions import Expression, Refused
from tests.statement.naive_select import Select

Indexed = dict[str, set[tuple[str, ...]]]


def check_select(select: Select, indexed: Indexed) -> None:
    """Refuse what cannot be run."""
    if select.joins:
        names = {"_id", select.source.name, *[join.source.name for join in select.joins]}
        for expression in expressions_of(select):
            if any(str(keys[0]) not in names for keys in paths_in(expression)):
                raise Refused("ambiguous")
        check_join(select, indexed)
    if select.is_grouped:
        check_grouped(without_alias(select, select.source.alias))


def check_grouped(select: Select) -> None:
    """Refuse what has no single value in a group."""
    shown = [each for each in select.projections if each[0] == "column"]
    aliases = [("path", (name,)) for _, _, name in shown if name]
    beside = [*[value for _, value, _ in shown], *([] if select.having is None else [select.having])]
    if len(shown) < len(select.projections) or not all(is_made_of(each, select.group) for each in beside):
        raise Refused("grouped")
    if not all(is_made_of(key, (*select.group, *aliases)) for key, _ in select.order):
        raise Refused("grouped")


def without_alias(part: Any, alias: str | None) -> Any:
    """The same, with paths that begin in the document."""
    if isinstance(part, Select):
        kept = {name: without_alias(getattr(part, name), alias) for name in ("projections", "group", "having", "order")}
        return replace(part, **kept)
    if not isinstance(part, tuple) or part[:1] == ("value",):
        return part
    if part[:1] == ("path",):
        return ("path", part[1][1:] if part[1][0] == alias else part[1])
    return tuple([without_alias(each, alias) for each in part])


def expressions_of(select: Select) -> Iterator[Expression]:
    """All that is evaluated."""
    yield from (each[1] for each in select.projections if each[0] == "column")
    yield from (join.on for join in select.joins)
    yield from select.group
    yield from (each for each in (select.where, select.having) if each is not None)
    aliases = [each[2] for each in select.projections if each[0] == "column"]
    yield from (key for key, _ in select.order if key[0] != "path" or key[1][0] not in aliases)


def paths_in(expression: Any, bound: frozenset[str] = frozenset()) -> Iterator[tuple[Any, ...]]:
    """The paths of an expression that begin with no variable."""
    match expression:
        case ("value", _):
            return
        case ("path", keys):
            if keys[0] not in bound:
                yield keys
        case ("quantified", _, variable, array, condition):
            yield from paths_in(array, bound)
            yield from paths_in(condition, bound | {variable})
        case tuple():
            for part in expression:
                yield from paths_in(part, bound)


def check_join(select: Select, indexed: Indexed) -> None:
    """Refuse a join that would read all of a collection for each row."""
    for join in select.joins:
        inner = select.source if join.kind == "right" else join.source
        able = {("_id",), *indexed.get(inner.collection, ())}
        if not any(is_looked_up(part, inner.name, able) for part in parts_of(join.on)):
            raise Refused("join")


def parts_of(expression: Expression) -> Iterator[Expression]:
    """Conditions that all have to hold."""
    if expression[:2] == ("logic", "and"):
        for part in expression[2]:
            yield from parts_of(part)
    else:
        yield expression


def is_looked_up(part: Expression, inner: str, able: set[tuple[str, ...]]) -> bool:
    """Whether a condition says what a field of a source equals."""
    match part:
        case ("compare", "==", one, other):
            return any(
                field[0] == "path" and field[1][0] == inner and field[1][1:] in able and not is_about(value, inner)
                for field, value in ((one, other), (other, one))
            )
    return False


def is_about(expression: Expression, name: str) -> bool:
    """Whether an expression depends on a source."""
    return any(keys[0] == name for keys in paths_in(expression))


def is_made_of(expression: Any, keys: tuple[Expression, ...], bound: frozenset[Any] = frozenset()) -> bool:
    """Whether an expression has one value for all rows of a group."""
    match expression:
        case ("value", _) | ("aggregate", _, _, _):
            return True
        case ("path", path):
            return path[:1] in bound or any(("path", path[:length]) in keys for length in range(len(path) + 1))
        case ("quantified", _, variable, array, condition):
            return is_made_of(array, keys, bound) and is_made_of(condition, keys, bound | {(variable,)})
        case tuple():
            return expression in keys or all(is_made_of(part, keys, bound) for part in expression)
    return True
