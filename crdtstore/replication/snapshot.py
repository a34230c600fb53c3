"""A snapshot on the wire: blocks of documents, and the head that says what they are to be joined with.

Rules:
  - Independent of any store: paths, actors and origins are spelled out, once a block, and numbered within it. A block
    keeps the order of its documents; the cells of each are sorted by path, type and stamp.
  - The body of either has one spelling (`body`), and what `encode_documents` or `encode_head` would not have written
    is refused. What arrives is inflated, counted and expanded within bounds, and taken whole or not at all.

The format's document is `docs/snapshot.md`. Not here: which documents are sent and when; how they are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Final, NamedTuple, TypeVar

import msgpack

from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.counter import ZERO
from crdtstore.crdt.document_bytes import EXPLICIT, IMPLICIT, INITIAL, TOTAL, code_of
from crdtstore.crdt.identifier import decode_id
from crdtstore.crdt.path import ROOT, is_path
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Value, check_number, check_value, decode_value, encode_value
from crdtstore.crdt.vector import Reached, VersionVector
from crdtstore.errors import CrdtStoreError, MalformedMessage
from crdtstore.limits import ACTOR_BYTES, COLLECTION_BYTES_MAX, ORIGINS_MAX, SNAPSHOT_ENTRIES_MAX
from crdtstore.replication.body import (
    Reader,
    all_used,
    ascending,
    check_limit,
    column,
    counts,
    deflate,
    refuse,
    texts,
    u64,
)

DIGEST_BYTES: Final = 16
REPLICA_BYTES: Final = 2 * ACTOR_BYTES
U64_MAX: Final = 2**64 - 1

REGISTER, MARKER, ATTACHED, GRAVE = (
    int(kind) for kind in (CellType.REGISTER, CellType.MAP, CellType.ATTACHMENT, CellType.GRAVE)
)
WRITTEN: Final = {
    REGISTER: CellType.REGISTER,
    MARKER: CellType.MAP,
    EXPLICIT: CellType.COUNTER,
    ATTACHED: CellType.ATTACHMENT,
}
"""The cells that an INITIAL write may make."""

TYPES: Final = {
    **WRITTEN,
    IMPLICIT: CellType.COUNTER,
    GRAVE: CellType.GRAVE,
    **{code | INITIAL: kind for code, kind in WRITTEN.items()},
}
"""The cell that a row of each code is; a TOTAL belongs to the counter above it."""

FIXED_VALUES: Final = {MARKER: b"", MARKER | INITIAL: b"", IMPLICIT: ZERO, GRAVE: b""}
"""The values of codes that carry none."""

Key = TypeVar("Key", bytes, Stamp)


class SnapshotDocument(NamedTuple):
    """One document: its encoded id and its live cells."""

    collection: str
    id: bytes
    cells: tuple[Cell, ...]


class SnapshotHead(NamedTuple):
    """What documents are to be joined with: the version vector, and the author vector of each origin's last record."""

    vector: VersionVector
    authors: Mapping[bytes, VersionVector]


class Row(NamedTuple):
    """A cell, or a total of the counter above it."""

    path: bytes
    code: int
    stamp: Stamp
    value: bytes


class Columns(NamedTuple):
    """The rows of a block's documents, read: numbers of paths and stamps, and encoded values."""

    paths: Sequence[int]
    codes: bytes
    stamps: Sequence[int]
    values: Sequence[bytes]


# --- documents, out ---


