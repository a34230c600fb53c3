"""Columns hold what many entries have in common once: numbers, names and values, each where its like stands.

Rules: everything is a msgpack item, one behind the other.
  - A *column* of numbers has a number for each row; one number stands for all rows where they are equal, and a
    column of zeros is left out. A mask in front of some columns says which of them are there.
  - *Blocks* are names and digests of 16 bytes, in one binary. *Items* are values, one for each row.
  - What is read is checked before it is used: types, lengths, ranges. No array that arrives is taken at its word:
    its items are read one by one, so memory grows with the bytes that are there.

Not here: what the columns mean (`frame`, `shapes`, `observed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgpack

from crdtstore.crdt.record import array_head
from crdtstore.crdt.timestamp import LOGICAL_BITS, from_milliseconds, to_milliseconds
from crdtstore.crdt.value import Value, pack
from crdtstore.errors import MalformedMessage
from crdtstore.limits import ACTOR_BYTES, FRAME_BYTES_MAX, ID_BYTES_MAX

BLOCK_BYTES: Final = ACTOR_BYTES
"""Actors, origins and chain digests all have 16 bytes."""

COLUMNS_MAX: Final = 14
"""Columns behind one mask."""

COUNTER_MAX: Final = 2**LOGICAL_BITS - 1
MILLISECONDS_MAX: Final = 2 ** (64 - LOGICAL_BITS) - 1
"""The two parts of a timestamp."""


def number_of(names: dict[bytes, int], name: bytes) -> int:
    """The number of an actor or origin in a frame's table; a new one gets the next."""
    return names.setdefault(name, len(names))


def number_of_actor(names: dict[bytes, int], actor: bytes, origin: bytes) -> int:
    """The number of an actor: 0 where it is the origin itself, else one more than that in the table."""
    return 0 if actor == origin else 1 + number_of(names, actor)


def actor_of(names: Sequence[bytes], number: int, origin: bytes) -> bytes:
    """The actor of such a number."""
    return names[number - 1] if number else origin


def split(timestamp: int) -> tuple[int, int]:
    """A timestamp's milliseconds and counter."""
    return to_milliseconds(timestamp), timestamp & COUNTER_MAX


def unsplit(milliseconds: int, counter: int) -> int:
    """A timestamp of its parts, which differences of columns may have led anywhere.

    Raises:
        MalformedMessage: They are no parts of a timestamp.
    """
    if 0 <= milliseconds <= MILLISECONDS_MAX and 0 <= counter <= COUNTER_MAX:
        return from_milliseconds(milliseconds) + counter
    raise MalformedMessage(f"Millisecond {milliseconds} with counter {counter} is no timestamp.")


def write_columns(columns: Sequence[Sequence[int]]) -> bytes:
    """Write a mask and the columns that are not all zeros."""
    present = [any(column) for column in columns]
    mask = sum(1 << at for at, there in enumerate(present) if there)
    return pack(mask) + b"".join([pack(fold(column)) for column in columns if any(column)])


def fold(column: Sequence[int]) -> Sequence[int]:
    """One number for all rows where they are equal."""
    return column[:1] if len(set(column)) == 1 else column


def write_items(items: Sequence[Value]) -> bytes:
    """Write values one behind the other."""
    packed: bytes = pack(items)
    return packed[len(array_head(len(items))) :]


class Reader:
    """Takes what was written so from the front of bytes that came from elsewhere."""

    __slots__ = ("body", "item", "mask", "unpacker")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.mask = 0
        self.unpacker = msgpack.Unpacker(
            strict_map_key=False,
            max_buffer_size=FRAME_BYTES_MAX,
            # Only ids are unpacked together with what is in them, and an array costs them a byte for each item.
            max_array_len=ID_BYTES_MAX,
            max_map_len=ID_BYTES_MAX,
        )
        self.unpacker.feed(body)
        self.item = self.unpacker.unpack

    def number(self, most: int) -> int:
        """One number, from 0."""
        return check_numbers([self.item()], most)[0]

    def blocks(self) -> list[bytes]:
        """Names or digests."""
        blob = self.item()
        if not isinstance(blob, bytes) or len(blob) % BLOCK_BYTES:
            raise MalformedMessage(f"Names and digests are binaries of {BLOCK_BYTES} bytes each.")
        return [blob[at : at + BLOCK_BYTES] for at in range(0, len(blob), BLOCK_BYTES)]

    def array(self) -> list[Any]:
        """An array of scalars."""
        return [self.item() for _ in range(self.unpacker.read_array_header())]

    def begin_columns(self) -> None:
        """The mask of the columns that follow; the mask before is used up."""
        if self.mask:
            raise MalformedMessage("A frame announces a column that it does not have.")
        self.mask = self.number(2**COLUMNS_MAX - 1)

    def column(self, rows: int, most: int, least: int = 0) -> list[int]:
        """The next column: numbers from `least` to `most`."""
        present, self.mask = self.mask & 1, self.mask >> 1
        if not present:
            return [0] * rows
        length = self.unpacker.read_array_header()
        if length not in {1, rows}:
            raise MalformedMessage(f"A column of {rows} rows holds {length} numbers.")
        numbers = check_numbers([self.item() for _ in range(length)], most, least)
        return numbers if length == rows else numbers * rows

    def pieces(self, rows: int) -> list[bytes]:
        """Values as bytes, not unpacked."""
        skip, tell = self.unpacker.skip, self.unpacker.tell
        ends = [tell(), *[skip() or tell() for _ in range(rows)]]
        body = self.body
        return [body[start:end] for start, end in pairwise(ends)]

    def close(self) -> None:
        """Refuse what nobody took."""
        left = len(self.body) - self.unpacker.tell()
        if left or self.mask:
            raise MalformedMessage(f"{left} bytes stand behind the end of a frame's columns.")


def check_numbers(numbers: list[int], most: int, least: int = 0) -> list[int]:
    """Refuse what is not an integer from `least` to `most`."""
    if set(map(type, numbers)) != {int} or min(numbers) < least or max(numbers) > most:
        raise MalformedMessage(f"A frame holds integers from {least} to {most} here, and was given something else.")
    return numbers


# --- timestamps ---


class Times(NamedTuple):
    """Timestamps as columns: the first millisecond, the steps from there, how counters differ from what is expected.

    Expected is a counter that goes on within a millisecond, and begins with 0 in another.
    """

    start: int
    steps: list[int]
    counters: list[int]


def write_times(timestamps: Sequence[int]) -> Times:
    """Take timestamps apart."""
    start = millisecond = split(timestamps[0])[0] if timestamps else 0
    times, counter = Times(start, [], []), -1
    for timestamp in timestamps:
        before, expected = millisecond, counter + 1
        millisecond, counter = split(timestamp)
        times.steps.append(millisecond - before)
        times.counters.append(counter if millisecond != before else counter - expected)
    return times


def read_times(times: Times) -> list[int]:
    """Make timestamps of their columns."""
    timestamps = []
    millisecond, counter = times.start, -1
    for step, difference in zip(times.steps, times.counters, strict=True):
        millisecond += step
        counter = difference + (0 if step else counter + 1)
        timestamps.append(unsplit(millisecond, counter))
    return timestamps
