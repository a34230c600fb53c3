"""A frame is how entries travel between stores: their fields as columns with shared tables, deflated.

Rules:
  - Entries come out byte for byte as they went in, in their order, and with them the chain digest behind the last
    entry of each of their origins. Each of them passes the check that every record from elsewhere passes.
  - What follows from the rest is left out: positions, an actor that is the origin, a counter that goes on within a
    millisecond, what the frame says anyway of a record that was observed.
  - What arrives is bounded before it is inflated, counted before it is multiplied, and refused whole.

Not here: how numbers and values are written (`columns`), changes (`shapes`), vectors (`observed`); which entries a
peer lacks (`missing`). The format's document is `docs/frame.md`.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

import msgpack

from crdtstore.crdt.entry import Entry
from crdtstore.crdt.record import U64_MAX
from crdtstore.crdt.value import pack
from crdtstore.errors import CrdtStoreError, LimitExceeded, MalformedMessage, PositionGap
from crdtstore.limits import FRAME_BYTES_MAX, FRAME_ENTRIES_MAX
from crdtstore.replication.columns import (
    BLOCK_BYTES,
    COUNTER_MAX,
    MILLISECONDS_MAX,
    Reader,
    Times,
    actor_of,
    number_of_actor,
    read_times,
    write_columns,
    write_times,
)
from crdtstore.replication.fields import Fields, put_together, take_apart
from crdtstore.replication.observed import (
    ROW_BYTES_MIN,
    Chains,
    Pending,
    read_observed,
    rebuild_row,
    write_observed,
)
from crdtstore.replication.shapes import CHANGE_BYTES_MIN, read_changes, sort_by_shape, write_shape

FRAME_FORMAT: Final = 1

RAW: Final = -zlib.MAX_WBITS
"""DEFLATE without zlib's head and sum."""

THOROUGH, QUICK, THOROUGH_BYTES = 9, 5, 16 * 1_024
"""Levels of deflating, and to which size the thorough one is taken: two bytes in a hundred for five times the work."""

AS_IT_IS: Final = 0
"""Stands in the place of the size where the columns are not deflated."""

ENVELOPE_BYTES_MAX: Final = 6
"""Format and size."""

CHANGES_MAX: Final = FRAME_BYTES_MAX // CHANGE_BYTES_MIN


class Frame(NamedTuple):
    """Entries in their order, and the chain digest behind the last entry of each of their origins."""

    entries: tuple[Entry, ...]
    chains: Mapping[bytes, bytes]


# --- writing ---


def encode_frame(frame: Frame) -> bytes:
    """Encode a frame.

    Args:
        frame: Entries of this store's log, or cut from them; those of an origin follow one another without a gap.

    Raises:
        LimitExceeded: More than FRAME_ENTRIES_MAX entries, or FRAME_BYTES_MAX bytes of them.
        PositionGap: Positions of an origin do not follow one another.
    """
    check_size("FRAME_ENTRIES_MAX", len(frame.entries), FRAME_ENTRIES_MAX)
    check_size("FRAME_BYTES_MAX", sum(len(entry.data) for entry in frame.entries), FRAME_BYTES_MAX)
    body = write_body(frame)
    check_size("FRAME_BYTES_MAX", len(body), FRAME_BYTES_MAX)
    return deflate(body)


def deflate(body: bytes) -> bytes:
    """Put the columns into a frame, deflated where that makes them smaller."""
    level = THOROUGH if len(body) <= THOROUGH_BYTES else QUICK
    deflater = zlib.compressobj(level, wbits=RAW)
    deflated = deflater.compress(body) + deflater.flush()
    size, payload = (len(body), deflated) if len(deflated) < len(body) else (AS_IT_IS, body)
    return bytes([FRAME_FORMAT]) + pack(size) + payload


def check_size(limit: str, size: int, maximum: int) -> None:
    """Refuse what no receiver would take."""
    if size > maximum:
        message = f"A frame's size of {size} is beyond {limit}, which is {maximum}."
        raise LimitExceeded(message, limit=limit, value=size, maximum=maximum)


