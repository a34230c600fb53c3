"""Rows: the documents of one collection that a condition matches, as objects of their fields.

Rules: as much of the condition as the shared tree can say is planned, and tested on documents as they lie; what is left
is evaluated on the row. A row has the fields that were asked for and that the document has, `_id` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from crdtstore.crdt.identifier import decode_id
from crdtstore.query.dql.condition import split_condition
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.values import truth
from crdtstore.query.find import filter_of
from crdtstore.query.lookup import ID_FIELD, FieldLookup
from crdtstore.query.order import BY_ID
from crdtstore.query.plan import make_plan
from crdtstore.query.search import search_rows
from crdtstore.query.statistics import measured_indexes
from crdtstore.query.tree import MISSING
from crdtstore.storage.documents import Row as StoredRow

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.dql.expression import Expression
    from crdtstore.query.dql.statement import Source
    from crdtstore.statement.budget import Budget
    from crdtstore.statement.view import View
    from crdtstore.storage.catalog import Catalog, Collection

Row: TypeAlias = dict[Any, "Value"]
CHUNK_ROWS: Final = 256


def read_rows(
    view: View,
    source: Source,
    where: Expression | None,
    names: tuple[str, ...] | None,
    context: Context,
    budget: Budget,
) -> Iterator[Row]:
    """The rows of a collection that a condition matches; those of one that does not exist are none.

    Args:
        view: What is read.
        source: The collection, and the name by which paths may begin with the document itself.
        where: The condition.
        names: The fields that are wanted; None for all.
        context: Parameters and the clock.
        budget: What may be spent.
    """
    collection = view.catalog.by_name.get(source.name)
    if collection is None:
        return
    split = split_condition(where, context, source.alias)
    tests = [compile_expression(part, context) for part in split.rest]
    plan = make_plan(collection, measured_indexes(view.snapshot, view.catalog, collection), split.node, BY_ID, None)
    filter_ = None if plan.exact else filter_of(split.node)
    for number, stored in enumerate(search_rows(view.snapshot, view.catalog, collection, plan.source, filter_)):
        if number % CHUNK_ROWS == 0:
            budget.spend(CHUNK_ROWS)
        row = make_row(view.catalog, collection, stored, names)
        if all(truth(test(aliased(row, source.alias))) is True for test in tests):
            yield row


def make_row(catalog: Catalog, collection: Collection, stored: StoredRow, names: tuple[str, ...] | None) -> Row:
    """A stored document as a row."""
    lookup = FieldLookup(catalog, collection, stored.id, stored.document)
    if names is None:
        return {ID_FIELD: decode_id(stored.id), **lookup(())}
    found = ((name, lookup((name,))) for name in names)
    return {name: value for name, value in found if value is not MISSING}


def aliased(row: Row, alias: str | None) -> Row:
    """A row whose paths may begin with the document's alias."""
    return row if alias is None else {alias: row, **row}
