"""UPDATE: fields of the documents that a condition matches are changed.

Rules: which documents and, for each, all new values are known before the first of it changes. They change in the order
of their ids. One that cannot be changed refuses the whole statement. No path is changed twice, nor below one that is.

- A value is written as its field's type: one that is not declared as what it is, so an object merges into a map. What
  is MISSING is not written.
- INCREMENT and RESTART take an integer, PN_INCREMENT any number. In an undeclared field that shows something else than
  a counter there is nothing to add to; RESTART begins one there.
- UNSET takes away the field with all types that it has. The object above it stays, empty if that was its last field.
- A document is listed if anything was written into it, what it had already too; an UNSET of nothing writes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.command.update import add_to_counter
from crdtstore.command.upsert import check_written
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document import type_at
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.flatten import flatten_value
from crdtstore.crdt.identifier import decode_id
from crdtstore.crdt.operation import Mark, Restart
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.value import check_number
from crdtstore.errors import CallerError, InvalidQuery, InvalidValue
from crdtstore.query.dql import messages
from crdtstore.query.dql.condition import is_constant
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.tree import ID_PATH, MISSING
from crdtstore.statement.faults import modified_twice, name_place
from crdtstore.statement.field_types import check_above, check_counter, default_of, kinds_at, types_of
from crdtstore.statement.mutated import Returning
from crdtstore.statement.scope import resolve, scope_of_source
from crdtstore.statement.targets import find_targets, ids_of, row_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdtstore.crdt.value import Number, Value
    from crdtstore.query.dql.evaluate import Context, Evaluator
    from crdtstore.query.dql.expression import Expression
    from crdtstore.query.dql.statement import Keys, Update
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.field_types import Types
    from crdtstore.statement.mutated import Mutated
    from crdtstore.storage.draft import Draft, DraftDocument


class Step(NamedTuple):
    """One change: what gives the new value, and what writes it; the latter says whether it did."""

    path: Keys
    value: Evaluator
    write: Callable[[DraftDocument, Keys, Value], bool]


def update(statement: Update, draft: Draft, context: Context, budget: Budget) -> Mutated:
    """Run an UPDATE on a draft."""
    steps = make_steps(statement, types_of(statement.source, context.profile), context)
    constant = all(map(is_constant, expressions(statement)))
    source, returning = statement.source, Returning(statement, context, budget)
    read = row_reader(draft, source, context)
    changed = []
    for document in find_targets(draft, source, statement.where, context, budget):
        budget.spend(0)
        row = {} if constant else read(document)
        if change(document, [(step, step.value(row)) for step in steps]):
            changed.append(document)
    return returning.answer(ids_of(changed), map(read, changed))


def expressions(statement: Update) -> list[Expression]:
    """What is evaluated for each document."""
    values = [*(each.value for each in statement.set), *(each.value for each in statement.apply)]
    return [value for value in values if value is not None]


def change(document: DraftDocument, steps: list[tuple[Step, Value]]) -> bool:
    """Make all changes of one document; whether it is to be listed."""
    before, wrote = document.document(), False
    path: Keys | None = None
    try:
        for step, value in steps:
            path = step.path
            wrote |= step.write(document, path, value)
        path = None
        check_written(document)
        keep_parents(document, before, [step.path[:-1] for step, _ in steps if step.write is unset])
        return wrote or document.document() != before
    except CallerError as error:
        raise name_place(error, document.collection.name, decode_id(document.id), path)  # noqa: B904  the same error


# --- what a statement says, checked ---


def make_steps(statement: Update, types: Types, context: Context) -> list[Step]:
    """The changes, counters first: what they add to is read from the document as it was before."""
    alias, scope = statement.source.alias, scope_of_source(statement.source)

    def read(value: Expression | None) -> Evaluator | None:
        return None if value is None else compile_expression(resolve(value, scope), context)

    steps = [make_apply(each.operation, below(alias, each.path), read(each.value), types) for each in statement.apply]
    steps += [Step(below(alias, path), lambda _: MISSING, unset) for path in statement.unset]
    steps += [make_set(below(alias, each.path), read(each.value), types) for each in statement.set]
    check_paths([step.path for step in steps])
    for step in steps:
        check_above(types, step.path)
    return steps


def below(alias: str | None, path: Keys) -> Keys:
    """A path of the document: what stands behind its alias."""
    return path[1:] if len(path) > 1 and path[0] == alias else path


def check_paths(paths: list[Keys]) -> None:
    """Refuse the id, and a path that is changed by itself and again above or below.

    Raises:
        InvalidQuery: One of these.
    """
    known = set()
    for path in sorted(paths):
        if path[:1] == ID_PATH:
            message = messages.ID_NOT_MODIFIABLE
            raise InvalidQuery(f"{message}.", reason="path", description=message)
        if any(path[:length] in known for length in range(1, len(path) + 1)):
            raise modified_twice(path)
        known.add(path)


def make_set(path: Keys, value: Evaluator | None, types: Types) -> Step:
    """The change that SET makes."""

    def write(document: DraftDocument, path: Keys, value: Value) -> bool:
        if value is MISSING:
            return False
        kinds = kinds_at(types, value, path)
        for operation in flatten_value(value, encode_path(path), kinds, len(path)):
            document.fold.write(operation)
        return True

    if value is None:
        default = default_of(types, path)
        return Step(path, lambda _: default, write)
    return Step(path, value, write)


def make_apply(operation: str, path: Keys, value: Evaluator | None, types: Types) -> Step:
    """The change that APPLY makes."""
    check_counter(types, path)
    declared = types.at(path) is not None

    def restart(document: DraftDocument, path: Keys, value: Value) -> bool:
        document.fold.write(Restart(encode_path(path), check_integer(value)))
        return True

    def increment(document: DraftDocument, path: Keys, value: Value) -> bool:
        delta = check_number(value) if operation == "pn_increment" else check_integer(value)
        cells = unpack_document(document.document(), document.collection.paths, document.draft.catalog.replicas)
        kind = type_at(cells, encode_path(path))
        if not declared and kind not in (None, CellType.COUNTER):
            raise no_counter(kind)
        add_to_counter(document, cells, encode_path(path), delta)
        return True

    return Step(path, value or (lambda _: 0), restart if operation == "restart" else increment)


def check_integer(value: Value) -> Number:
    """Refuse what INCREMENT and RESTART do not take."""
    if isinstance(value, float):
        raise InvalidValue(f"INCREMENT and RESTART take an integer, not {value}; PN_INCREMENT takes any number.")
    return check_number(None if value is MISSING else value)


def no_counter(kind: CellType) -> InvalidValue:
    """The error for adding to what is no counter."""
    if kind == CellType.REGISTER:
        message = f"{messages.NOT_ON_REGISTER}: only a counter can be incremented."
        return InvalidValue(message, description=messages.NOT_ON_REGISTER)
    return InvalidValue(f"Only a counter can be incremented; a {kind.name.lower()} is there.")


# --- unset ---


def unset(document: DraftDocument, path: Keys, _: Value) -> bool:
    """Take a field away.

    Raises:
        InvalidValue: It is a part of a REGISTER's value.
    """
    if field(document, path) is not MISSING:
        cells = unpack_document(document.document(), document.collection.paths, document.draft.catalog.replicas)
        if type_at(cells, encode_path(path)) is None:
            message = f"{messages.NOT_ON_REGISTER}: what stands inside of its value goes only with all of it."
            raise InvalidValue(message, description=messages.NOT_ON_REGISTER)
    document.fold.remove(encode_path(path))
    return False


def keep_parents(document: DraftDocument, before: bytes, parents: list[Keys]) -> None:
    """Keep the objects that would be gone with their last field; the document is one of them."""
    held = [path for path in parents if read(document, before, path) is not MISSING]
    for path in [path for path in held if field(document, path) is MISSING]:
        document.fold.write(Mark(encode_path(path)))
        document.changed()


def field(document: DraftDocument, path: Keys) -> Value:
    """What is visible at a path of a document as it is now."""
    return read(document, document.living(), path)


def read(document: DraftDocument, data: bytes, path: Keys) -> Value:
    """What is visible at a path of document bytes."""
    return core.read_field(data, path, document.collection.paths, document.draft.catalog.replicas) if data else MISSING
