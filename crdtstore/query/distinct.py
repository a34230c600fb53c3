"""Distinct values: what the documents that match have at a path, each value once.

Rules: sorted as value keys are, and what has one key, such as objects, by its encoding; a document that has nothing
there adds nothing. Equal numbers are one value, whatever
their type. An index of the path alone gives them group by group, without reading what is in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.crdt.identifier import ARRAY, OBJECT
from crdtstore.crdt.value_key import value_key
from crdtstore.errors import LimitExceeded
from crdtstore.limits import DISTINCT_VALUES_MAX
from crdtstore.query.bounds import behind
from crdtstore.query.find import filter_of
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.order import BY_ID
from crdtstore.query.plan import make_plan
from crdtstore.query.relation import identity
from crdtstore.query.search import search_rows
from crdtstore.query.statistics import measured_indexes
from crdtstore.query.tree import EVERY_DOCUMENT, MISSING, canonical
from crdtstore.storage.documents import split_row
from crdtstore.storage.index import WHOLE
from crdtstore.storage.index_entries import HEAD_BYTES, part_prefix, split_entry
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from crdtstore.crdt.value import Value
    from crdtstore.query.tree import Node, Path
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.documents import Row
    from crdtstore.storage.index import Index
    from crdtstore.storage.interface import Snapshot


def distinct(snapshot: Snapshot, catalog: Catalog, collection: Collection, node: Node, path: Path) -> list[Value]:
    """The different values at a path.

    Raises:
        LimitExceeded: There are more than DISTINCT_VALUES_MAX.
    """
    found: dict[Hashable, Value] = {}
    for row in rows_to_ask(snapshot, catalog, collection, node, path):
        value = FieldLookup(catalog, collection, row.id, row.document)(path)
        if value is not MISSING:
            found.setdefault(identity(value, dates=False), value)
            check_number(len(found))
    return sorted(found.values(), key=lambda value: (value_key(value), canonical(value)))


def check_number(values: int) -> None:
    """Refuse more values than an answer may hold."""
    if values > DISTINCT_VALUES_MAX:
        message = f"There are more than {DISTINCT_VALUES_MAX} different values; narrow the query."
        raise LimitExceeded(message, limit="DISTINCT_VALUES_MAX", value=values, maximum=DISTINCT_VALUES_MAX)


def rows_to_ask(snapshot: Snapshot, catalog: Catalog, collection: Collection, node: Node, path: Path) -> Iterator[Row]:
    """Documents that together have every value: one of each group of an index, or all that match."""
    indexes = list(measured_indexes(snapshot, catalog, collection))
    index = next((each.index for each in indexes if each.index.paths == (path,)), None)
    if node == EVERY_DOCUMENT and index is not None and not index.inexact:
        return rows_of_groups(snapshot, collection, index)
    plan = make_plan(collection, indexes, node, BY_ID, None)
    filter_ = None if plan.exact else filter_of(node)
    return search_rows(snapshot, catalog, collection, plan.source, filter_)


def rows_of_groups(snapshot: Snapshot, collection: Collection, index: Index) -> Iterator[Row]:
    """A document of each group; all of those whose columns do not tell different values apart."""
    prefix = part_prefix(index, WHOLE)
    start, end = prefix, behind(prefix)
    while (entry := next(iter(snapshot.scan(Table.ENTRIES, start, end)), None)) is not None:
        group, id_key = split_entry(*entry)
        place = collection.prefix + id_key
        stored = snapshot.get(Table.DOCUMENTS, place)
        if stored is not None:
            yield split_row(collection, place, stored)
        # Arrays that hold objects share their keys, and so do objects.
        alike = group[HEAD_BYTES] in (ARRAY, OBJECT)
        start = entry[0] + b"\0" if alike else behind(group)
