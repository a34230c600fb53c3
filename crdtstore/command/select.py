"""The documents of a draft that a command's query matches.

Rules: documents that the transaction touched are asked as they are in the draft; all others are found as a reader
finds them, by id, by an index or by reading the collection, in what the transactions before it left. Matches are taken
before the first of them changes, so a command never sees its own work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crdtstore.query.find import filter_of
from crdtstore.query.legacy import parse
from crdtstore.query.order import BY_ID
from crdtstore.query.plan import make_plan
from crdtstore.query.search import search_rows
from crdtstore.query.statistics import measure_ready

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.tree import Node
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.documents import Row
    from crdtstore.storage.draft import Draft, DraftDocument


def select(draft: Draft, collection: Collection, query: str, args: Mapping[str, Value] | None) -> list[DraftDocument]:
    """The matching documents, taken into the draft: those that it has already, then the others in the order of ids.

    Raises:
        QuerySyntaxError: The query cannot be parsed.
    """
    node = parse(query, args)
    if draft.rules is not None:
        node = draft.rules.written(collection.name, draft.rules.seen(collection.name, node))
    touched = draft.touched(collection)
    filter_ = filter_of(node)
    found = [
        document
        for document in touched
        if document.living() and filter_.matches(draft.catalog, collection, document.id, document.living())
    ]
    seen = {document.id for document in touched}
    others = [row for row in find_untouched(draft, collection, node) if row.id not in seen]
    return found + [draft.document(collection, *row) for row in sorted(others)]


def find_untouched(draft: Draft, collection: Collection, node: Node) -> list[Row]:
    """The matching documents as the transactions before this one left them."""
    # The writer's own indexes: what this group made or dropped is not among the rows of its batch yet.
    indexes = measure_ready(draft.batch, draft.catalog, collection.indexes)
    plan = make_plan(collection, indexes, node, BY_ID, None)
    filter_ = None if plan.exact else filter_of(node)
    return list(search_rows(draft.batch, draft.catalog, collection, plan.source, filter_))
