"""Finding: the documents of a snapshot that a query matches, in its order, a page at a time, printed as they lie.

Rules: only what is returned is printed. Everything of one call is read from one snapshot. Every order is total: what
its keys leave equal comes by id, ascending, and so does everything where there are no keys. A page that is not the last
knows its position, behind which the next one begins, whichever way that one is then read.

Not here: which languages there are, where documents are looked for (`plan`), the loops (`search`), how a position
leaves the store (`cursor`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from heapq import nsmallest
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from crdtstore import core
from crdtstore.crdt.identifier import read_id
from crdtstore.crdt.value_key import value_key
from crdtstore.errors import InvalidDocument, InvalidValue, LimitExceeded
from crdtstore.limits import (
    FIND_LIMIT_MAX,
    INDEX_COLUMN_BYTES_MAX,
    QUERY_CACHE_MAX,
    QUERY_KEPT_BYTES_MAX,
    SORTED_DOCUMENTS_MAX,
)
from crdtstore.query.full import print_full
from crdtstore.query.legacy_print import print_legacy
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.mask import mask
from crdtstore.query.order import BY_ID, Order, sort_key
from crdtstore.query.plan import Plan, make_plan
from crdtstore.query.position import Position, sources_behind
from crdtstore.query.program import Filter, compile_filter
from crdtstore.query.project import print_fields
from crdtstore.query.search import search_count, search_json, search_rows, search_top
from crdtstore.query.source import Examined
from crdtstore.query.statistics import measured_indexes
from crdtstore.query.tree import as_json, canonical
from crdtstore.query.typed import print_typed
from crdtstore.storage.documents import Row, id_key, living_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.crdt.value import Value
    from crdtstore.query.tree import Node, Path
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read: its id, and its fields as a JSON object in UTF-8."""

    id: Value
    json: bytes

    @property
    def fields(self) -> dict[str, Value]:
        """The fields, decoded; binary values are Base64 text, as in JSON."""
        fields: dict[str, Value] = msgspec.json.decode(self.json)
        return fields


Form: TypeAlias = Literal["values", "types", "full"]
"""Whether fields are shown as their values, under the types that they have, or with all that lives in them."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for, and how much of it, in what order."""

    node: Node
    limit: int
    offset: int = 0
    order: Order = field(default=BY_ID)
    after: bytes | None = None
    """The position at which the page before ended."""
    paths: tuple[Path, ...] | None = None
    """What is shown of each document; None for all."""
    form: Form = "values"
    """How that is shown."""
    fields: frozenset[str] | None = None
    """The fields that its reader may see at all; None for all."""


class Page(NamedTuple):
    """Documents, the position behind them if there are more, and how they were found."""

    documents: tuple[Document, ...]
    position: bytes | None
    plan: Plan
    examined: Examined


class Hit(NamedTuple):
    """A document that matched: its encoded id, and its JSON if it was printed already."""

    id: bytes
    json: bytes | None


def find(snapshot: Snapshot, catalog: Catalog, collection: Collection, query: Query, deadline: float = inf) -> Page:
    """One page of the documents that match, found by a deadline of the monotonic clock.

    Raises:
        LimitExceeded: The page ends beyond SORTED_DOCUMENTS_MAX documents, which would have to be sorted for it.
        InvalidCursor: The position is none of this order.
        StatementTimeout: The deadline passed.
    """
    plan = plan_query(snapshot, catalog, collection, query)
    hits, examined = read_hits(snapshot, catalog, collection, query, plan, deadline)
    shown = hits[: query.limit]
    documents = tuple(show(snapshot, catalog, collection, hit, query) for hit in shown)
    more = len(hits) > len(shown) and bool(shown)
    position = position_of(snapshot, catalog, collection, query.order, shown[-1].id) if more else None
    return Page(documents, position, plan, examined)


def plan_query(snapshot: Snapshot, catalog: Catalog, collection: Collection, query: Query) -> Plan:
    """Choose the way, by what the snapshot has."""
    indexes = measured_indexes(snapshot, catalog, collection)
    return make_plan(collection, indexes, query.node, query.order, query.offset + query.limit + 1)


def read_hits(
    snapshot: Snapshot, catalog: Catalog, collection: Collection, query: Query, plan: Plan, deadline: float
) -> tuple[list[Hit], Examined]:
    """The documents of the page and one more."""
    filter_ = None if plan.exact else filter_of(query.node)
    position = None if query.after is None else Position.decode(query.after)
    if plan.ordered:
        return read_ordered(snapshot, catalog, collection, query, plan, filter_, position, deadline)
    wanted = query.offset + query.limit + 1
    check_sorted(wanted - 1)
    after = None if position is None else position.sort_key
    kept, _, examined = search_top(
        snapshot, catalog, collection, plan.source, filter_, query.order, wanted, after, query.offset, deadline
    )
    return [Hit(id_, printed) for _, id_, printed in kept], examined


def read_ordered(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    query: Query,
    plan: Plan,
    filter_: Filter | None,
    position: Position | None,
    deadline: float,
) -> tuple[list[Hit], Examined]:
    """The same where the source gives documents in their order."""
    sources = sources_behind(plan, collection, position)
    found: list[tuple[bytes, bytes]] = []
    rows = entries = 0
    # What is skipped cannot be told from what was not there, so only a single source skips by itself.
    skip = query.offset if len(sources) == 1 else 0
    wanted = query.limit + 1 + query.offset - skip
    for source in sources:
        left = wanted - len(found)
        some, examined = search_json(snapshot, catalog, collection, source, filter_, skip, left, deadline)
        found += some
        rows, entries = rows + examined.rows, entries + examined.entries
    return [Hit(*each) for each in found[query.offset - skip :]], Examined(rows, entries)


