"""The table of range sums: how many documents stand between two boundaries, and the sum of their digests.

    level (u8) ‖ collection number (u32 BE) ‖ end -> documents (u64 LE) ‖ digest (16 bytes LE) ‖ start

Rules: a row holds what stands from one boundary of its level to before the next one. A key is a boundary of level L
when its hash is a multiple of FANOUT ** L, so the boundaries of a level are boundaries of all levels below; besides
them each level of a collection begins before the first key and ends behind the last one. What is a boundary depends on
the documents that exist and on nothing else: on no order of writes and no store. A row without documents is not kept.
Rows stand under their end, so that the one around a key is found by looking for the next key.

The format's document is `docs/ranges.md`. Which rows may be trusted is not here; see `range_stale`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from crdtstore import core
from crdtstore.crdt.document import DIGEST_BYTES, MODULUS
from crdtstore.crdt.entry import KeyRange
from crdtstore.errors import Corrupted
from crdtstore.limits import RANGE_DOCUMENTS_AT_ONCE
from crdtstore.storage.documents import COLLECTION_NUMBER_BYTES, HASH_BYTES, ID_KEY_BYTES, split_row
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.crdt.names import Replicas
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.interface import Batch, Snapshot

FANOUT: Final = 16
"""Rows of one level in a row of the next, and documents in one of the lowest, on average."""

LEVELS: Final = 5
"""So a row of the highest holds a million documents."""

KEY_END: Final = b"\xff"
"""Behind every key: a key begins with the tag of its id, which is far lower."""

KEY_BYTES_MAX: Final = ID_KEY_BYTES + HASH_BYTES
"""A document's key without its collection's number."""

VALUE: Final = Struct(f"<Q{DIGEST_BYTES}s")
PREFIX_BYTES: Final = 1 + COLLECTION_NUMBER_BYTES

BEHIND_ALL: Final = KEY_END + b"\0"
"""Behind the end of every row."""

Interval: TypeAlias = tuple[bytes, bytes]
"""Keys of one collection from the first to before the second."""

Group: TypeAlias = tuple[bytes, int, bytes]
"""Consecutive documents: from which key on, how many, their digest."""


class Sum(NamedTuple):
    """How many documents there are, and the sum of their digests mod 2¹²⁸."""

    documents: int
    digest: int


class Span(NamedTuple):
    """The keys from one to before another, and their sum."""

    start: bytes
    end: bytes
    sum: Sum


class Row(NamedTuple):
    """One document: its key without its collection's number, its encoded id, its bytes."""

    key: bytes
    id: bytes
    document: bytes


def interval_of(range_: KeyRange) -> Interval:
    """The keys of a range; bounds longer than every key are cut, which leaves none out and takes none in."""
    end = KEY_END if range_.end is None else min(range_.end, KEY_END)
    return range_.start[: KEY_BYTES_MAX + 1], end[: KEY_BYTES_MAX + 1]


def add_up(sums: Iterable[Sum]) -> Sum:
    """The sum of sums."""
    documents = digest = 0
    for part in sums:
        documents += part.documents
        digest += part.digest
    return Sum(documents, digest % MODULUS)


def is_boundary(collection: Collection, key: bytes, modulus: int) -> bool:
    """Whether a document of this key is a boundary: of level L with the modulus FANOUT ** L."""
    hashed = int.from_bytes(core.digest_key(collection.name, key)[:8], "little")
    return hashed % modulus == 0


# --- documents ---


def read_documents(snapshot: Snapshot, collection: Collection, start: bytes, end: bytes) -> Iterator[Row]:
    """The documents between two keys."""
    for key, value in snapshot.scan(Table.DOCUMENTS, collection.prefix + start, collection.prefix + end):
        yield Row(key[COLLECTION_NUMBER_BYTES:], *split_row(collection, key, value))


def sum_documents(
    snapshot: Snapshot, collection: Collection, replicas: Replicas, start: bytes, end: bytes, level: int
) -> Iterator[Span]:
    """Add the documents between two keys up, as far as the next boundary of a level each; at level 0 each alone."""
    add = sum_plainly if core.Snapshot is None or not isinstance(snapshot, core.Snapshot) else core.sum_documents
    known: Group | None = None
    at: bytes | None = start
    while at is not None:
        groups, at = add(
            snapshot, Table.DOCUMENTS, collection, replicas, at, end, FANOUT**level, RANGE_DOCUMENTS_AT_ONCE
        )
        for group in groups:
            if known is not None:
                yield span_of(known, group[0])
            known = group
    if known is not None:
        yield span_of(known, end)


