"""Changes of one shape stand together: what they have in common once, and their ids and values in columns.

Rules: a *shape* is what changes have in common: the collection, and the code and path of each operation, in order. It
is written as its collection, its number of operations and the decoded ids of its changes; then comes each operation:
code, path and, where it has one, a value for each change (a removal's types, a register's value, a token, a
counter's number).
In front of an increment's values stand columns of the instances' stamps: milliseconds as differences, the first from
the frame's start, counters, origins, actors.

The order of changes across shapes is a column of the frame's. What numbers and values look like is not here
(`columns`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, islice, pairwise, repeat
from typing import Any, Final, TypeAlias

from crdtstore.crdt.identifier import STRING, decode_part, encode_id
from crdtstore.crdt.operation import ATTACH, BURY, INCREMENT, INITIAL, MARK, REMOVE, RESTART, START, WRITE
from crdtstore.crdt.record import array_head
from crdtstore.crdt.value import Value, pack
from crdtstore.errors import MalformedMessage
from crdtstore.limits import FRAME_BYTES_MAX
from crdtstore.replication.columns import (
    COUNTER_MAX,
    MILLISECONDS_MAX,
    Reader,
    actor_of,
    number_of,
    number_of_actor,
    split,
    unsplit,
    write_columns,
    write_items,
)
from crdtstore.replication.fields import Fields

Shape: TypeAlias = tuple[Any, ...]

CHANGE_HEAD: Final = b"\x93"
HEADS: Final = {
    REMOVE: b"\x93\x00",
    WRITE: b"\x93\x01",
    MARK: b"\x92\x02",
    START: b"\x93\x03",
    RESTART: b"\x93\x04",
    INCREMENT: b"\x96\x05",
    ATTACH: b"\x93\x06",
    BURY: b"\x92\x07",
    INITIAL | WRITE: b"\x93\x09",
    INITIAL | MARK: b"\x92\x0a",
    INITIAL | RESTART: b"\x93\x0c",
    INITIAL | ATTACH: b"\x93\x0e",
}
"""How an operation begins: an array of so many fields, then its code."""

BARE: Final = frozenset((MARK, BURY, INITIAL | MARK))
"""Codes of operations that hold nothing but their path."""

OPERATION_BYTES_MIN: Final = 4
OPERATIONS_MAX: Final = FRAME_BYTES_MAX // OPERATION_BYTES_MIN

CHANGE_BYTES_MIN: Final = 11
"""Collection, id and operation of the smallest change: with it, bytes bound the number of changes."""


# --- writing ---


def sort_by_shape(entries: Iterable[Fields]) -> tuple[dict[Shape, list[list[Any]]], list[int]]:
    """Group changes.

    Returns:
        The rows of each shape (id, then what its operations hold), and the number of each change's shape.
    """
    shapes: dict[Shape, list[list[Any]]] = {}
    numbers: dict[Shape, int] = {}
    column = []
    for fields in entries:
        for collection, encoded_id, operations in fields.changes:
            shape = (collection, *[part for operation in operations for part in operation[:2]])
            row = [id_of(encoded_id), *[part for operation in operations for part in operation[2:]]]
            column.append(numbers.setdefault(shape, len(numbers)))
            shapes.setdefault(shape, []).append(row)
    return shapes, column


def id_of(encoded: bytes) -> Value:
    """The value of an id that was checked before."""
    return encoded[1:].decode() if encoded[0] == STRING else decode_part(encoded, 0, 0)[0]


def write_shape(shape: Shape, rows: list[list[Any]], names: dict[bytes, int], start: int) -> bytes:
    """Write a shape and its changes."""
    collection, *operations = shape
    columns = zip(*rows, strict=True)
    parts = [pack(collection), pack(len(operations) // 2), write_items(next(columns))]
    for code, path in zip(operations[0::2], operations[1::2], strict=True):
        parts += [pack(code), pack(path)]
        if code == INCREMENT:
            parts.append(write_stamps(next(columns), next(columns), next(columns), names, start))
        if code not in BARE:
            parts.append(write_items(next(columns)))
    return b"".join(parts)


def write_stamps(
    timestamps: Sequence[int], actors: Sequence[bytes], origins: Sequence[bytes], names: dict[bytes, int], start: int
) -> bytes:
    """Write the stamps of counter instances."""
    milliseconds, counters = zip(*map(split, timestamps), strict=True)
    return write_columns(
        [
            [after - before for before, after in pairwise([start, *milliseconds])],
            counters,
            [number_of(names, origin) for origin in origins],
            [number_of_actor(names, actor, origin) for actor, origin in zip(actors, origins, strict=True)],
        ]
    )


# --- reading ---


def read_changes(reader: Reader, column: list[int], names: list[bytes], start: int) -> list[bytes]:
    """Read all shapes; returns the encoded changes in the order of the column of their shapes.

    Raises:
        MalformedMessage: More than a frame may be inflated to, or not what is written here.
    """
    counts = Counter(column)
    if column and max(counts) != len(counts) - 1:
        raise MalformedMessage("A frame's shapes are numbered from 0 without a gap.")
    changes = []
    room = FRAME_BYTES_MAX
    for number in range(len(counts)):
        made = Assembly(counts[number], room)
        read_shape(reader, made, names, start)
        changes.append(iter(made.changes()))
        room = made.room
    return [next(changes[number]) for number in column]


class Assembly:
    """The columns that the changes of a shape are put together from, and the bytes that they may still take.

    What is written once stands in each change, so a few bytes could be made to mean very many.
    """

    def __init__(self, rows: int, room: int) -> None:
        self.rows = rows
        self.room = room
        self.columns: list[Iterable[bytes]] = []

    def constant(self, piece: bytes) -> None:
        """Add what stands in each change."""
        self.take(self.rows * len(piece))
        self.columns.append(repeat(piece, self.rows))

    def column(self, pieces: list[bytes]) -> None:
        """Add a piece for each change."""
        self.take(sum(map(len, pieces)))
        self.columns.append(pieces)

    def take(self, size: int) -> None:
        """Count bytes.

        Raises:
            MalformedMessage: There are too many.
        """
        self.room -= size
        if self.room < 0:
            raise MalformedMessage(f"A frame's entries take more than {FRAME_BYTES_MAX} bytes.")

    def changes(self) -> list[bytes]:
        """Put the changes together."""
        return list(map(b"".join, zip(*self.columns, strict=True)))


def read_shape(reader: Reader, made: Assembly, names: list[bytes], start: int) -> None:
    """Read the changes of one shape."""
    made.constant(CHANGE_HEAD + pack(reader.item()))
    count = reader.number(OPERATIONS_MAX)
    made.column([pack(encode_id(reader.item())) for _ in range(made.rows)])
    made.constant(array_head(count))
    before = (-1, b"")
    for _ in range(count):
        code, path = reader.item(), reader.item()
        before = check_order(code, path, before)
        made.constant(HEADS[code] + pack(path))
        if code == INCREMENT:
            made.column(read_stamps(reader, made.rows, names, start))
        if code not in BARE:
            made.column(reader.pieces(made.rows))


def check_order(code: int, path: bytes, before: tuple[int, bytes]) -> tuple[int, bytes]:
    """Refuse an operation that does not come behind the one before it; returns its place.

    Not only when the record is whole: the smallest operation, again and again, would make many objects of few bytes.
    """
    place = (0 if code == REMOVE else 2 if code == INCREMENT else 1), path
    if place < before or (place == before and code != INCREMENT):
        raise MalformedMessage("The operations of a frame's shape are not in a record's order.")
    return place


def read_stamps(reader: Reader, rows: int, names: list[bytes], start: int) -> list[bytes]:
    """Read the stamps of counter instances, each as an increment holds it."""
    reader.begin_columns()
    steps = reader.column(rows, MILLISECONDS_MAX, -MILLISECONDS_MAX)
    counters = reader.column(rows, COUNTER_MAX)
    origins = reader.column(rows, len(names) - 1)
    actors = reader.column(rows, len(names))
    milliseconds = islice(accumulate(steps, initial=start), 1, None)
    return [
        pack(unsplit(millisecond, counter)) + pack(actor_of(names, actor, names[origin])) + pack(names[origin])
        for millisecond, counter, origin, actor in zip(milliseconds, counters, origins, actors, strict=True)
    ]