def encode_documents(documents: Iterable[SnapshotDocument]) -> bytes:
    """Encode a block of documents, none of them twice, in their order.

    Raises:
        LimitExceeded: More than SNAPSHOT_ENTRIES_MAX cells and totals, or more than SNAPSHOT_BLOCK_BYTES_MAX bytes.
    """
    given = [(collection.encode(), id_, list(rows_of(cells))) for collection, id_, cells in documents]
    rows = [row for _, _, own in given for row in own]
    check_limit("SNAPSHOT_ENTRIES_MAX", len(rows), SNAPSHOT_ENTRIES_MAX)
    collections = numbered(collection for collection, _, _ in given)
    paths = numbered(row.path for row in rows)
    stamps = numbered(row.stamp for row in rows)
    replicas = numbered(stamp.replica for stamp in stamps)
    times = [stamp.timestamp for stamp in stamps]
    by_path = sorted(rows, key=lambda row: row.path)
    return deflate(
        counts(collections, paths, replicas, stamps, given, rows),
        texts(collections),
        texts(paths),
        b"".join(replicas),
        u64(min(times, default=0)),
        column([later - earlier for earlier, later in pairwise([*times[:1], *times])]),
        column([replicas[stamp.replica] for stamp in stamps]),
        column([collections[collection] for collection, _, _ in given]),
        texts([id_ for _, id_, _ in given]),
        column([len(own) for _, _, own in given]),
        column([paths[row.path] for row in rows]),
        bytes([row.code for row in rows]),
        column([stamps[row.stamp] for row in rows]),
        b"".join([row.value for row in by_path if row.code not in FIXED_VALUES]),
    )


def rows_of(cells: Iterable[Cell]) -> Iterator[Row]:
    """The rows of a document."""
    for cell in sorted(cells):
        yield Row(cell.path, code_of(cell), cell.stamp, cell.value)
        for at, amount in sorted(cell.totals):
            yield Row(cell.path, TOTAL, at, encode_value(amount))


def numbered(keys: Iterable[Key]) -> dict[Key, int]:
    """A sorted table of keys, with their numbers."""
    return {key: at for at, key in enumerate(sorted(set(keys)))}


# --- documents, in ---


