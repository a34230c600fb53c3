"""Document bytes are a document's cells laid out flat, to be read, searched and merged without being decoded.

    u8   format, 1
    u8   widths: log2 of the bytes of a path, stamp index and replica (2 bits each), bit 6: local paths follow
    u16  0
    u32  n, entries (a cell or a counter's total)
    u32  m, distinct stamps
    n ×  path number                       first, because searching reads little else
    n ×  u8: code (low 4 bits), kind of value (high 4 bits)
    n ×  stamp index
    n ×  u64 slot: the value itself, or offset (u32) and length (u32) in the heap
    m ×  replica number
    m ×  u64 timestamp                     last, because only merging reads them
    [u32 k, k × (u32 offset, u32 length)]  local paths: those that the collection's dictionary has no room for
    heap

Rules: little-endian, nothing aligned. Entries are sorted by (path number, type, timestamp, replica number), a
counter's totals behind it by (timestamp, replica number); siblings are repeated entries. Stamps are sorted and
each is used; widths are the smallest that fit; the heap holds local paths, then values in entry order, without
gaps. So the same cells under the same numbers have the same bytes. A local path is its index with LOCAL_PATH
set, and local paths are sorted by their text.

The format's document is `docs/data-file.md`. Compiled twin: `ext/document_bytes.pxi`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.document import DIGEST_BYTES, MODULUS, digest
from crdtstore.crdt.merge import merge
from crdtstore.crdt.names import FULL, Names, Replicas
from crdtstore.crdt.path import is_path
from crdtstore.crdt.record import decode_operations
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Value, decode_value, encode_value
from crdtstore.errors import Corrupted

FORMAT = 1
HEADER = struct.Struct("<BBHII")
ONE_ENTRY = (1).to_bytes(4, "little")
LOCAL_FLAG = 0x40
LOCAL_PATH = 0x8000_0000

IMPLICIT, EXPLICIT, TOTAL = 3, 4, 5
"""Codes of entries that are a counter's; those of all other cells are their CellType."""

INITIAL = 8
"""Added to the code of an initial cell."""

NULL, FALSE, TRUE, INT, DOUBLE, SHORT, STRING, BINARY, ARRAY, OBJECT = range(10)
"""Kinds of value. A SHORT string (at most 7 bytes) stands in the slot behind its length."""

SHORT_BYTES_MAX = 7
CODES = frozenset(
    {*(int(kind) for kind in CellType if kind != CellType.COUNTER), IMPLICIT, EXPLICIT}
    | {kind | INITIAL for kind in (CellType.REGISTER, CellType.MAP, EXPLICIT, CellType.ATTACHMENT)}
)
"""What a cell's row may have; a TOTAL is no cell's."""

FORMATS = {0: "B", 1: "H", 2: "I"}
"""struct codes by log2 of the width."""


class Entry(NamedTuple):
    """One row of the columns: a cell, or a total of the counter above it."""

    path: int
    code: int
    timestamp: int
    replica: int
    kind: int
    payload: bytes
    """The slot's 8 bytes, or the heap's for kinds STRING and up."""


def width_of(maximum: int) -> int:
    """log2 of the bytes that hold numbers up to `maximum`."""
    return 0 if maximum < 1 << 8 else 1 if maximum < 1 << 16 else 2


def slot_of(value: Value) -> tuple[int, bytes]:
    """The kind and payload of a value."""
    match value:
        case None | False | True:
            return {None: NULL, False: FALSE, True: TRUE}[value], bytes(8)
        case int():
            return INT, struct.pack("<q", value)
        case float():
            return DOUBLE, struct.pack("<d", value)
        case str():
            raw = value.encode()
            short = len(raw) <= SHORT_BYTES_MAX
            return (SHORT, bytes([len(raw)]) + raw.ljust(7, b"\0")) if short else (STRING, raw)
        case bytes():
            return BINARY, value
    return ARRAY if isinstance(value, list) else OBJECT, encode_value(value)


def value_of(kind: int, payload: bytes) -> Value:
    """The value of a kind and payload."""
    match kind:
        case 0 | 1 | 2:
            return (None, False, True)[kind]
        case 3:
            return struct.unpack("<q", payload)[0]
        case 4:
            return struct.unpack("<d", payload)[0]
        case 5:
            return payload[1 : 1 + payload[0]].decode()
        case 6:
            return payload.decode()
        case 7:
            return payload
    return decode_value(payload)


def code_of(cell: Cell) -> int:
    """The code of a cell's entry."""
    code = int(cell.type) if cell.type != CellType.COUNTER else EXPLICIT if cell.explicit else IMPLICIT
    return code | INITIAL if cell.initial else code


def entries_of(cell: Cell, path: int, replicas: Replicas) -> list[Entry]:
    """A cell's rows: itself, then its totals."""
    code = code_of(cell)
    value = decode_value(cell.value) if cell.value else None
    rows = [Entry(path, code, cell.stamp.timestamp, replicas.numbers[cell.stamp.replica], *slot_of(value))]
    totals = sorted((total.stamp.timestamp, replicas.numbers[total.stamp.replica], total) for total in cell.totals)
    return rows + [Entry(path, TOTAL, at, number, *slot_of(total.amount)) for at, number, total in totals]