def span_of(group: Group, end: bytes) -> Span:
    """A group of documents, as far as an end."""
    start, documents, digest = group
    return Span(start, end, Sum(documents, int.from_bytes(digest, "little")))


def sum_plainly(
    snapshot: Snapshot,
    table: int,
    collection: Collection,
    replicas: Replicas,
    start: bytes,
    end: bytes,
    modulus: int,
    documents_max: int,
) -> tuple[list[Group], bytes | None]:
    """Add documents up between boundaries. Compiled twin: `ext/ranges.pxi`.

    Args:
        snapshot: A view.
        table: The number of the table of documents.
        collection: Theirs.
        replicas: The store's.
        start: The first key.
        end: The key to stop before.
        modulus: Of the hashes of boundaries.
        documents_max: Stop at the first boundary behind so many documents.

    Returns:
        What was added up: from which key on, how many documents, and their digest; and the key at which to go on.

    Raises:
        Corrupted: A document is damaged.
    """
    groups: list[Group] = []
    documents = digest = before = 0
    for key, value in snapshot.scan(table, collection.prefix + start, collection.prefix + end):
        row = Row(key[COLLECTION_NUMBER_BYTES:], *split_row(collection, key, value))
        if is_boundary(collection, row.key, modulus):
            if documents:
                groups.append((start, documents, digest_bytes(digest)))
                before += documents
                documents = digest = 0
            start = row.key
            if before >= documents_max:
                return groups, start
        if not row.document:
            raise Corrupted("documents", b"", "its bytes are cut short")
        hashed = core.digest_key(collection.name, row.id)
        digest += int.from_bytes(core.document_digest(row.document, collection.paths, replicas, hashed), "little")
        documents += 1
    if documents:
        groups.append((start, documents, digest_bytes(digest)))
    return groups, None


def digest_bytes(digest: int) -> bytes:
    """A sum of digests as it is stored: 16 bytes, little-endian."""
    return (digest % MODULUS).to_bytes(DIGEST_BYTES, "little")


# --- rows of the table ---


def row_key(level: int, collection: Collection, end: bytes) -> bytes:
    """The key of the row that ends at a boundary."""
    return bytes([level]) + collection.prefix + end


def read_sums(
    snapshot: Snapshot, level: int, collection: Collection, first: bytes, behind: bytes = BEHIND_ALL
) -> Iterator[Span]:
    """The rows of a level that end from one key to before another."""
    start, stop = row_key(level, collection, first), row_key(level, collection, behind)
    for key, value in snapshot.scan(Table.RANGES, start, stop):
        if len(value) < VALUE.size:
            raise Corrupted("ranges", key, f"its value has {len(value)} bytes")
        documents, digest = VALUE.unpack_from(value)
        yield Span(value[VALUE.size :], key[PREFIX_BYTES:], Sum(documents, int.from_bytes(digest, "little")))


def sum_rows(collection: Collection, spans: Iterable[Span], start: bytes, end: bytes, level: int) -> Iterator[Span]:
    """Add the rows between two keys up, as far as the next boundary of a higher level each."""
    sums: list[Sum] = []
    for span in spans:
        if is_boundary(collection, span.start, FANOUT**level):
            if sums:
                yield Span(start, span.start, add_up(sums))
            start, sums = span.start, []
        sums.append(span.sum)
    if sums:
        yield Span(start, end, add_up(sums))


def write_sums(
    batch: Batch, level: int, collection: Collection, start: bytes, end: bytes, spans: Iterable[Span]
) -> None:
    """Put rows of a level in place of those between two boundaries; what stays the same is not touched."""
    first, behind = row_key(level, collection, start + b"\0"), row_key(level, collection, end + b"\0")
    before = dict(batch.scan(Table.RANGES, first, behind))
    after = {
        row_key(level, collection, span.end): VALUE.pack(span.sum.documents, digest_bytes(span.sum.digest)) + span.start
        for span in spans
    }
    for key in before.keys() - after.keys():
        batch.delete(Table.RANGES, key)
    for key, value in after.items():
        if before.get(key) != value:
            batch.put(Table.RANGES, key, value)