def write_body(frame: Frame) -> bytes:
    """Write the columns of a frame."""
    entries = [take_apart(entry) for entry in frame.entries]
    before = positions_before(entries)
    assert before.keys() == frame.chains.keys(), "A frame tells a chain digest for each of its origins, and no other."
    names = {origin: number for number, origin in enumerate(before)}
    times = write_times([fields.timestamp for fields in entries])
    shapes, shape_column = sort_by_shape(entries)
    observed, told = write_observed(frame.entries, entries, names)
    columns: list[Sequence[int]] = [
        list(before.values()),
        times.steps,
        [len(fields.changes) for fields in entries],
        shape_column,
        [number_of_actor(names, fields.actor, fields.origin) for fields in entries],
        [names[fields.origin] for fields in entries],
        times.counters,
        [len(fields.digests) // BLOCK_BYTES for fields in entries],
        *observed,
    ]
    changes = [write_shape(shape, rows, names, times.start) for shape, rows in shapes.items()]
    chains = b"".join([frame.chains[origin] for origin in before])
    digests = told + b"".join([fields.digests for fields in entries])
    head = [b"".join(names), chains, digests, len(entries), len(observed[0]), times.start]
    return b"".join([*map(pack, head), write_columns(columns), *changes])


def positions_before(entries: Sequence[Fields]) -> dict[bytes, int]:
    """The position before each origin's first entry, in the order in which the origins come."""
    before: dict[bytes, int] = {}
    reached: dict[bytes, int] = {}
    for fields in entries:
        origin, expected = fields.origin, fields.position - fields.steps
        if reached.setdefault(origin, before.setdefault(origin, expected)) != expected:
            message = f"Origin {origin.hex()}: position {fields.position} does not follow {reached[origin]} in a frame."
            raise PositionGap(message, origin=origin.hex(), expected=reached[origin] + 1, got=fields.position)
        reached[origin] = fields.position
    return before


# --- reading ---


def decode_frame(data: bytes) -> Frame:
    """Decode a frame that came from elsewhere.

    Raises:
        MalformedMessage: Bytes that `encode_frame` would not have written, or that are beyond its bounds.
    """
    try:
        return read_body(Reader(inflate(data)))
    except MalformedMessage:
        raise
    except (
        CrdtStoreError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        msgpack.UnpackException,
        zlib.error,
    ) as error:
        reason = str(error)[:200].removesuffix(".")
        raise MalformedMessage(f"A frame of {len(data)} bytes cannot be read: {reason}.") from error


def inflate(data: bytes) -> bytes:
    """Take the columns out of a frame.

    Raises:
        MalformedMessage: Another format, more than FRAME_BYTES_MAX bytes, or not the bytes that were announced.
    """
    if data[:1] != bytes([FRAME_FORMAT]):
        found = data[0] if data else "none"
        raise MalformedMessage(f"A frame of format {found} arrived; this store reads format {FRAME_FORMAT}.")
    head = Reader(data[1:ENVELOPE_BYTES_MAX])
    size = head.number(FRAME_BYTES_MAX)
    payload = data[1 + head.unpacker.tell() :]
    if size == AS_IT_IS:
        return payload
    inflater = zlib.decompressobj(RAW)
    body = inflater.decompress(payload, size + 1)
    if len(body) != size or not inflater.eof or inflater.unused_data:
        raise MalformedMessage(f"A frame announces {size} bytes of columns and does not hold them.")
    return body


def read_body(reader: Reader) -> Frame:
    """Read the columns of a frame."""
    table = read_table(reader)
    changes = read_changes(reader, table.shapes, table.names, table.start)
    reader.close()
    entries = tuple(build_entries(table, iter(changes)))
    if sum(len(entry.data) for entry in entries) > FRAME_BYTES_MAX:
        raise MalformedMessage(f"A frame's entries take more than {FRAME_BYTES_MAX} bytes.")
    return Frame(entries, dict(zip(table.names, table.chains, strict=False)))


class Table(NamedTuple):
    """The columns of a frame, read: those of origins, of entries (`shapes`: of changes), and what entries observed."""

    names: list[bytes]
    chains: list[bytes]
    digests: deque[bytes]
    start: int
    before: list[int]
    timestamps: list[int]
    changes: list[int]
    shapes: list[int]
    actors: list[int]
    origins: list[int]
    digest_counts: list[int]
    observed: dict[int, list[Pending]]


def read_table(reader: Reader) -> Table:
    """Read what stands before the changes."""
    names, chains, digests = check_names(reader.blocks()), reader.blocks(), deque(reader.blocks())
    count = reader.number(FRAME_ENTRIES_MAX)
    rows = reader.number(FRAME_BYTES_MAX // ROW_BYTES_MIN)
    start = reader.number(MILLISECONDS_MAX)
    reader.begin_columns()
    before = reader.column(len(chains), U64_MAX)
    steps = reader.column(count, MILLISECONDS_MAX, -MILLISECONDS_MAX)
    changes = reader.column(count, CHANGES_MAX)
    shapes = reader.column(check_total(changes, CHANGES_MAX), CHANGES_MAX)
    actors = reader.column(count, len(names))
    origins = check_origins(reader.column(count, len(chains) - 1), len(chains))
    counters = reader.column(count, COUNTER_MAX, -COUNTER_MAX - 1)
    digest_counts = reader.column(count, len(digests))
    observed = read_observed(reader, rows, len(names))
    timestamps = read_times(Times(start, steps, counters))
    return Table(
        names, chains, digests, start, before, timestamps, changes, shapes, actors, origins, digest_counts, observed
    )


def check_names(names: list[bytes]) -> list[bytes]:
    """Refuse two numbers for one name."""
    if len(set(names)) != len(names):
        raise MalformedMessage("A frame's table holds a name twice.")
    return names


def check_origins(origins: list[int], known: int) -> list[int]:
    """Refuse an origin of which nothing comes."""
    if len(set(origins)) != known:
        raise MalformedMessage("A frame tells the chain digest of an origin that has no entry in it.")
    return origins


def check_total(counts: list[int], most: int) -> int:
    """The sum of a column of counts, unless there cannot be so many."""
    total = sum(counts)
    if total > most:
        raise MalformedMessage(f"A frame announces {total} rows where it has room for {most}.")
    return total


def build_entries(table: Table, changes: Iterator[bytes]) -> Iterator[Entry]:
    """Put all entries together, and see that every row of the columns was used."""
    names, reached = table.names, list(table.before)
    own = check_total(table.digest_counts, len(table.digests))
    told = deque(table.digests.popleft() for _ in range(len(table.digests) - own))
    chains = Chains()
    rows = zip(table.origins, table.actors, table.timestamps, table.changes, table.digest_counts, strict=True)
    for index, (origin, actor, timestamp, count, digests) in enumerate(rows):
        observed = [rebuild_row(row, timestamp, chains, names, told) for row in table.observed.pop(index, ())]
        reached[origin] += 1 if count else digests
        fields = Fields(
            names[origin],
            reached[origin],
            actor_of(names, actor, names[origin]),
            timestamp,
            observed,
            list(islice(changes, count)),
            b"".join([table.digests.popleft() for _ in range(digests)]),
        )
        entry = put_together(fields)
        if table.observed:
            chains.add(fields, entry)
        yield entry
    if told or table.observed:
        raise MalformedMessage("A frame holds digests or vectors that no entry uses.")