def pack_document(cells: Sequence[Cell], paths: Names, replicas: Replicas) -> bytes:
    """Lay out cells; interns new paths in the order of the cells. No cells, no bytes.

    Args:
        cells: Their replicas are interned already.
        paths: The collection's dictionary.
        replicas: The store's.
    """
    if not cells:
        return b""
    local = sorted({cell.path for cell in cells if paths.intern(cell.path) == FULL})
    numbers = {cell.path: paths.numbers.get(cell.path, FULL) for cell in cells}
    numbers.update({path: LOCAL_PATH | at for at, path in enumerate(local)})

    def order(cell: Cell) -> tuple[int, int, int, int]:
        return numbers[cell.path], cell.type, cell.stamp.timestamp, replicas.numbers[cell.stamp.replica]

    entries = [row for cell in sorted(cells, key=order) for row in entries_of(cell, numbers[cell.path], replicas)]
    return pack_entries(entries, local)


def pack_entries(entries: list[Entry], local: list[bytes]) -> bytes:
    """Write the columns and the heap."""
    stamps = sorted({(entry.timestamp, entry.replica) for entry in entries})
    index = {stamp: at for at, stamp in enumerate(stamps)}
    path_width = width_of(max(entry.path for entry in entries))
    stamp_width, replica_width = width_of(len(stamps) - 1), width_of(max(replica for _, replica in stamps))
    widths = path_width | stamp_width << 2 | replica_width << 4 | (LOCAL_FLAG if local else 0)
    heap = bytearray()
    directory = b"".join(place(heap, path) for path in local)
    slots = [entry.payload if entry.kind < STRING else place(heap, entry.payload) for entry in entries]
    n, m = len(entries), len(stamps)
    return b"".join(
        (
            HEADER.pack(FORMAT, widths, 0, n, m),
            struct.pack(f"<{n}{FORMATS[path_width]}", *(entry.path for entry in entries)),
            bytes(entry.code | entry.kind << 4 for entry in entries),
            struct.pack(f"<{n}{FORMATS[stamp_width]}", *(index[entry.timestamp, entry.replica] for entry in entries)),
            *slots,
            struct.pack(f"<{m}{FORMATS[replica_width]}", *(replica for _, replica in stamps)),
            struct.pack(f"<{m}Q", *(timestamp for timestamp, _ in stamps)),
            struct.pack("<I", len(local)) + directory if local else b"",
            heap,
        )
    )


def place(heap: bytearray, payload: bytes) -> bytes:
    """Append to the heap; returns its slot."""
    slot = struct.pack("<II", len(heap), len(payload))
    heap += payload
    return slot


class Columns(NamedTuple):
    """The columns of document bytes, read."""

    paths: tuple[int, ...]
    types: bytes
    stamps: tuple[int, ...]
    slots: bytes
    replicas: tuple[int, ...]
    timestamps: tuple[int, ...]
    local: tuple[bytes, ...]
    heap: memoryview


def read_columns(data: bytes) -> Columns:
    """Read the columns.

    Raises:
        Corrupted: A header or length that `pack_document` would not have written.
    """
    try:
        version, widths, _, n, m = HEADER.unpack_from(data)
        if version != FORMAT:
            raise Corrupted("documents", b"", f"its bytes are of format {version}")
        at = HEADER.size
        columns: list[tuple[int, ...]] = []
        for shape in (f"<{n}{FORMATS[widths & 3]}", f"<{n}B", f"<{n}{FORMATS[widths >> 2 & 3]}"):
            columns.append(struct.unpack_from(shape, data, at))
            at += struct.calcsize(shape)
        slots, at = data[at : at + 8 * n], at + 8 * n
        for shape in (f"<{m}{FORMATS[widths >> 4 & 3]}", f"<{m}Q"):
            columns.append(struct.unpack_from(shape, data, at))
            at += struct.calcsize(shape)
        local, heap = read_local(data, at) if widths & LOCAL_FLAG else ((), memoryview(data)[at:])
    except (struct.error, KeyError):
        raise Corrupted("documents", b"", "its bytes are cut short") from None
    return Columns(columns[0], bytes(columns[1]), columns[2], slots, columns[3], columns[4], local, heap)


def read_local(data: bytes, at: int) -> tuple[tuple[bytes, ...], memoryview]:
    """Read the local paths; returns them and the heap."""
    (count,) = struct.unpack_from("<I", data, at)
    places = struct.unpack_from(f"<{2 * count}I", data, at + 4)
    heap = memoryview(data)[at + 4 + 8 * count :]
    return tuple(bytes(heap[o : o + size]) for o, size in zip(places[::2], places[1::2], strict=True)), heap


def unpack_document(data: bytes, paths: Names, replicas: Replicas) -> list[Cell]:
    """Read the cells back, in the order in which they lie. No bytes, no cells.

    Raises:
        Corrupted: A row names what is not there, or holds what no value is.
    """
    if not data:
        return []
    try:
        return read_cells(read_columns(data), paths, replicas)
    except (LookupError, TypeError, ValueError, struct.error):
        raise Corrupted("documents", b"", "a row names what is not there, or holds what no value is") from None


