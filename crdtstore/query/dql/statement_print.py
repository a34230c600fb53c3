"""Statements of the statement language as text; reading the text gives an equal statement.

Rules: clauses stand in one order, an alias behind AS. What a statement leaves out is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtstore.query.dql.expression import Expression
from crdtstore.query.dql.expression_print import (
    print_expression,
    print_list,
    print_literal,
    print_name,
    print_path,
)
from crdtstore.query.dql.statement import (
    All,
    AlterSystem,
    Apply,
    Assignment,
    Column,
    CreateIndex,
    Declaration,
    DropIndex,
    Explain,
    Ids,
    Insert,
    Join,
    Projection,
    Remove,
    Select,
    Show,
    SortKey,
    Source,
    Statement,
    Update,
    Without,
)


def print_statement(statement: Statement) -> str:
    """Write a statement."""
    match statement:
        case Explain(verb, of):
            return f"{verb.upper()} {print_statement(of)}"
        case Select():
            return print_select(statement)
        case Insert():
            return print_insert(statement)
        case Update():
            return print_update(statement)
        case Remove():
            return print_remove(statement)
        case CreateIndex(name, collection, paths, if_absent):
            head = f"CREATE INDEX {'IF NOT EXISTS ' * if_absent}{print_name(name)} ON {print_name(collection)}"
            return f"{head} ({', '.join(map(print_path, paths))})"
        case DropIndex(name, collection, if_present):
            return f"DROP INDEX {'IF EXISTS ' * if_present}{print_name(name)} ON {print_name(collection)}"
        case AlterSystem(parameter, value):
            return f"ALTER SYSTEM SET {parameter} = {print_expression(value)}"
        case Show(parameter):
            return f"SHOW {parameter}"


def print_select(select: Select) -> str:
    """Write a SELECT."""
    parts = ["SELECT", *["DISTINCT"] * select.distinct, print_projections(select.projections)]
    parts += ["FROM", print_source(select.source), *map(print_join, select.joins)]
    parts += where(select.where)
    parts += [f"GROUP BY {print_list(select.group)}"] * bool(select.group)
    parts += [] if select.having is None else [f"HAVING {print_expression(select.having)}"]
    return " ".join([*parts, *tail(select)])


def print_insert(insert: Insert) -> str:
    """Write an INSERT."""
    parts = [f"INSERT INTO {print_source(insert.source)}"]
    if insert.select is not None:
        parts.append(print_select(insert.select))
    else:
        documents = ", ".join([f"({print_expression(document)})" for document in insert.documents])
        parts.append(f"{'INITIAL ' * insert.initial}DOCUMENTS {documents}")
    parts += [f"ON ID CONFLICT DO {insert.policy.upper()}"] * (insert.policy != "fail")
    return " ".join([*parts, *returning(insert.returning)])


def print_update(update: Update) -> str:
    """Write an UPDATE."""
    parts = [f"UPDATE {print_source(update.source)}"]
    clauses = (
        ("APPLY", map(print_apply, update.apply)),
        ("SET", map(print_assignment, update.set)),
        ("UNSET", map(print_path, update.unset)),
    )
    for word, written in clauses:
        text = ", ".join(written)
        parts += [f"{word} {text}"] * bool(text)
    return " ".join([*parts, *where(update.where), *returning(update.returning)])


def print_remove(remove: Remove) -> str:
    """Write a DELETE, EVICT or TOMBSTONE."""
    parts = [f"{remove.verb.upper()} FROM {print_source(remove.source)}", *where(remove.where)]
    return " ".join([*parts, *tail(remove), *returning(remove.returning)])


# --- clauses ---


def where(condition: Expression | None) -> list[str]:
    """Write WHERE."""
    return [] if condition is None else [f"WHERE {print_expression(condition)}"]


def tail(statement: Select | Remove) -> list[str]:
    """Write ORDER BY, LIMIT and OFFSET."""
    parts = [f"ORDER BY {', '.join(map(print_sort_key, statement.order))}"] * bool(statement.order)
    parts += [] if statement.limit is None else [f"LIMIT {print_expression(statement.limit)}"]
    return parts + ([] if statement.offset is None else [f"OFFSET {print_expression(statement.offset)}"])


def returning(projections: tuple[Projection, ...]) -> list[str]:
    """Write RETURNING."""
    return [f"RETURNING {print_projections(projections)}"] * bool(projections)


def print_projections(projections: Iterable[Projection]) -> str:
    """Write what is made of each row."""
    return ", ".join(map(print_projection, projections))


def print_projection(projection: Projection) -> str:
    """Write one item of it."""
    match projection:
        case All(alias):
            return "*" if alias is None else f"{print_name(alias)}.*"
        case Without(path):
            return f"MISSING {print_path(path)}"
        case Column(value, alias):
            return print_expression(value) + named(alias)


def named(alias: str | None) -> str:
    """Write an alias."""
    return "" if alias is None else f" AS {print_name(alias)}"


def print_sort_key(key: SortKey) -> str:
    """Write a key of an order."""
    return print_expression(key.value) + " DESC" * key.descending


def print_source(source: Source) -> str:
    """Write a source."""
    if source.system:
        name = f"system:{source.name}"
    elif source.declarations:
        name = f"COLLECTION {print_name(source.name)} {print_declarations(source.declarations)}"
    else:
        name = print_name(source.name)
    parts = [name + named(source.alias)]
    parts += [] if source.ids is None else [f"USE IDS {print_ids(source.ids)}"]
    parts += [f"USE INDEX {', '.join(map(print_literal, source.indexes))}"] * bool(source.indexes)
    parts += [] if source.directives is None else [f"USE DIRECTIVES {print_literal(source.directives)}"]
    return " ".join(parts)


def print_ids(ids: Ids) -> str:
    """Write ids."""
    return print_list(ids.items) if ids.parameter is None else f"LIST :{ids.parameter}"


def print_declarations(declarations: tuple[Declaration, ...]) -> str:
    """Write the types of fields."""
    return f"({', '.join(map(print_declaration, declarations))})"


def print_declaration(declaration: Declaration) -> str:
    """Write the type of a field."""
    inside = f" {print_declarations(declaration.inside)}" if declaration.inside else ""
    return f"{print_name(declaration.name)} {declaration.type.upper()}{inside}"


def print_join(join: Join) -> str:
    """Write a join."""
    return f"{join.kind.upper()} JOIN {print_source(join.source)} ON {print_expression(join.on)}"


def print_apply(apply: Apply) -> str:
    """Write what is done to a counter."""
    word = f"{print_path(apply.path)} {apply.operation.upper()}"
    if apply.value is None:
        return word
    return f"{word} {'WITH' if apply.operation == 'restart' else 'BY'} {print_expression(apply.value)}"


def print_assignment(assignment: Assignment) -> str:
    """Write a field that is set."""
    path = print_path(assignment.path)
    if assignment.value is None:
        return f"{path} -> DEFAULT()"
    return f"{path} = {print_expression(assignment.value)}"
