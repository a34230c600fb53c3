"""The documents of a draft that a command's query matches.

Rules: documents that the transaction touched are asked as they are in the draft; all others are found as a reader
finds them, by id, by an index or by reading the collection, in what the transactions before it left. Matches are taken
before the first of them changes, so a command never sees its own work. Where a rule says what may be written, the
others are left out, and counted if they are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

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


class Selected(NamedTuple):
    """Documents to be changed, and how many more match that are seen and may not be written."""

    documents: list[DraftDocument]
    denied: int = 0


def select(draft: Draft, collection: Collection, query: str, args: Mapping[str, Value] | None) -> Selected:
    """The matching documents, taken into the draft: those that it has already, then the others in the order of ids.

    Raises:
        QuerySyntaxError: The query cannot be parsed.
    """
    node, rule = parse(query, args), None
    if draft.rules is not None:
        draft.rules.check_node(collection.name, node)
        node, rule = draft.rules.seen(collection.name, node), draft.rules.to_write(collection.name)
    touched = draft.touched(collection)
    filter_ = filter_of(node)
    found = [
        document
        for document in touched
        if document.living() and filter_.matches(draft.catalog, collection, document.id, document.living())
    ]
    seen = {document.id for document in touched}
    others = sorted(row for row in find_untouched(draft, collection, node) if row.id not in seen)
    if rule is None:
        return Selected(found + [draft.document(collection, *row) for row in others])
    writable = partial(filter_of(rule).matches, draft.catalog, collection)
    mine = [document for document in found if writable(document.id, document.living())]
    mine += [draft.document(collection, *row) for row in others if writable(*row)]
    return Selected(mine, len(found) + len(others) - len(mine))


def find_untouched(draft: Draft, collection: Collection, node: Node) -> list[Row]:
    """The matching documents as the transactions before this one left them."""
    # The writer's own indexes: what this group made or dropped is not among the rows of its batch yet.
    indexes = measure_ready(draft.batch, draft.catalog, collection.indexes)
    plan = make_plan(collection, indexes, node, BY_ID, None)
    filter_ = None if plan.exact else filter_of(node)
    return list(search_rows(draft.batch, draft.catalog, collection, plan.source, filter_))
