"""Rows: the documents of one collection that a condition matches, as objects of their fields.

Rules: as much of the condition as the shared tree can say is planned, and tested on documents as they lie; what is left
is evaluated on the row. A row has the fields that were asked for and that the document has, `_id` first. In a
transaction the documents that it touched come first, as it left them, then the others as a reader finds them. Where the
types of fields are declared the condition is evaluated on rows, all but what it says of the `_id`.

Not here: which types of fields are shown (`declared`), where documents are looked for (`query/plan.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import InvalidQuery, UnknownIndex
from crdtstore.query import tree
from crdtstore.query.dql.condition import Split, join_all, parts_of, split_condition
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.expression import Expression, Parameter
from crdtstore.query.find import count, filter_of
from crdtstore.query.lookup import ID_FIELD, FieldLookup
from crdtstore.query.order import BY_ID
from crdtstore.query.plan import make_plan
from crdtstore.query.search import search_rows
from crdtstore.query.statistics import measure_ready, measured_indexes
from crdtstore.query.tree import ID_PATH, MISSING
from crdtstore.statement.declared import is_declared, show_declared
from crdtstore.statement.scope import Scope, fields_in, resolve
from crdtstore.storage.catalog import read_counts
from crdtstore.storage.documents import Row as StoredRow
from crdtstore.storage.index import read_indexes

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Evaluator
    from crdtstore.query.dql.statement import Source
    from crdtstore.query.statistics import Measured
    from crdtstore.query.tree import Node
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View
    from crdtstore.storage.catalog import Catalog, Collection

Row: TypeAlias = dict[Any, "Value"]
Names: TypeAlias = tuple[str, ...] | None
CHUNK_ROWS: Final = 256


class Asked(NamedTuple):
    """What is asked of one source: by the tree, then by evaluating the rest on its rows."""

    node: Node
    tests: tuple[Evaluator, ...]
    names: Names


def read_rows(
    view: View, source: Source, where: Expression | None, names: Names, context: Context, budget: Budget
) -> Iterator[Row]:
    """The rows of a source that a condition matches; a collection that does not exist has none.

    Args:
        view: What is read.
        source: The collection, and the name by which paths may begin with the document itself.
        where: The condition.
        names: The fields that are wanted; None for all. Rows may have others that the condition needs.
        context: Parameters and the clock.
        budget: What may be spent.

    Raises:
        UnknownIndex: The source names an index that the collection does not have.
    """
    asked = ask(source, where, names, context)
    if source.system:
        return filter_rows(system_rows(view, source.name), asked.tests)
    collection = view.catalog.by_name.get(source.name)
    if collection is None:
        return iter(())
    stored = find_stored(view, collection, source, asked.node, budget)
    if is_declared(source, context.profile):
        rows = (show_declared(view.catalog, collection, each, source, context.profile) for each in stored)
    else:
        rows = (make_row(view.catalog, collection, each, asked.names) for each in stored)
    return filter_rows(rows, asked.tests) if asked.tests else rows


def ask(source: Source, where: Expression | None, names: Names, context: Context) -> Asked:
    """Divide a condition between the tree and its evaluation."""
    split = split_where(source, where, context)
    scope = Scope(() if source.alias is None else (source.alias,))
    rest = [resolve(part, scope) for part in split.rest]
    node = split.node
    if source.ids is not None:
        node = join_all([tree.Contains(tree.Literal(ids_of(source, context)), tree.Field(ID_PATH), tree.DQL), node])
    return Asked(node, tuple(compile_expression(part, context) for part in rest), names_of(rest, names))


def split_where(source: Source, where: Expression | None, context: Context) -> Split:
    """What the tree can say of a condition on the rows of a source."""
    split = split_condition(where, context, source.alias)
    if not source.system and not is_declared(source, context.profile):
        return split
    said: list[Node] = []
    rest: list[Expression] = []
    for part in parts_of(where):
        node = split_condition(part, context, source.alias)
        if source.system or node.rest or not about_id(part, source.alias):
            rest.append(part)
        else:
            said.append(node.node)
    return Split(join_all(said), tuple(rest))


def about_id(part: Expression, alias: str | None) -> bool:
    """Whether a condition is about nothing but the `_id`."""
    paths = fields_in(resolve(part, Scope(() if alias is None else (alias,))))
    return all(path[:1] == ID_PATH for path in paths)


def ids_of(source: Source, context: Context) -> list[Value]:
    """The ids behind USE IDS."""
    if source.ids is None or source.ids.parameter is None:
        items = () if source.ids is None else source.ids.items
        return [compile_expression(item, context)({}) for item in items]
    listed = compile_expression(Parameter(source.ids.parameter), context)({})
    if listed.__class__ is not list:
        raise InvalidQuery(f"USE IDS LIST takes an array; :{source.ids.parameter} is none.", reason="ids")
    return listed


def names_of(expressions: Iterable[Expression], names: Names = ()) -> Names:
    """The fields of the row that expressions need besides some; None for all."""
    wanted = dict.fromkeys(() if names is None else names)
    for expression in expressions:
        for path in sorted(fields_in(expression), key=str):
            if not path:
                return None
            wanted[str(path[0])] = None
    return None if names is None else tuple(wanted)


def filter_rows(rows: Iterable[Row], tests: tuple[Evaluator, ...]) -> Iterator[Row]:
    """The rows for which every test is true."""
    for row in rows:
        for test in tests:
            if test(row) is not True:
                break
        else:
            yield row


def system_rows(view: View, name: str) -> Iterator[Row]:  # noqa: ARG001  what the store tells of itself needs a view
    """What the store tells of itself."""
    raise InvalidQuery(f"There is no system collection {name}.", reason="system", name=name)


# --- documents ---


def find_stored(view: View, collection: Collection, source: Source, node: Node, budget: Budget) -> Iterator[StoredRow]:
    """The documents of a view that match."""
    indexes = list(named_indexes(view, collection, source.indexes))
    plan = make_plan(collection, indexes if source.indexes else ready_indexes(view, collection), node, BY_ID, None)
    filter_ = None if plan.exact else filter_of(node)
    stored = spend_on(search_rows(view.snapshot, view.catalog, collection, plan.source, filter_), budget)
    if view.draft is None:
        return stored
    touched = view.draft.touched(collection)
    seen = {document.id for document in touched}
    living = [StoredRow(document.id, document.living()) for document in touched if document.living()]
    test = filter_of(node)
    own = [row for row in living if test.matches(view.catalog, collection, row.id, row.document)]
    return chain_stored(own, stored, seen)


def chain_stored(own: list[StoredRow], others: Iterator[StoredRow], seen: set[bytes]) -> Iterator[StoredRow]:
    """The documents of a transaction, then those that it did not touch."""
    yield from own
    for row in others:
        if row.id not in seen:
            yield row


def spend_on(rows: Iterator[StoredRow], budget: Budget) -> Iterator[StoredRow]:
    """The same rows; each chunk is paid for."""
    while chunk := list(islice(rows, CHUNK_ROWS)):
        budget.spend(len(chunk))
        yield from chunk


def ready_indexes(view: View, collection: Collection) -> Iterator[Measured]:
    """The indexes that can be read, looked for when the first is asked for."""
    if view.draft is None:
        yield from measured_indexes(view.snapshot, view.catalog, collection)
    else:
        # The writer's own indexes: what this group made or dropped is not among the rows of its batch yet.
        yield from measure_ready(view.snapshot, view.catalog, collection.indexes)


def named_indexes(view: View, collection: Collection, names: tuple[str, ...]) -> Iterator[Measured]:
    """Those of some names that can be read.

    Raises:
        UnknownIndex: The collection has none of a name.
    """
    if not names:
        return
    there = read_indexes(view.snapshot, collection.number) if view.draft is None else collection.indexes
    known = {index.name for index in there}
    for name in names:
        if name not in known:
            raise UnknownIndex(f"Collection {collection.name} has no index {name}.", name=name)
    yield from (each for each in ready_indexes(view, collection) if each.index.name in names)


def make_row(catalog: Catalog, collection: Collection, stored: StoredRow, names: Names) -> Row:
    """A stored document as a row."""
    lookup = FieldLookup(catalog, collection, stored.id, stored.document)
    if names is None:
        return {ID_FIELD: decode_id(stored.id), **lookup(())}
    found = ((name, lookup((name,))) for name in names)
    return {name: value for name, value in found if value is not MISSING}


# --- counting ---


def count_rows(view: View, source: Source, where: Expression | None, context: Context) -> int | None:
    """How many rows a source has that match, None where they have to be read for that."""
    if source.system or view.draft is not None or is_declared(source, context.profile):
        return None
    asked = ask(source, where, (), context)
    collection = view.catalog.by_name.get(source.name)
    if collection is None:
        return 0
    if asked.tests or source.indexes:
        return None
    if asked.node == tree.EVERY_DOCUMENT:
        counts = (row.living for row in read_counts(view.snapshot) if row.name == source.name)
        return next(counts, 0)
    return count(view.snapshot, view.catalog, collection, asked.node)
