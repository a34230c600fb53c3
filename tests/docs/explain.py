"""Stored bytes written out for people, one line a field, as in `docs/data-file.md` and `docs/record.md`.

Rules: written from the words of these pages, apart from the code that makes and reads the bytes. A byte that
no field claims is an error, so a page that forgets one does not pass.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgpack

from crdtstore import Store
from crdtstore.storage.tables import Table

HEX_WIDTH: Final = 39
WIDTHS: Final = ("B", "H", "I")
CODES: Final = {
    1: "register",
    2: "map marker",
    3: "implicit counter",
    4: "explicit counter",
    5: "total",
    6: "attachment",
    7: "grave",
}
KINDS: Final = (
    "null",
    "false",
    "true",
    "integer",
    "double",
    "short string",
    "string",
    "binary",
    "array",
    "object",
)
OPERATIONS: Final = {
    0: ("remove", "path", "types"),
    1: ("write", "path", "value"),
    2: ("mark", "path"),
    3: ("start", "path", "amount"),
    4: ("restart", "path", "start"),
    5: ("increment", "path", "instance's timestamp", "instance's actor", "instance's origin", "delta"),
    6: ("attach", "path", "token"),
    7: ("bury", "path"),
}
MAXIMUM_SHORT: Final = 12


class Reader:
    """Bytes that are taken from the front; each piece becomes a line."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.lines: list[str] = []

    def take(self, size: int, text: str, *, group: int = 1, head: int = 0) -> bytes:
        """Take a piece; its hex stands in groups of bytes behind a head of single ones."""
        piece = self.piece(size, text)
        shown = f"{piece[:head].hex(' ')} {piece[head:].hex(' ', -group)}".strip()
        self.lines.append(f"{self.at:4}  {shown:<{HEX_WIDTH}}  {text}".rstrip())
        self.at += size
        return piece

    def piece(self, size: int, text: str) -> bytes:
        """The next bytes, which stay to be taken."""
        piece = self.data[self.at : self.at + size]
        assert len(piece) == size, f"The bytes end within {text!r}."
        return piece

    def column(self, form: str, text: str) -> tuple[int, ...]:
        """Take a column of numbers."""
        layout = struct.Struct(f"<{form}")
        width = layout.size // max(1, len(layout.unpack(bytes(layout.size))))
        numbers: tuple[int, ...] = layout.unpack(self.data[self.at : self.at + layout.size])
        self.take(layout.size, text, group=width)
        return numbers

    def item(self, text: str) -> Any:
        """Take one item of msgpack that is no array, and say its value after the text."""
        head, size = item_size(self.data, self.at)
        piece = self.piece(size, text)
        value = msgpack.unpackb(piece)
        group = 1 if size - head <= MAXIMUM_SHORT else 8
        self.take(size, text + meaning(text, value), group=group, head=head)
        return value

    def array(self, text: str) -> int:
        """Take the head of an array of at most 15 items; return how many follow."""
        length = self.data[self.at] & 0x0F
        self.take(1, text.format(length))
        return length

    def text(self) -> str:
        """All lines, once every byte is claimed."""
        assert self.at == len(self.data), f"Nobody claims the bytes from {self.at} on."
        return "\n".join([*self.lines, ""])


def item_size(data: bytes, at: int) -> tuple[int, int]:
    """The bytes of an item's head, and of all of it: the forms that occur in the examples."""
    first = data[at]
    if first < 0x80 or first in (0xC0, 0xC2, 0xC3) or first >= 0xE0:
        return 1, 1
    if 0xA0 <= first < 0xC0:
        return 1, 1 + (first & 0x1F)
    if first in (0xC4, 0xD9):
        return 2, 2 + data[at + 1]
    return 1, 1 + {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xCB: 8}[first]


def meaning(text: str, value: Any) -> str:
    """What an item's value says, where its bytes do not."""
    if text.endswith(("origin", "actor")):
        return f": {site_and_epoch(value)}"
    if text.endswith("timestamp"):
        return f": millisecond {value >> 16}, counter {value & 0xFFFF}"
    if text == "path":
        return ": " + value.decode().rstrip("\0").replace("\0", ".")
    return "" if isinstance(value, bytes) else f": {value!r}"


def site_and_epoch(name: bytes) -> str:
    """An actor or origin as `site/epoch`."""
    return f"{int.from_bytes(name[:8], 'big')}/{int.from_bytes(name[8:], 'big')}"