def read_cells(columns: Columns, paths: Names, replicas: Replicas) -> list[Cell]:
    """The cells of columns."""
    if not all(map(is_path, columns.local)):
        raise Corrupted("documents", b"", "a local path is none")
    cells: list[Cell] = []
    for row, number in enumerate(columns.paths):
        code, kind = columns.types[row] & 15, columns.types[row] >> 4
        stamp = replicas.stamp(columns.replicas[columns.stamps[row]], columns.timestamps[columns.stamps[row]])
        value = value_of(kind, read_payload(columns, row, kind))
        if code == TOTAL:
            if cells[-1].type != CellType.COUNTER or number != columns.paths[row - 1]:
                raise Corrupted("documents", b"", "a total belongs to no counter")
            cells[-1] = cells[-1]._replace(totals=tuple(sorted([*cells[-1].totals, Total(stamp, value)])))
        else:
            path = columns.local[number ^ LOCAL_PATH] if number >= LOCAL_PATH else paths.texts[number]
            cells.append(make_cell(path, code, stamp, value))
    if len(columns.paths) > 1 and any(cell.type == CellType.GRAVE for cell in cells):
        raise Corrupted("documents", b"", "a grave stands beside other cells")
    return cells


def read_payload(columns: Columns, row: int, kind: int) -> bytes:
    """A value's 8 bytes in the slot, or its bytes in the heap."""
    slot = columns.slots[8 * row : 8 * row + 8]
    if kind < STRING:
        return slot
    offset, length = struct.unpack("<II", slot)
    payload = bytes(columns.heap[offset : offset + length])
    if len(payload) != length:
        raise Corrupted("documents", b"", "a value lies outside its heap")
    return payload


def make_cell(path: bytes, code: int, stamp: Stamp, value: Value) -> Cell:
    """A cell of one row."""
    if code not in CODES:
        raise Corrupted("documents", b"", f"a cell has the unknown code {code}")
    base, initial = code & ~INITIAL, bool(code & INITIAL)
    if base in (IMPLICIT, EXPLICIT):
        return Cell(path, CellType.COUNTER, stamp, encode_value(value), base == EXPLICIT, initial=initial)
    encoded = b"" if base in (CellType.MAP, CellType.GRAVE) else encode_value(value)
    return Cell(path, CellType(base), stamp, encoded, initial=initial)


def is_canonical(document: bytes, paths: Names, replicas: Replicas) -> bool:
    """Whether document bytes are those that packing their cells gives.

    Args:
        document: Document bytes.
        paths: The collection's dictionary; it stays as it is.
        replicas: The store's.

    Raises:
        Corrupted: They cannot be read.
    """
    known = len(paths.texts)
    again = pack_document(unpack_document(document, paths, replicas), paths, replicas)
    if len(paths.texts) > known:
        paths.truncate(known)  # a local path for which the dictionary has room: the bytes differ too
    return again == document


def is_grave(document: bytes) -> bool:
    """Whether document bytes are those of a grave: its one entry says so, and nothing else is read."""
    return document[4:8] == ONE_ENTRY and document[HEADER.size + (1 << (document[1] & 3))] & 15 == CellType.GRAVE


def document_digest(document: bytes, paths: Names, replicas: Replicas, key: bytes) -> bytes:
    """The digest of a document's cells, 16 bytes, little-endian; zeros for no bytes.

    Args:
        document: Document bytes.
        paths: The collection's dictionary.
        replicas: The store's.
        key: The document's digest key.

    Raises:
        Corrupted: Bytes that `pack_document` would not have written.
    """
    return digest(unpack_document(document, paths, replicas), key).to_bytes(DIGEST_BYTES, "little")


def merge_document(
    document: bytes,
    operations: bytes,
    timestamp: int,
    replica: int,
    coverage: Sequence[int],
    paths: Names,
    replicas: Replicas,
    key: bytes,
    digest_sum: bytearray,
) -> bytes:
    """Apply one transaction's operations to one document's bytes.

    Args:
        document: Empty for a document that does not exist.
        operations: Encoded, as a record holds them.
        timestamp: Of the transaction.
        replica: Its author's number, interned already.
        coverage: By origin number, the greatest timestamp that the author vector covers.
        paths: The collection's dictionary; new paths are interned.
        replicas: The store's.
        key: The document's digest key.
        digest_sum: 16 bytes, little-endian, to which the change of the digest is added.

    Returns:
        The document's new bytes; empty when no cell is left.
    """
    before = unpack_document(document, paths, replicas)
    stamp = replicas.stamp(replica, timestamp)

    def is_observed(other: Stamp) -> bool:
        number = replicas.origins.numbers[other.origin]
        return number < len(coverage) and other.timestamp <= coverage[number]

    after = merge(before, decode_operations(operations), stamp, is_observed)
    change = digest(after, key) - digest(before, key) + int.from_bytes(digest_sum, "little")
    digest_sum[:] = (change % MODULUS).to_bytes(16, "little")
    return pack_document(after, paths, replicas)