def decode_documents(data: bytes) -> list[SnapshotDocument]:
    """Read a block of documents.

    Raises:
        MalformedMessage: Bytes that `encode_documents` would not have written.
    """
    try:
        return read_documents(Reader(data))
    except MalformedMessage:
        raise
    except (CrdtStoreError, ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedMessage(f"A snapshot holds what no document holds: {error}") from None


def read_documents(reader: Reader) -> list[SnapshotDocument]:
    """Read tables and columns, then put documents together."""
    c, p, r, s, d, n = reader.counts(6)
    if not max(c, p, r, s, d) <= n <= SNAPSHOT_ENTRIES_MAX:
        refuse(f"has at most {SNAPSHOT_ENTRIES_MAX} cells and totals, and of nothing else more than of these")
    collections = [check_collection(name) for name in ascending(reader.texts(c))]
    paths = [check_path(path) for path in ascending(reader.texts(p))]
    stamps = read_stamps(reader, r, s)
    collection_numbers, ids, lengths = all_used(reader.column(d), c), reader.texts(d), reader.column(d)
    rows = read_rows(reader, n, p, s)
    cells = read_cells(rows, paths, stamps, check_lengths(lengths, rows))
    names = [(collections[at], check_id(id_)) for at, id_ in zip(collection_numbers, ids, strict=True)]
    if len(set(names)) != d:
        refuse("names each document once")
    return [SnapshotDocument(*name, own) for name, own in zip(names, cells, strict=True)]


def read_stamps(reader: Reader, r: int, s: int) -> list[Stamp]:
    """The replicas' table, and the stamps' table that refers to it."""
    replicas = ascending(reader.blocks(r, REPLICA_BYTES))
    least, steps, numbers = reader.u64(), reader.column(s), all_used(reader.column(s), r)
    times = list(accumulate(steps, initial=least))[1:]
    if steps[:1] not in {(), (0,)} or (not s and least) or (s and times[-1] > U64_MAX):
        refuse("has timestamps of 64 bits, the first of them in front")
    stamps = [(at, replicas[number]) for at, number in zip(times, numbers, strict=True)]
    return [Stamp(at, who[:ACTOR_BYTES], who[ACTOR_BYTES:]) for at, who in ascending(stamps)]


def read_rows(reader: Reader, n: int, p: int, s: int) -> Columns:
    """The columns of rows, to the end of the body."""
    paths, codes, stamps = all_used(reader.column(n), p), reader.take(n), all_used(reader.column(n), s)
    values = [FIXED_VALUES.get(code, b"") for code in codes]
    carrying = [at for at in sorted(range(n), key=paths.__getitem__) if codes[at] not in FIXED_VALUES]
    for at, piece in zip(carrying, reader.values(len(carrying)), strict=True):
        values[at] = piece
    for piece in {values[at] for at in carrying if codes[at] & ~INITIAL == REGISTER}:
        read_value(piece, check_value)
    for piece in {values[at] for at in carrying if codes[at] & ~INITIAL == EXPLICIT}:
        read_value(piece, check_number)
    for piece in {values[at] for at in carrying if codes[at] & ~INITIAL == ATTACHED}:
        read_token(piece)
    return Columns(paths, codes, stamps, values)


def check_lengths(lengths: Sequence[int], rows: Columns) -> list[int]:
    """Where the rows of each document begin, and where the last ends: with cells of known codes, and at least one."""
    bounds = list(accumulate(lengths, initial=0))
    ends = bounds[-1] == len(rows.codes) and 0 not in lengths
    if not ends or not all(rows.codes[at] in TYPES for at in bounds[:-1]) or not set(rows.codes) <= {*TYPES, TOTAL}:
        refuse("has documents of at least one cell, whose rows together are all rows")
    return bounds


def read_cells(
    rows: Columns, paths: Sequence[bytes], stamps: Sequence[Stamp], bounds: Sequence[int]
) -> Iterator[tuple[Cell, ...]]:
    """The cells of each document; a grave is the only one of its own, at the root."""
    for first, end in pairwise(bounds):
        starts = [at for at in range(first, end) if rows.codes[at] != TOTAL]
        if any(rows.codes[at] == GRAVE and (end > first + 1 or paths[rows.paths[at]] != ROOT) for at in starts):
            refuse("has nothing beside a grave")
        ascending([(rows.paths[at], TYPES[rows.codes[at]], rows.stamps[at]) for at in starts])
        yield tuple([read_cell(rows, paths, stamps, at, to) for at, to in pairwise([*starts, end])])


def read_cell(rows: Columns, paths: Sequence[bytes], stamps: Sequence[Stamp], at: int, end: int) -> Cell:
    """One cell; the rows behind it, up to `end`, are its totals."""
    path, code = rows.paths[at], rows.codes[at]
    totals = read_totals(rows, stamps, at, end) if end > at + 1 else ()
    explicit, initial = code & ~INITIAL == EXPLICIT, bool(code & INITIAL)
    return Cell(paths[path], TYPES[code], stamps[rows.stamps[at]], rows.values[at], explicit, totals, initial)


def read_totals(rows: Columns, stamps: Sequence[Stamp], at: int, end: int) -> tuple[Total, ...]:
    """The totals below a row: of a counter, at its path, by stamp, and one a replica."""
    if TYPES[rows.codes[at]] != CellType.COUNTER or set(rows.paths[at:end]) != {rows.paths[at]}:
        refuse("has totals below counters only")
    numbers = ascending(rows.stamps[at + 1 : end])
    amounts = [read_value(piece, check_number) for piece in rows.values[at + 1 : end]]
    totals = tuple([Total(stamps[number], amount) for number, amount in zip(numbers, amounts, strict=True)])
    if len({total.stamp.replica for total in totals}) != len(totals):
        refuse("has one total of a replica in a counter")
    return totals


def read_value(piece: bytes, check: Callable[[Value], object]) -> Value:
    """Read an encoded value, in its one encoding."""
    value = decode_value(piece)
    check(value)
    if encode_value(value) != piece:
        refuse("has values in their canonical encoding")
    return value


def read_token(piece: bytes) -> None:
    """Check an attachment's token, in its one encoding."""
    if encode_token(decode_value(piece)) != piece:
        refuse("has values in their canonical encoding")


def check_collection(name: bytes) -> str:
    """A collection's name."""
    if not 0 < len(name) <= COLLECTION_BYTES_MAX or b"\0" in name:
        refuse(f"has names of collections of 1 to {COLLECTION_BYTES_MAX} bytes, none of them 0")
    return name.decode()


def check_path(path: bytes) -> bytes:
    """A path in its one encoding."""
    if not is_path(path):
        refuse("has paths in their canonical encoding")
    return path


def check_id(id_: bytes) -> bytes:
    """An id in its one encoding."""
    decode_id(id_)
    return id_


# --- the head ---


def encode_head(head: SnapshotHead) -> bytes:
    """Encode what a snapshot is to be joined with; each author has seen no more than the store.

    Raises:
        LimitExceeded: The author vectors have more than SNAPSHOT_ENTRIES_MAX entries together.
    """
    points = points_of(head)
    numbers = {origin: at for at, origin in enumerate(points)}
    places = {(origin, reached): at for origin, own in points.items() for at, reached in enumerate(own)}
    rows = [sorted(head.authors.get(origin, {}).items()) for origin in points]
    seen = [entry for row in rows for entry in row]
    check_limit("SNAPSHOT_ENTRIES_MAX", len(seen), SNAPSHOT_ENTRIES_MAX)
    flat = [reached for own in points.values() for reached in own]
    return deflate(
        counts(points, flat, seen),
        b"".join(points),
        column([len(own) for own in points.values()]),
        column([reached.position for reached in flat]),
        column([reached.timestamp for reached in flat]),
        b"".join([reached.digest for reached in flat]),
        column([len(row) for row in rows]),
        column([numbers[origin] for origin, _ in seen]),
        column([places[entry] for entry in seen]),
    )


def points_of(head: SnapshotHead) -> dict[bytes, list[Reached]]:
    """For each origin in order, where the store and the authors know it to be; the store first, who knows most."""
    points = {origin: {reached} for origin, reached in sorted(head.vector.items())}
    for author in head.authors.values():
        for origin, reached in author.items():
            points[origin].add(reached)
    ordered = {origin: sorted(own, reverse=True) for origin, own in points.items()}
    assert all(own[0] == head.vector[origin] for origin, own in ordered.items()), "An author saw more than the store."
    return ordered


def decode_head(data: bytes) -> SnapshotHead:
    """Read a head; every origin has an author vector, be it empty.

    Raises:
        MalformedMessage: Bytes that `encode_head` would not have written.
    """
    reader = Reader(data)
    o, k, e = reader.counts(3)
    if o > ORIGINS_MAX or e > SNAPSHOT_ENTRIES_MAX or not o <= k <= o + e:
        refuse(f"has at most {ORIGINS_MAX} origins and {SNAPSHOT_ENTRIES_MAX} entries of author vectors")
    origins = ascending(reader.blocks(o, ACTOR_BYTES))
    points = read_points(reader, o, k)
    bounds = list(accumulate(reader.column(o), initial=0))
    seen = list(zip(reader.column(e), reader.column(e), strict=True))
    if reader.rest() or bounds[-1] != e or any(at >= o or place >= len(points[at]) for at, place in seen):
        refuse("has author vectors of the origins and points that it names")
    if len({*seen, *((at, 0) for at in range(o))}) != k:
        refuse("has each point for an author")
    authors: dict[bytes, VersionVector] = {}
    for at, (first, end) in enumerate(pairwise(bounds)):
        if at in ascending([other for other, _ in seen[first:end]]):
            refuse("has author vectors without their own origin")
        authors[origins[at]] = {origins[other]: points[other][place] for other, place in seen[first:end]}
    return SnapshotHead({origin: own[0] for origin, own in zip(origins, points, strict=True)}, authors)


def read_points(reader: Reader, o: int, k: int) -> list[list[Reached]]:
    """The points of each origin, the latest first."""
    bounds = list(accumulate(reader.column(o), initial=0))
    positions, timestamps, digests = reader.column(k), reader.column(k), reader.blocks(k, DIGEST_BYTES)
    if bounds[-1] != k or 0 in positions:
        refuse("has points from position 1 on")
    flat = list(map(Reached, positions, timestamps, digests))
    points = [flat[first:end] for first, end in pairwise(bounds)]
    for own in points:
        if not own or not all(later[0] > earlier[0] and later[1] > earlier[1] for later, earlier in pairwise(own)):
            refuse("has a point for each origin, and timestamps that increase with positions")
    return points