def explain_document(data: bytes, paths: Sequence[str]) -> str:
    """Write out document bytes without local paths."""
    reader = Reader(data)
    reader.take(1, "format")
    widths = reader.take(1, "widths: all of one byte, no local paths")[0]
    assert widths == 0, "Say in words which widths these are."
    reader.take(2, "zero")
    (n,) = reader.column("I", "n, entries")
    (m,) = reader.column("I", "m, stamps")
    numbers = reader.column(f"{n}{WIDTHS[0]}", "path numbers, one an entry")
    types = reader.column(f"{n}B", "kind of value and code, one an entry")
    stamps = reader.column(f"{n}{WIDTHS[0]}", "stamp indexes, one an entry")
    heap = len(data) - sum(heap_size(data, reader.at + 8 * row, types[row] >> 4) for row in range(n))
    for row, kind in enumerate(types):
        what = f"slot {row}: {paths[numbers[row]]}, {CODES[kind & 15]}, stamp {stamps[row]}"
        slot = data[reader.at : reader.at + 8]
        reader.take(8, f"{what}, {slot_text(slot, kind >> 4, data[heap:])}")
    reader.column(f"{m}{WIDTHS[0]}", "replica numbers, one a stamp")
    for stamp in range(m):
        (timestamp,) = struct.unpack_from("<Q", data, reader.at)
        reader.take(8, f"timestamp of stamp {stamp}" + meaning("timestamp", timestamp))
    reader.take(len(data) - heap, "heap")
    return reader.text()


def heap_size(data: bytes, at: int, kind: int) -> int:
    """How many bytes of the heap a slot claims."""
    return int(struct.unpack_from("<II", data, at)[1]) if kind >= KINDS.index("string") else 0


def slot_text(slot: bytes, kind: int, heap: bytes) -> str:
    """What a slot holds."""
    name = KINDS[kind]
    match name:
        case "integer":
            return f"{name} {struct.unpack('<q', slot)[0]}"
        case "double":
            return f"{name} {struct.unpack('<d', slot)[0]}"
        case "short string":
            return f"{name} {slot[1 : 1 + slot[0]].decode()!r}"
        case "string":
            offset, length = struct.unpack("<II", slot)
            return f"{name} {heap[offset : offset + length].decode()!r}"
    return name


def explain_record(data: bytes) -> str:
    """Write out a record."""
    reader = Reader(data)
    reader.array("record: array of {}")
    reader.item("format")
    for name in ("origin", "position", "actor", "timestamp"):
        reader.item(name)
    for _ in range(reader.array("observed: array of {}")):
        reader.array("entry: array of {}")
        for name in ("observed origin", "its position", "its timestamp", "its chain digest"):
            reader.item(name)
    for _ in range(reader.array("documents: array of {}")):
        reader.array("document: array of {}")
        reader.item("collection")
        reader.item("encoded id")
        for _ in range(reader.array("operations: array of {}")):
            explain_operation(reader)
    return reader.text()


def explain_operation(reader: Reader) -> None:
    """Write out one operation."""
    name, *fields = OPERATIONS[reader.data[reader.at + 1]]
    reader.array(f"{name}: array of {{}}")
    reader.take(1, "its code")
    for field in fields:
        reader.item(field)


def explain_rows(store: Store) -> str:
    """Write out every row of a store, without seals; what has a page of its own is only named."""
    lines = []
    with store.storage.snapshot() as snapshot:
        for table in Table:
            rows = [f"{key_text(table, key):<21}  {value_text(table, value)}" for key, value in snapshot.scan(table)]
            lines += [f"{table.name.lower() if at == 0 else '':<12}{row}" for at, row in enumerate(rows)]
    return "\n".join([*lines, ""])


def key_text(table: Table, key: bytes) -> str:
    """A key, its parts apart."""
    match table:
        case Table.META | Table.KEYS:
            return repr(key.decode())
        case Table.DOCUMENTS:
            return f"{key[:4].hex()} {key[4:5].hex()} {key[5:].decode()!r}"
        case Table.POSITIONS | Table.ORIGINS:
            return f"{site_and_epoch(key[:16])} {key[16:].hex()}".strip()
        case Table.LOG:
            return key.hex()
    return key.hex(" ", -4)


def value_text(table: Table, value: bytes) -> str:
    """A value, its parts apart."""
    match table:
        case Table.DOCUMENTS:
            return f"{len(value)} document bytes"
        case Table.LOG:
            return f"{value[:16].hex()[:8]}.. and a record of {len(value) - 16} bytes"
        case Table.POSITIONS:
            return f"{value[:8].hex()} {value[8:].hex()[:8]}.."
        case Table.PATHS:
            return f"{value.rstrip(bytes(1)).decode()!r} 00"
        case Table.ORIGINS | Table.COLLECTIONS:
            return packed_text(table, msgpack.unpackb(value))
    return " ".join(site_and_epoch(part) for part in (value[:16], value[16:]) if part)


def packed_text(table: Table, row: list[Any]) -> str:
    """A row that is msgpack; digests shortened or named."""
    if table == Table.COLLECTIONS:
        name, documents, digest, buried = row
        return f"[{name!r}, {documents}, a digest of {len(digest)} bytes, {buried}]"
    position, timestamp, digest, author = row
    others = [f"[{site_and_epoch(origin)}, {at}, {when:016x}, {seen.hex()[:8]}..]" for origin, at, when, seen in author]
    return f"[{position}, {timestamp:016x}, {digest.hex()[:8]}.., [{', '.join(others)}]]"
