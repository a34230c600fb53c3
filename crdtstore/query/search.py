"""A search reads the rows that a plan found, tests their documents, and counts them, prints them or keeps the best.

Rules: a document matches where the filter's test gives True; without a filter every one does. Everything of one call
is read from one snapshot.

Not here: which ranges answer a query, how they are read (`source`), and which limits a caller may ask for.
Compiled twin: `ext/search.pxi`, over a compiled snapshot.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from heapq import nsmallest
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.crdt.identifier import read_id
from crdtstore.query.lookup import ID_FIELD, FieldLookup
from crdtstore.query.order import sort_key
from crdtstore.query.source import Examined, Source, Tally, is_match, read_matches, read_source, rest_of
from crdtstore.storage.documents import DOCUMENTS, Row, id_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.crdt.value import Value
    from crdtstore.query.order import Order
    from crdtstore.query.program import Filter
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot, Storage


class Fetched(NamedTuple):
    """Documents as rows, and where the search goes on."""

    rows: list[dict[str, Value]]
    """The asked fields of each, `_id` first and the others as they stand in JSON; one that is not there is left out."""

    rest: Source | None
    """What is left of the source behind the last document that was looked at; None at the end."""

    examined: Examined


# --- what callers ask for ---


def search_json(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    skip: int,
    limit: int,
    deadline: float = inf,
) -> tuple[list[tuple[bytes, bytes]], Examined]:
    """The matching documents behind the first `skip`, at most `limit`: encoded id, and the fields as JSON."""
    if not is_compiled(snapshot):
        return json_plainly(snapshot, catalog, collection, source, filter_, skip, limit, deadline)
    look = partial(FieldLookup, catalog, collection)
    found, *examined = core.search_json(
        snapshot, DOCUMENTS, collection, catalog.replicas, source, filter_, look, skip, limit, deadline
    )
    return found, Examined(*examined)


def search_range_json(
    storage: Storage,
    catalog: Catalog,
    collection: Collection,
    table: int,
    start: bytes,
    end: bytes,
    filter_: Filter | None,
    limit: int,
) -> list[bytes]:
    """The JSON of the matching documents of one range, at most `limit`, in a snapshot of its own.

    The catalog has to know every name that was committed, which in a store that another process writes to it does only
    by chance.
    """
    with storage.snapshot() as snapshot:
        source = Source(table, ((start, end),))
        return [text for _, text in search_json(snapshot, catalog, collection, source, filter_, 0, limit)[0]]


def search_count(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    deadline: float = inf,
) -> tuple[int, Examined]:
    """How many documents match."""
    if not is_compiled(snapshot):
        return count_plainly(snapshot, catalog, collection, source, filter_, deadline)
    look = partial(FieldLookup, catalog, collection)
    replicas = catalog.replicas
    count, *examined = core.search_count(snapshot, DOCUMENTS, collection, replicas, source, filter_, look, deadline)
    return count, Examined(*examined)


def search_top(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    order: Order,
    keep: int,
    after: bytes | None = None,
    skip: int = 0,
    deadline: float = inf,
) -> tuple[list[tuple[bytes, bytes, bytes]], int, Examined]:
    """The first documents of an order, whatever the order of the source.

    Args:
        snapshot: A view.
        catalog: The store's.
        collection: What is searched.
        source: Where it looks.
        filter_: What must hold.
        order: What comes first.
        keep: How many documents are kept at most.
        after: The sort key that the last page ended with: only documents behind it are kept.
        skip: How many of those that were kept are not given, from the first.
        deadline: Of the monotonic clock; a search that takes longer ends with `StatementTimeout`.

    Returns:
        Sort key, encoded id and JSON of each; how many match, those up to `after` too; and what was looked at.
    """
    if not is_compiled(snapshot):
        return top_plainly(snapshot, catalog, collection, source, filter_, order, keep, after, skip, deadline)
    look = partial(FieldLookup, catalog, collection)
    sort = partial(sort_key, order)
    asked = (source, filter_, look, order, sort, keep, after, skip, deadline)
    found, matched, *examined = core.search_top(snapshot, DOCUMENTS, collection, catalog.replicas, *asked)
    return found, matched, Examined(*examined)


def search_fields(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    names: tuple[str, ...] | None,
    limit: int,
    examined_max: int,
    deadline: float = inf,
) -> Fetched:
    """The matching documents as rows, for callers that go on computing with them: a piece of them at a time.

    Args:
        snapshot: A view.
        catalog: The store's.
        collection: What is searched.
        source: Where it looks: that of a plan, or what was left by the call before.
        filter_: What must hold.
        names: The fields of a row, `_id` too; None for all there are.
        limit: At most so many rows.
        examined_max: So many documents are looked at before the piece ends, whether they match or not.
        deadline: Of the monotonic clock; a search that takes longer ends with `StatementTimeout`.
    """
    if limit <= 0 or examined_max <= 0:
        return Fetched([], source, Examined(0, 0))
    shown = None if names is None else names_in_order(names)
    if not is_compiled(snapshot):
        return fields_plainly(snapshot, catalog, collection, source, filter_, shown, limit, examined_max, deadline)
    look = partial(FieldLookup, catalog, collection)
    replicas = catalog.replicas
    rows, looked, entries, number, last, came = core.search_fields(
        snapshot, DOCUMENTS, collection, replicas, source, filter_, look, shown, limit, examined_max, deadline
    )
    rest = None if last is None else rest_of(source, number, last, came)
    return Fetched(rows, rest, Examined(looked, entries))


def search_rows(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    deadline: float = inf,
) -> Iterator[Row]:
    """The matching documents one by one, for callers that stop early or need more than JSON."""
    rows = read_matches(snapshot, catalog, collection, source, None, Tally(deadline))
    return rows if filter_ is None else (row for row in rows if filter_.matches(catalog, collection, *row))


def is_compiled(snapshot: Snapshot) -> bool:
    """Whether the compiled core can search a snapshot."""
    return core.Snapshot is not None and isinstance(snapshot, core.Snapshot)


# --- the same, document by document ---


def json_plainly(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    skip: int,
    limit: int,
    deadline: float = inf,
) -> tuple[list[tuple[bytes, bytes]], Examined]:
    """The plain twin of `search_json`."""
    tally = Tally(deadline)
    rows = read_matches(snapshot, catalog, collection, source, filter_, tally)
    wanted = islice(rows, skip, skip + limit) if limit else ()
    return [(row.id, print_row(catalog, collection, row)) for row in wanted], tally.examined()


def count_plainly(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    deadline: float = inf,
) -> tuple[int, Examined]:
    """The plain twin of `search_count`."""
    tally = Tally(deadline)
    count = sum(1 for _ in read_matches(snapshot, catalog, collection, source, filter_, tally))
    return count, tally.examined()


def top_plainly(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    order: Order,
    keep: int,
    after: bytes | None,
    skip: int,
    deadline: float = inf,
) -> tuple[list[tuple[bytes, bytes, bytes]], int, Examined]:
    """The plain twin of `search_top`."""
    tally = Tally(deadline)
    found, matched = first_rows(snapshot, catalog, collection, source, filter_, order, keep, after, tally)
    return [(key, row.id, print_row(catalog, collection, row)) for key, row in found[skip:]], matched, tally.examined()


def first_rows(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    order: Order,
    keep: int,
    after: bytes | None,
    tally: Tally,
) -> tuple[list[tuple[bytes, Row]], int]:
    """The first documents of an order with their sort keys, and how many match."""
    matched = 0

    def keyed() -> Iterator[tuple[bytes, Row]]:
        nonlocal matched
        for row in read_matches(snapshot, catalog, collection, source, filter_, tally):
            matched += 1
            key = sort_key(order, FieldLookup(catalog, collection, *row), id_key(row.id))
            if after is None or key > after:
                yield key, row

    rows = keyed()
    found = nsmallest(keep, rows)
    # Who keeps none asks how many there are.
    deque(rows, maxlen=0)
    return found, matched


def fields_plainly(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    names: tuple[str, ...] | None,
    limit: int,
    examined_max: int,
    deadline: float = inf,
) -> Fetched:
    """The plain twin of `search_fields`, which has put the names in order."""
    tally = Tally(deadline)
    found: list[dict[str, Value]] = []
    for row in read_source(snapshot, collection, source, tally):
        if is_match(catalog, collection, filter_, row):
            found.append(read_row(catalog, collection, row, names))
        if (len(found) >= limit or tally.rows >= examined_max) and tally.last is not None:
            return Fetched(found, rest_of(source, tally.number, tally.last, tally.came), tally.examined())
    return Fetched(found, None, tally.examined())


def names_in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a row's fields as they stand in it, each once."""
    return tuple(sorted(set(names), key=lambda name: (name != ID_FIELD, name.encode(errors="surrogatepass"))))


# --- documents ---


def read_row(catalog: Catalog, collection: Collection, row: Row, names: tuple[str, ...] | None) -> dict[str, Value]:
    """The fields of a document by name, as `names_in_order` gives them; None for all, `_id` first."""
    fields = core.read_field(row.document, (), collection.paths, catalog.replicas)
    if fields is core.MISSING:
        fields = {}
    if names is None:
        fields = {ID_FIELD: None} | fields
    if names is None or ID_FIELD in names:
        fields[ID_FIELD] = read_id(row.id)
    return fields if names is None else {name: fields[name] for name in names if name in fields}


def print_row(catalog: Catalog, collection: Collection, row: Row) -> bytes:
    """The fields of a document as a JSON object."""
    printed: bytes = core.document_json(row.document, collection.paths, catalog.replicas)
    return printed
