"""A search for documents as lines of JSON, a piece at a time, and for the ids of those that come first in an order.

Rules: as `search`. A piece is bytes, whatever number of documents is in it; what is left of its source is a source.

Not here: which pieces make a whole answer (`lines`).
Compiled twin: `ext/search_lines.pxi`, over a compiled snapshot.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.crdt.identifier import read_id
from crdtstore.crdt.json_output import write_json
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.order import sort_key
from crdtstore.query.search import first_rows, is_compiled, print_row
from crdtstore.query.source import Examined, Source, Tally, is_match, read_source, rest_of
from crdtstore.storage.documents import DOCUMENTS, id_key

if TYPE_CHECKING:
    from crdtstore.query.order import Order
    from crdtstore.query.program import Filter
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot


class Lined(NamedTuple):
    """Documents as lines, and where the search goes on."""

    lines: bytes

    matched: int
    """How many documents matched, those that were skipped too."""

    rest: Source | None
    """As of `Fetched`; where all lines that were asked for are there, it may be more than there is."""

    examined: Examined


def search_lines(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    skip: int,
    limit: int,
    bytes_max: int,
    deadline: float = inf,
) -> Lined:
    """The matching documents as lines of JSON, each with its end: a piece of them at a time.

    Args:
        snapshot: A view.
        catalog: The store's.
        collection: What is searched.
        source: Where it looks: that of a plan, or what was left by the call before.
        filter_: What must hold.
        skip: How many of those that match are not given, from the first.
        limit: At most so many lines behind them.
        bytes_max: The piece ends with a line that makes it so long, or with one soon after.
        deadline: Of the monotonic clock; a search that takes longer ends with `StatementTimeout`.
    """
    if limit <= 0:
        return Lined(b"", 0, None, Examined(0, 0))
    if not is_compiled(snapshot):
        return lines_plainly(snapshot, catalog, collection, source, filter_, skip, limit, bytes_max, deadline)
    look = partial(FieldLookup, catalog, collection)
    asked = (source, filter_, look, skip, limit, bytes_max, deadline)
    lines, matched, looked, entries, number, last, came = core.search_lines(
        snapshot, DOCUMENTS, collection, catalog.replicas, *asked
    )
    rest = None if last is None else rest_of(source, number, last, came)
    return Lined(lines, matched, rest, Examined(looked, entries))


def search_keys(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    order: Order,
    keep: int,
    after: bytes | None = None,
    deadline: float = inf,
) -> tuple[list[bytes], bytes | None, int, Examined]:
    """As `search_top`, but of the documents only the id keys; and the sort key of the last one."""
    if not is_compiled(snapshot):
        return keys_plainly(snapshot, catalog, collection, source, filter_, order, keep, after, deadline)
    look, sort = partial(FieldLookup, catalog, collection), partial(sort_key, order)
    asked = (source, filter_, look, order, sort, keep, after, deadline)
    found, last, matched, *examined = core.search_keys(snapshot, DOCUMENTS, collection, catalog.replicas, *asked)
    return found, last, matched, Examined(*examined)


# --- the same, document by document ---


def lines_plainly(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    skip: int,
    limit: int,
    bytes_max: int,
    deadline: float = inf,
) -> Lined:
    """The plain twin of `search_lines`."""
    tally, matched, lines = Tally(deadline), 0, bytearray()
    for row in read_source(snapshot, collection, source, tally):
        if not is_match(catalog, collection, filter_, row):
            continue
        matched += 1
        if matched > skip:
            lines += line_of(row.id, print_row(catalog, collection, row))
        if (matched - skip >= limit or len(lines) >= bytes_max) and tally.last is not None:
            rest = rest_of(source, tally.number, tally.last, tally.came)
            return Lined(bytes(lines), matched, rest, tally.examined())
    return Lined(bytes(lines), matched, None, tally.examined())


def keys_plainly(
    snapshot: Snapshot,
    catalog: Catalog,
    collection: Collection,
    source: Source,
    filter_: Filter | None,
    order: Order,
    keep: int,
    after: bytes | None,
    deadline: float = inf,
) -> tuple[list[bytes], bytes | None, int, Examined]:
    """The plain twin of `search_keys`."""
    tally = Tally(deadline)
    found, matched = first_rows(snapshot, catalog, collection, source, filter_, order, keep, after, tally)
    return [id_key(row.id) for _, row in found], found[-1][0] if found else None, matched, tally.examined()


def line_of(encoded_id: bytes, printed: bytes) -> bytes:
    """A document as a line: its id, and its fields as they were printed."""
    return b'{"id":%b,"fields":%b}\n' % (write_json(read_id(encoded_id)), printed)
