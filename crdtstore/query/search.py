"""A search reads the rows that a plan found, tests their documents, and counts them, prints them or keeps the best.

Rules: a Source says where to look: ranges of the documents' own table, in the order of their ids, or of an index's
entries, each of which leads to a document that must be there. A buried document never shows. A document matches where
the filter's test gives True; without a filter every one does. Everything of one call is read from one snapshot.

Not here: which ranges answer a query, and which limits a caller may ask for.
Compiled twin: `ext/search.pxi`, over a compiled snapshot.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from heapq import nsmallest
from itertools import groupby, islice
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core, limits
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.errors import Corrupted, LimitExceeded
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.order import sort_key
from crdtstore.storage.documents import DOCUMENTS, Row, id_key, split_row
from crdtstore.storage.index_entries import split_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.query.order import Order
    from crdtstore.query.program import Filter
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot, Storage

Item = tuple[bytes, bytes]
"""A row as it is stored: key and value."""


class Source(NamedTuple):
    """Where a search looks."""

    table: int
    """That of the documents, or of index entries."""

    ranges: tuple[tuple[bytes, bytes], ...]
    """Whole keys, each from the first to before the second; read in this order."""

    repeats: bool = False
    """Whether several entries may lead to one document, which is looked at once all the same."""

    descending: bool = False
    """Whether each range is read from its end. Entries of one column still come with their ids ascending."""


class Examined(NamedTuple):
    """How many documents were looked at, and how many index entries were read for that."""

    rows: int
    entries: int


class Tally:
    """Counts what a search looks at."""

    def __init__(self) -> None:
        self.rows = self.entries = 0

    def examined(self) -> Examined:
        """What was counted so far."""
        return Examined(self.rows, self.entries)


# --- what callers ask for ---


def search_json(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    skip: int,
    limit: int,
) -> tuple[list[tuple[bytes, bytes]], Examined]:
    """The matching documents behind the first `skip`, at most `limit`: encoded id, and the fields as JSON."""
    if not is_compiled(snapshot):
        return json_plainly(snapshot, catalog, collection, source, filter_, skip, limit)
    look = partial(FieldLookup, catalog, collection)
    replicas = catalog.replicas
    found, *examined = core.search_json(snapshot, DOCUMENTS, collection, replicas, source, filter_, look, skip, limit)
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
    snapshot: Snapshot, catalog: Catalog, collection: Collection, source: Source, filter_: Filter | None
) -> tuple[int, Examined]:
    """How many documents match."""
    if not is_compiled(snapshot):
        return count_plainly(snapshot, catalog, collection, source, filter_)
    look = partial(FieldLookup, catalog, collection)
    count, *examined = core.search_count(snapshot, DOCUMENTS, collection, catalog.replicas, source, filter_, look)
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

    Returns:
        Sort key, encoded id and JSON of each; how many match, those up to `after` too; and what was looked at.
    """
    if not is_compiled(snapshot):
        return top_plainly(snapshot, catalog, collection, source, filter_, order, keep, after, skip)
    look = partial(FieldLookup, catalog, collection)
    sort = partial(sort_key, order)
    found, matched, *examined = core.search_top(
        snapshot, DOCUMENTS, collection, catalog.replicas, source, filter_, look, order, sort, keep, after, skip
    )
    return found, matched, Examined(*examined)


def search_rows(
    snapshot: Snapshot, catalog: Catalog, collection: Collection, source: Source, filter_: Filter | None
) -> Iterator[Row]:
    """The matching documents one by one, for callers that stop early or need more than JSON."""
    rows = read_matches(snapshot, catalog, collection, source, None, Tally())
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
) -> tuple[list[tuple[bytes, bytes]], Examined]:
    """The plain twin of `search_json`."""
    tally = Tally()
    rows = read_matches(snapshot, catalog, collection, source, filter_, tally)
    wanted = islice(rows, skip, skip + limit) if limit else ()
    return [(row.id, print_row(catalog, collection, row)) for row in wanted], tally.examined()


def count_plainly(
    snapshot: Snapshot, catalog: Catalog, collection: Collection, source: Source, filter_: Filter | None
) -> tuple[int, Examined]:
    """The plain twin of `search_count`."""
    tally = Tally()
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
) -> tuple[list[tuple[bytes, bytes, bytes]], int, Examined]:
    """The plain twin of `search_top`."""
    tally = Tally()
    matched = 0
    found: list[tuple[bytes, Row]] = []

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
    return [(key, row.id, print_row(catalog, collection, row)) for key, row in found[skip:]], matched, tally.examined()


# --- how a source is read ---


def read_matches(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    tally: Tally,
) -> Iterator[Row]:
    """The documents of a source that match, in its order."""
    rows = read_documents if source.table == DOCUMENTS else read_indexed
    for row in rows(snapshot, collection, source, tally):
        tally.rows += 1
        if filter_ is None or filter_.test(FieldLookup(catalog, collection, *row)) is True:
            yield row


def read_documents(snapshot: Snapshot, collection: Collection, source: Source, tally: Tally) -> Iterator[Row]:  # noqa: ARG001  no entry is read
    """The living documents of ranges of their own table."""
    for key, value in read_ranges(snapshot, source):
        row = split_row(collection, key, value)
        if not is_grave(row.document):
            yield row


def read_indexed(snapshot: Snapshot, collection: Collection, source: Source, tally: Tally) -> Iterator[Row]:
    """The documents that the entries of ranges lead to, each once."""
    came: set[bytes] = set()
    for key, value in read_ranges(snapshot, source):
        tally.entries += 1
        wanted = split_entry(key, value)[1]
        if source.repeats:
            if wanted in came:
                continue
            check_repeats(len(came))
            came.add(wanted)
        document_key = collection.prefix + wanted
        document = snapshot.get(DOCUMENTS, document_key)
        row = None if document is None else split_row(collection, document_key, document)
        if row is None or is_grave(row.document):
            raise Corrupted("documents", document_key, "an index leads to it, and it does not exist")
        yield row


def read_ranges(snapshot: Snapshot, source: Source) -> Iterator[Item]:
    """The rows of a source's ranges."""
    for start, end in source.ranges:
        if not source.descending:
            yield from snapshot.scan(source.table, start, end)
            continue
        for _, group in groupby(snapshot.scan_back(source.table, start, end), partial(column_of, source.table)):
            yield from reversed(list(group))


def column_of(table: int, row: Item) -> bytes:
    """What rows that stand side by side share with each other: an entry's key without its id, a document's all."""
    key, value = row
    return key if table == DOCUMENTS else split_entry(key, value)[0]


def check_repeats(count: int) -> None:
    """Refuse to remember one more document."""
    maximum = limits.SEARCH_REPEATS_MAX
    if count >= maximum:
        message = (
            f"The index leads to more than {maximum} documents, each of them maybe more than once: "
            "ask for fewer, or without this index."
        )
        raise LimitExceeded(message, limit="SEARCH_REPEATS_MAX", value=count + 1, maximum=maximum)


def print_row(catalog: Catalog, collection: Collection, row: Row) -> bytes:
    """The fields of a document as a JSON object."""
    printed: bytes = core.document_json(row.document, collection.paths, catalog.replicas)
    return printed
