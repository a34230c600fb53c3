"""Rows: the documents of one collection that a condition matches, as objects of their fields.

Rules: as much of the condition as the shared tree can say is planned, and tested on documents as they lie; what is left
is evaluated on the row. A row has the fields that were asked for and that the document has, `_id` first. In a
transaction the documents that it touched come first, as it left them, then the others as a reader finds them. Where the
types of fields are declared the condition is evaluated on rows, all but what it says of the `_id`; the tree leaves out
what cannot match whatever its types.

Not here: which types of fields are shown (`declared`), where documents are looked for (`query/plan.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import InvalidQuery, UnknownIndex
from crdtstore.limits import ORDER_KEYS_MAX
from crdtstore.query import tree
from crdtstore.query.dql.condition import Split, join_all, parts_of, split_condition
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.expression import Expression, Field, Parameter
from crdtstore.query.find import count, filter_of
from crdtstore.query.lookup import ID_FIELD
from crdtstore.query.mask import mask
from crdtstore.query.order import BY_ID, DQL_ORDER, Order, OrderKey
from crdtstore.query.plan import make_plan
from crdtstore.query.search import names_in_order, read_row, search_fields, search_rows
from crdtstore.query.statistics import measure_ready, measured_indexes
from crdtstore.query.tree import ID_PATH
from crdtstore.statement.declared import is_declared, is_sure, show_declared
from crdtstore.statement.scope import Scope, fields_in, resolve
from crdtstore.statement.system import rows_of
from crdtstore.storage.catalog import read_counts
from crdtstore.storage.documents import Row as StoredRow
from crdtstore.storage.documents import living_document
from crdtstore.storage.index import read_indexes

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.evaluate import Evaluator
    from crdtstore.query.dql.statement import SortKey, Source
    from crdtstore.query.plan import Plan
    from crdtstore.query.source import Source as SearchSource
    from crdtstore.query.statistics import Measured
    from crdtstore.query.tree import Node
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View
    from crdtstore.storage.catalog import Collection

Row: TypeAlias = dict[Any, "Value"]
Names: TypeAlias = tuple[str, ...] | None
T = TypeVar("T")
CHUNK_ROWS: Final = 256
EXAMINED_AT_ONCE: Final = 4_096
"""Documents that are looked at between two looks at the time."""


class Asked(NamedTuple):
    """What is asked of one source: by the tree, then by evaluating the rest on its rows."""

    node: Node
    tests: tuple[Evaluator, ...]
    names: Names


class Opened(NamedTuple):
    """Rows, and whether they come in the order that was asked for."""

    rows: Iterator[Row]
    ordered: bool


def read_rows(
    view: View, source: Source, where: Expression | None, names: Names, context: Context, budget: Budget
) -> Iterator[Row]:
    """The rows of a source that a condition matches, in no order; see `open_rows`."""
    return open_rows(view, source, where, names, context, budget).rows


def open_rows(
    view: View,
    source: Source,
    where: Expression | None,
    names: Names,
    context: Context,
    budget: Budget,
    order: Order = BY_ID,
    wanted: int | None = None,
) -> Opened:
    """The rows of a source that a condition matches; a collection that does not exist has none.

    Args:
        view: What is read.
        source: The collection, and the name by which paths may begin with the document itself.
        where: The condition.
        names: The fields that are wanted; None for all. Rows may have others that the condition needs.
        context: Parameters and the clock.
        budget: What may be spent.
        order: In which they would best come; without keys any will do.
        wanted: How many rows are read at most; None for all.

    Raises:
        UnknownIndex: The source names an index that the collection does not have.
        Forbidden: A field is asked for that is not shown.
    """
    asked = ask(source, where, names, context)
    if order.keys and not source.system:
        context.rules.check_paths(source.name, (key.path for key in order.keys))
    if source.system:
        return Opened(filter_rows(read_system(view, source, context, budget), asked.tests), ordered=False)
    collection = view.catalog.by_name.get(source.name)
    if collection is None:
        return Opened(iter(()), ordered=True)
    plan = plan_source(view, collection, source, asked.node, order, wanted)
    if is_declared(source, context.profile):
        stored = look_up(view, collection, plan, asked, budget)
        rows: Iterator[Row] = (
            show_declared(view.catalog, collection, seen(view, collection, each, context), source, context.profile)
            for each in stored
        )
    elif view.draft is not None:
        stored = find_stored(view, collection, plan, asked.node, budget)
        rows = (read_row(view.catalog, collection, each, asked.names) for each in stored)
    else:
        rows = fetch_rows(view, collection, plan, asked, budget, wanted)
    ordered = bool(order.keys) and plan.ordered and view.draft is None
    return Opened(filter_rows(rows, asked.tests) if asked.tests else rows, ordered)


def ask(source: Source, where: Expression | None, names: Names, context: Context) -> Asked:
    """Divide a condition between the tree and its evaluation."""
    split = split_where(source, where, context)
    scope = Scope(() if source.alias is None else (source.alias,))
    rest = [resolve(part, scope) for part in split.rest]
    node = split.node
    if source.ids is not None:
        node = join_all([tree.Contains(tree.Literal(ids_of(source, context)), tree.Field(ID_PATH), tree.DQL), node])
    if not source.system:
        node = context.rules.seen(source.name, node)
    needed = names_of(rest, names)
    if not source.system and source.name in context.rules.fields:
        check_asked(source, where, needed, scope, context)
        needed = (ID_FIELD, *context.rules.fields[source.name]) if needed is None else needed
    shown = None if needed is None else names_in_order(needed)
    return Asked(node, tuple(compile_expression(part, context) for part in rest), shown)


def check_asked(source: Source, where: Expression | None, names: Names, scope: Scope, context: Context) -> None:
    """Refuse a condition, and names of what is wanted, that ask for a field that is not shown."""
    for part in parts_of(where):
        context.rules.check_paths(source.name, fields_in(resolve(part, scope)))
    context.rules.check_paths(source.name, ((name,) for name in names or ()))


def seen(view: View, collection: Collection, row: StoredRow, context: Context) -> StoredRow:
    """A document as its reader sees it."""
    shown = context.rules.fields.get(collection.name)
    return row if shown is None else row._replace(document=mask(view.catalog.replicas, collection, row.document, shown))


def split_where(source: Source, where: Expression | None, context: Context) -> Split:
    """What the tree can say of a condition on the rows of a source."""
    split = split_condition(where, context, source.alias)
    if not source.system and not is_declared(source, context.profile):
        return split
    said: list[Node] = []
    sure: list[Node] = []
    rest: list[Expression] = []
    for part in parts_of(where):
        node = split_condition(part, context, source.alias)
        if node.rest or source.system:
            rest.append(part)
        elif about_id(part, source.alias):
            said.append(node.node)
        else:
            rest.append(part)
            sure += [node.node] if is_sure(node.node) else []
    if sure:
        # Where types rival a reader may see another one than the statement does.
        said.append(tree.Or((join_all(sure), tree.Conflicted(()))))
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


def read_system(view: View, source: Source, context: Context, budget: Budget) -> Iterator[Row]:
    """What the store tells of itself: all of it, or the rows that USE IDS names."""
    rows = spend_on(rows_of(view, source.name), budget)
    if source.ids is None:
        return rows
    wanted = ids_of(source, context)
    return (row for row in rows if row[ID_FIELD] in wanted)


# --- documents ---


def plan_source(
    view: View, collection: Collection, source: Source, node: Node, order: Order, wanted: int | None
) -> Plan:
    """Where the documents of a source are looked for.

    Raises:
        UnknownIndex: The source names an index that the collection does not have.
    """
    indexes = named_indexes(view, collection, source.indexes) if source.indexes else ready_indexes(view, collection)
    return make_plan(collection, indexes, node, order, wanted)


def fetch_rows(
    view: View, collection: Collection, plan: Plan, asked: Asked, budget: Budget, wanted: int | None
) -> Iterator[Row]:
    """The rows of a snapshot that the tree matches, a chunk at a time."""
    filter_ = None if plan.exact else filter_of(asked.node)
    source: SearchSource | None = plan.source
    size = CHUNK_ROWS if wanted is None or asked.tests else min(CHUNK_ROWS, max(1, wanted))
    while source is not None:
        rows, source, examined = search_fields(
            view.snapshot,
            view.catalog,
            collection,
            source,
            filter_,
            asked.names,
            size,
            EXAMINED_AT_ONCE,
            budget.deadline,
        )
        budget.spend(examined.rows, examined.entries)
        yield from rows


def look_up(view: View, collection: Collection, plan: Plan, asked: Asked, budget: Budget) -> Iterator[StoredRow]:
    """The documents of a view that the tree matches, as they are stored: of a snapshot by the ids that it finds."""
    if view.draft is not None:
        yield from find_stored(view, collection, plan, asked.node, budget)
        return
    for row in fetch_rows(view, collection, plan, asked._replace(names=(ID_FIELD,)), budget, None):
        id_ = encode_id(row[ID_FIELD])
        yield StoredRow(id_, living_document(view.snapshot, collection, id_))


def find_stored(view: View, collection: Collection, plan: Plan, node: Node, budget: Budget) -> Iterator[StoredRow]:
    """The documents of a view that the tree matches, as they are stored."""
    filter_, catalog = filter_of(node), view.catalog
    touched = [] if view.draft is None else view.draft.touched(collection)
    seen = {document.id for document in touched}
    for document in touched:
        living = document.living()
        if living and filter_.matches(catalog, collection, document.id, living):
            yield StoredRow(document.id, living)
    others = search_rows(view.snapshot, catalog, collection, plan.source, None)
    for row in spend_on(others, budget):
        if row.id not in seen and (plan.exact or filter_.matches(catalog, collection, *row)):
            yield row


def spend_on(rows: Iterator[T], budget: Budget) -> Iterator[T]:
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


def order_of(keys: tuple[SortKey, ...]) -> Order | None:
    """An order of fields as documents are found in it; None where other things are compared."""
    paths = [OrderKey(key.value.path, key.descending) for key in keys if isinstance(key.value, Field)]
    if len(paths) < len(keys) or len(paths) > ORDER_KEYS_MAX or not all(key.path for key in paths):
        return None
    return Order(tuple(paths), DQL_ORDER)


# --- counting ---


def count_rows(view: View, source: Source, where: Expression | None, context: Context, budget: Budget) -> int | None:
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
    return count(view.snapshot, view.catalog, collection, asked.node, budget.deadline)
