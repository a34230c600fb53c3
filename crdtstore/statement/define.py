"""Statements about the store itself: CREATE INDEX, DROP INDEX, ALTER SYSTEM SET and SHOW.

Rules: each is a change of its own, never part of a transaction. An index that is not ready within the statement's time
goes on being built, or being removed, in the background: the statement has done its work all the same, and its row says
how far it is. No statement uses an index that is not ready, nor one that was dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from crdtstore.crdt.json_output import write_json
from crdtstore.errors import IndexExists, InvalidQuery, UnknownIndex, VersionNotAvailable
from crdtstore.query.dql.evaluate import compile_expression
from crdtstore.query.dql.expression import Field
from crdtstore.query.dql.statement import AlterSystem, CreateIndex, DropIndex, Show
from crdtstore.statement.answer import Executed
from crdtstore.statement.system import RESERVED_PREFIX, index_row
from crdtstore.statement.system_parameters import known_name
from crdtstore.storage.log import last_txn

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.indexes import IndexState
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.query.dql.expression import Expression
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.host import Host
    from crdtstore.statement.rows import Row

Definition: TypeAlias = CreateIndex | DropIndex | AlterSystem | Show


def define(store: Host, statement: Definition, context: Context, budget: Budget, after: int | None = None) -> Executed:
    """Run one of these statements.

    Raises:
        InvalidIndex: No index may be like this; IndexExists or UnknownIndex where the statement does not allow for it.
        InvalidQuery: There is no such system parameter.
        InvalidValue: It takes no such value.
        StoreReadOnly: The store was opened read-only, and this is not SHOW.
        VersionNotAvailable: `after` is not applied yet; nothing was done.
    """
    with store.view() as (snapshot, _):
        txn = last_txn(snapshot)
    if after is not None and after > txn:
        raise VersionNotAvailable(after, txn)
    rows: list[Row] = []
    warnings: tuple[str, ...] = ()
    match statement:
        case CreateIndex():
            state, warnings = create(store, statement, budget)
            rows = [index_row(state)]
        case DropIndex():
            drop(store, statement, budget)
        case AlterSystem(parameter, value):
            store.parameters.set(parameter, constant_of(value, context))
        case Show(parameter):
            name = known_name(parameter)
            rows = [{name: store.parameters.chosen().value(name, context.profile)}]
    return Executed(txn, tuple(map(write_json, rows)), warnings=warnings)


def create(store: Host, statement: CreateIndex, budget: Budget) -> tuple[IndexState, tuple[str, ...]]:
    """Make an index, and wait for it as long as the statement may take; how far it is, and what is to be said of it."""
    check_collection(statement.collection)
    indexes, (name, collection) = store.indexes, (statement.name, statement.collection)
    try:
        made = indexes.create(collection, statement.paths, name=name, seconds=budget.seconds_left())
    except IndexExists:
        known = find(store, name, collection) if statement.if_absent else None
        if known is None:  # it is there and must not be, or it is one of another name
            raise
        indexes.settle(known.number, budget.seconds_left())
        made = indexes.state(known.number)
    if made.paths != statement.paths:
        return made, (f"Index {name!r} is there already, with other paths.", *building(made))
    return made, building(made)


def building(state: IndexState) -> tuple[str, ...]:
    """What is to be said of an index that is not ready."""
    if state.state == "ready":
        return ()
    return (f"Index {state.name!r} is being built in the background: {state.documents} of {state.of} documents.",)


def drop(store: Host, statement: DropIndex, budget: Budget) -> None:
    """Take an index out of use, and wait for its entries to go as long as the statement may take."""
    try:
        store.indexes.drop(statement.name, collection=statement.collection, seconds=budget.seconds_left())
    except UnknownIndex:
        if not statement.if_present:
            raise


def find(store: Host, name: str, collection: str) -> IndexState | None:
    """An index of a collection, if there is one of this name."""
    try:
        return store.indexes.find(name, collection)
    except UnknownIndex:
        return None


def check_collection(name: str) -> None:
    """Refuse an index of what is the store's own."""
    if name.startswith(RESERVED_PREFIX):
        message = f"Collections whose names begin with {RESERVED_PREFIX!r} are the store's own: they have no indexes."
        raise InvalidQuery(message, reason="reserved-collection", name=name)


def constant_of(value: Expression, context: Context) -> Value:
    """The value that is set; no document is there to take a field from."""
    if isinstance(value, Field):
        raise InvalidQuery("A system parameter is set to a constant, not to a field.", reason="not-constant")
    return compile_expression(value, context)({})
