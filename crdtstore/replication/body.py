"""A body is bytes in which numbers stand in columns and texts in tables; it travels deflated, behind its format.

    u8 format, 1 ‖ raw DEFLATE of the body

Rules: a column has one width, the smallest that fits; a table is sorted, and each of its rows is used. What arrives
is inflated up to a bound, and no count is believed before its bytes are there. Everything little-endian.

Not here: what the columns mean (`snapshot`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence, Sized
from itertools import accumulate, pairwise
from typing import Any, Final, NoReturn

import msgpack

from crdtstore.errors import LimitExceeded, MalformedMessage
from crdtstore.limits import DOCUMENT_BYTES_MAX, SNAPSHOT_BLOCK_BYTES_MAX

FORMAT: Final = 1
RAW_DEFLATE: Final = -zlib.MAX_WBITS

WIDTHS: Final = "BHIQ"
"""struct codes of a column's numbers, by log2 of their bytes."""


def deflate(*pieces: bytes) -> bytes:
    """Make a body of its pieces, and deflate it.

    Raises:
        LimitExceeded: It has more than SNAPSHOT_BLOCK_BYTES_MAX bytes.
    """
    body = b"".join(pieces)
    check_limit("SNAPSHOT_BLOCK_BYTES_MAX", len(body), SNAPSHOT_BLOCK_BYTES_MAX)
    return bytes([FORMAT]) + zlib.compress(body, wbits=RAW_DEFLATE)


def check_limit(limit: str, value: int, maximum: int) -> None:
    """Refuse to make what nobody would take."""
    if value > maximum:
        message = f"A block of a snapshot would come to {value} by {limit}; at most {maximum} are allowed."
        raise LimitExceeded(message, limit=limit, value=value, maximum=maximum)


def counts(*parts: Sized) -> bytes:
    """Write how many rows there are of each kind."""
    return struct.pack(f"<{len(parts)}I", *[len(part) for part in parts])


def u64(number: int) -> bytes:
    """Write one number of 64 bits."""
    return number.to_bytes(8, "little")


def column(numbers: Sequence[int]) -> bytes:
    """Write numbers in the smallest width that fits all, behind log2 of that width."""
    width = width_of(numbers)
    return bytes([width]) + struct.pack(f"<{len(numbers)}{WIDTHS[width]}", *numbers)


def width_of(numbers: Sequence[int]) -> int:
    """log2 of the bytes that hold each of some numbers."""
    bits = max(numbers, default=0).bit_length()
    return (bits > 8) + (bits > 16) + (bits > 32)


def texts(pieces: Iterable[bytes]) -> bytes:
    """Write byte strings behind the column of their lengths."""
    given = list(pieces)
    return column([len(piece) for piece in given]) + b"".join(given)


class Reader:
    """Takes what was written so from a body that came from elsewhere."""

    __slots__ = ("at", "body")

    def __init__(self, data: bytes) -> None:
        """Inflate a body, up to its bound.

        Raises:
            MalformedMessage: The format is not this one, the deflated bytes are damaged, or they hold too much.
        """
        if data[:1] != bytes([FORMAT]):
            raise MalformedMessage(f"A snapshot begins with format {FORMAT}; this one begins with {data[:1].hex()!r}.")
        inflater = zlib.decompressobj(wbits=RAW_DEFLATE)
        try:
            self.body = inflater.decompress(data[1:], SNAPSHOT_BLOCK_BYTES_MAX + 1)
        except zlib.error as error:
            raise MalformedMessage(f"A snapshot cannot be inflated: {error}.") from None
        if len(self.body) > SNAPSHOT_BLOCK_BYTES_MAX or not inflater.eof or inflater.unused_data:
            refuse(f"has at most {SNAPSHOT_BLOCK_BYTES_MAX} bytes inflated, and ends where they end")
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        piece = self.body[self.at : self.at + size]
        if len(piece) != size:
            refuse("has as many bytes as it says")
        self.at += size
        return piece

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self.body) - self.at)

    def counts(self, count: int) -> tuple[int, ...]:
        """The counts in front of a body."""
        return struct.unpack(f"<{count}I", self.take(4 * count))

    def u64(self) -> int:
        """One number of 64 bits."""
        return int.from_bytes(self.take(8), "little")

    def column(self, count: int) -> tuple[int, ...]:
        """A column of numbers."""
        width = self.take(1)[0]
        if width >= len(WIDTHS):
            refuse("has numbers of up to 8 bytes")
        numbers = struct.unpack(f"<{count}{WIDTHS[width]}", self.take(count << width))
        if width_of(numbers) != width:
            refuse("has columns of the smallest width")
        return numbers

    def blocks(self, count: int, size: int) -> list[bytes]:
        """Byte strings of one size."""
        data = self.take(count * size)
        return [data[at : at + size] for at in range(0, len(data), size)]

    def texts(self, count: int) -> list[bytes]:
        """Byte strings behind the column of their lengths."""
        ends = list(accumulate(self.column(count), initial=0))
        data = self.take(ends[-1])
        return [data[first:end] for first, end in pairwise(ends)]

    def values(self, count: int) -> list[bytes]:
        """Encoded values to the end of the body, each whole; nothing is made of them yet."""
        data = self.rest()
        unpacker = msgpack.Unpacker(max_buffer_size=max(1, len(data)))
        unpacker.feed(data)
        ends = [0]
        for _ in range(count):
            unpacker.skip()
            ends.append(unpacker.tell())
        pieces = [data[first:end] for first, end in pairwise(ends)]
        if ends[-1] != len(data) or max(map(len, pieces), default=0) > DOCUMENT_BYTES_MAX:
            refuse(f"has a value of at most {DOCUMENT_BYTES_MAX} bytes for each row that carries one")
        return pieces


def ascending(rows: Sequence[Any]) -> Sequence[Any]:
    """Rows that were checked to be sorted, none of them twice."""
    if not all(before < after for before, after in pairwise(rows)):
        refuse("has tables and rows in order, nothing twice")
    return rows


def all_used(numbers: Sequence[int], size: int) -> Sequence[int]:
    """Numbers that were checked to be those of a table, each of them."""
    if set(numbers) != set(range(size)):
        refuse("refers to each row of its tables, and to no other")
    return numbers


def refuse(must: str) -> NoReturn:
    """Say what every snapshot does, and this one does not."""
    raise MalformedMessage(f"A snapshot {must}; this one does not.")