def matching_rows(
    snapshot: Snapshot, catalog: Catalog, collection: Collection, node: Node, limit: int | None, deadline: float
) -> Iterator[Row]:
    """The documents that match, one by one: the first `limit` in the order of their ids, or all in whatever order.

    Where another order is the quickest way, ids are sorted, never documents.
    """
    plan = make_plan(collection, measured_indexes(snapshot, catalog, collection), node, BY_ID, limit)
    filter_ = None if plan.exact else filter_of(node)
    rows = search_rows(snapshot, catalog, collection, plan.source, filter_, deadline)
    if limit is None:
        return rows
    if plan.ordered:
        return islice(rows, limit)
    ids = [id_ for _, id_ in nsmallest(limit, ((id_key(row.id), row.id) for row in rows))]
    return (Row(id_, living_document(snapshot, collection, id_)) for id_ in ids)


def check_sorted(documents: int) -> None:
    """Refuse a page for which too many documents would be kept while they are sorted."""
    if documents > SORTED_DOCUMENTS_MAX:
        message = f"Documents beyond the first {SORTED_DOCUMENTS_MAX} of an order are reached by a cursor only."
        raise LimitExceeded(message, limit="SORTED_DOCUMENTS_MAX", value=documents, maximum=SORTED_DOCUMENTS_MAX)


def filter_of(node: Node) -> Filter:
    """The filter of a condition: a kept one, unless arguments made the condition large."""
    return kept_filter(node) if len(canonical(node)) <= QUERY_KEPT_BYTES_MAX else compile_filter(node)


@lru_cache(maxsize=QUERY_CACHE_MAX)
def kept_filter(node: Node) -> Filter:
    """The filter of a condition that is small, kept."""
    return compile_filter(node)


def position_of(snapshot: Snapshot, catalog: Catalog, collection: Collection, order: Order, encoded_id: bytes) -> bytes:
    """Where a page ends that ends with this document."""
    document = living_document(snapshot, collection, encoded_id)
    lookup = FieldLookup(catalog, collection, encoded_id, document)
    columns = tuple(value_key(lookup(key.path))[:INDEX_COLUMN_BYTES_MAX] for key in order.keys)
    return Position(sort_key(order, lookup, id_key(encoded_id)), columns, id_key(encoded_id)).encode()


def show(snapshot: Snapshot, catalog: Catalog, collection: Collection, hit: Hit, query: Query) -> Document:
    """A document as a reader sees it."""
    if query.paths is None and query.form == "values" and query.fields is None and hit.json is not None:
        return Document(read_id(hit.id), hit.json)
    return show_as(catalog, collection, Row(hit.id, living_document(snapshot, collection, hit.id)), query)


def show_as(catalog: Catalog, collection: Collection, row: Row, query: Query) -> Document:
    """A stored document as a query asks for it."""
    if query.fields is not None:
        row = row._replace(document=mask(catalog.replicas, collection, row.document, query.fields))
    if query.paths is None:
        return show_row(catalog, collection, row, query.form)
    return Document(read_id(row.id), print_fields(catalog, collection, row, query.paths))


def show_row(catalog: Catalog, collection: Collection, row: Row, form: Form = "values") -> Document:
    """A stored document as a reader sees it."""
    if form == "types":
        return Document(read_id(row.id), print_typed(catalog, collection, row))
    if form == "full":
        return Document(read_id(row.id), print_full(catalog, collection, row))
    printed = core.document_json(row.document, collection.paths, catalog.replicas)
    return Document(read_id(row.id), printed)


def count(snapshot: Snapshot, catalog: Catalog, collection: Collection, node: Node, deadline: float = inf) -> int:
    """How many documents match; none is printed."""
    plan = make_plan(collection, measured_indexes(snapshot, catalog, collection), node, BY_ID, None)
    filter_ = None if plan.exact else filter_of(node)
    return search_count(snapshot, catalog, collection, plan.source, filter_, deadline)[0]


def explain(node: Node, plan: Plan) -> dict[str, Any]:
    """How a condition is looked for, for people and programs."""
    return {**plan.as_json(), "filter": None if plan.exact else condition_text(node)}


def condition_text(node: Node) -> str:
    """A condition in the legacy language, else as the JSON of its tree."""
    try:
        return print_legacy(node)
    except InvalidValue:
        return as_json(node)


def explain_page(node: Node, page: Page) -> dict[str, Any]:
    """How a page was found, and what it took."""
    shown = explain(node, page.plan)
    shown["examined"] = page.examined._asdict()
    shown["returned"] = len(page.documents)
    return shown


def check_page(limit: int, offset: int) -> None:
    """Refuse a page beyond the bounds.

    Raises:
        InvalidDocument: A negative number.
        LimitExceeded: More than FIND_LIMIT_MAX documents.
    """
    if limit < 0 or offset < 0:
        raise InvalidDocument("limit and offset must not be negative.")
    if limit > FIND_LIMIT_MAX:
        message = f"A find returns at most {FIND_LIMIT_MAX} documents; {limit} were asked for."
        raise LimitExceeded(message, limit="FIND_LIMIT_MAX", value=limit, maximum=FIND_LIMIT_MAX)
