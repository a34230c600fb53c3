"""Verifying documents: each row's key and bytes, and what all of them add up to.

Rules: document bytes are right when laying their cells out again gives the same bytes: entries sorted, every stamp
used, the heap without gaps, paths and replicas known. So a document's digest is taken of bytes that can be trusted,
and their sum is compared with the row of the collection: rows that a damaged page hides are missing from it. Range
sums are compared with fresh ones, but for those that the store itself knows to be stale.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from crdtstore import core
from crdtstore.crdt.document import MODULUS
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.identifier import decode_id
from crdtstore.storage.documents import COLLECTION_NUMBER_BYTES, document_key, split_row
from crdtstore.storage.range_stale import read_state, touches
from crdtstore.storage.range_table import (
    KEY_END,
    LEVELS,
    PREFIX_BYTES,
    VALUE,
    Interval,
    Span,
    Sum,
    row_key,
    sum_documents,
    sum_rows,
)
from crdtstore.storage.tables import Table
from crdtstore.storage.verify_rows import DAMAGE, walk

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.verify_finding import View

Rows: TypeAlias = dict[bytes, bytes]


def check_documents(view: View) -> None:
    """Every document; adds up those that are whole."""
    collections = view.catalog.collections
    sums, buried = dict.fromkeys(range(len(collections)), (0, 0)), Counter[str]()
    for key, value in walk(view, Table.DOCUMENTS):
        number = int.from_bytes(key[:COLLECTION_NUMBER_BYTES], "big")
        if number >= len(collections):
            view.report("key", "documents", key, f"The document belongs to collection {number}, which does not exist.")
            continue
        try:
            digest = check_document(view, collections[number], key, value)
        except DAMAGE as error:
            view.report("document", "documents", key, f"Its bytes cannot be read: {error}.")
            continue
        documents, total = sums[number]
        sums[number] = documents + 1, total + digest
        buried[collections[number].name] += is_grave(split_row(collections[number], key, value).document)
    view.sums = {
        collection.name: Sum(sums[collection.number][0], sums[collection.number][1] % MODULUS)
        for collection in collections
    }
    view.buried = buried


def check_document(view: View, collection: Collection, key: bytes, value: bytes) -> int:
    """One document's key and bytes; returns its digest, to be added up.

    Raises:
        Exception: One of DAMAGE: the bytes cannot be read.
    """
    row = split_row(collection, key, value)
    decode_id(row.id)
    if document_key(collection, row.id) != key:
        view.report("key", "documents", key, "The document lies under a key that is not of its id.")
    paths, replicas = collection.paths, view.catalog.replicas
    if not core.is_canonical(row.document, paths, replicas):
        view.report("document", "documents", key, "Its bytes are not in the one form that its cells have.")
    digest = core.document_digest(row.document, paths, replicas, core.digest_key(collection.name, row.id))
    return int.from_bytes(digest, "little")


def check_counts(view: View) -> None:
    """What the documents of each collection add up to, against its row."""
    for collection in view.catalog.collections:
        met = view.sums.get(collection.name, Sum(0, 0))
        told = Sum(collection.documents, collection.digest)
        if met.documents != told.documents:
            message = f"Collection {collection.name!r} says that it has {told.documents:,} documents; "
            view.report("counts", "collections", collection.prefix, f"{message}{met.documents:,} whole ones were met.")
        elif met.digest != told.digest:
            message = f"The documents of collection {collection.name!r} are as many as its row says, but other ones: "
            view.report("counts", "collections", collection.prefix, f"{message}their digests add up to another sum.")
        elif view.buried[collection.name] != collection.buried:
            message = f"Collection {collection.name!r} says that {collection.buried:,} of its documents are buried; "
            view.report("counts", "collections", collection.prefix, f"{message}{view.buried[collection.name]:,} are.")


# --- range sums ---


def check_ranges(view: View) -> None:
    """The range sums that are not stale, against fresh ones; where documents are damaged there are none."""
    stored = read_rows(view)
    try:
        stale = read_state(view.snapshot, view.catalog).stale
    except DAMAGE:
        view.revive()
        return  # the log or META is damaged, and that was reported
    for collection in view.catalog.collections:
        rows = {key: value for key, value in stored.items() if key[1:PREFIX_BYTES] == collection.prefix}
        try:
            compare_sums(view, collection, rows, stale.get(collection.name, []))
        except DAMAGE:
            view.revive()


def read_rows(view: View) -> Rows:
    """The rows of the table, of the form that rows have."""
    rows: Rows = {}
    for key, value in walk(view, Table.RANGES):
        if not 1 <= key[0] <= LEVELS or int.from_bytes(key[1:PREFIX_BYTES], "big") >= len(view.catalog.collections):
            view.report("key", "ranges", key, "The sum is of a level or collection that does not exist.")
        elif len(value) < VALUE.size:
            view.report("value", "ranges", key, "The sum is cut short.")
        else:
            rows[key] = value
    return rows


def compare_sums(view: View, collection: Collection, rows: Rows, stale: list[Interval]) -> None:
    """Compare the rows of one collection with what they must be, level by level."""
    spans = list(sum_documents(view.snapshot, collection, view.catalog.replicas, b"", KEY_END, 1))
    for level in range(1, LEVELS + 1):
        fresh = dict(rows_of(level, collection, spans, stale))
        kept = dict(kept_rows(level, rows, stale))
        for key in sorted(fresh.keys() | kept.keys()):
            if fresh.get(key) != kept.get(key):
                view.report("ranges", "ranges", key, "The sum is not that of its documents, and is not marked stale.")
        spans = list(sum_rows(collection, spans, b"", KEY_END, level + 1))


def rows_of(
    level: int, collection: Collection, spans: list[Span], stale: list[Interval]
) -> Iterator[tuple[bytes, bytes]]:
    """The rows that must be there. One that ends at a stale key may end elsewhere by now: it counts as stale too."""
    for span in spans:
        if not touches(stale, span.start, span.end + b"\0"):
            value = VALUE.pack(span.sum.documents, span.sum.digest.to_bytes(16, "little")) + span.start
            yield row_key(level, collection, span.end), value


def kept_rows(level: int, rows: Rows, stale: list[Interval]) -> Iterator[tuple[bytes, bytes]]:
    """The rows of a level that are kept and not stale."""
    for key, value in rows.items():
        if key[0] == level and not touches(stale, value[VALUE.size :], key[PREFIX_BYTES:] + b"\0"):
            yield key, value
