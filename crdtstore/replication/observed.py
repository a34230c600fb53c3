"""What records observed, without repeating what the frame says anyway.

Rules: a record's vector has rows of (origin, position, timestamp, chain digest). Where a row means an earlier entry of
the same frame, only the distance to it is written. Its digest is written once: then both sides work the chain out
from there on. Any other row is written whole. So every row comes out as it went in, right or wrong: one that does not
fit the entry that it names is written whole too.

What a vector means is not here (`crdt/vector.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final, TypeAlias

from crdtstore.core import chain_digest
from crdtstore.crdt.entry import Entry
from crdtstore.crdt.record import U64_MAX
from crdtstore.errors import MalformedMessage
from crdtstore.limits import FRAME_ENTRIES_MAX
from crdtstore.replication.columns import COUNTER_MAX, MILLISECONDS_MAX, Reader, number_of, split, unsplit
from crdtstore.replication.fields import Fields

ROW_BYTES_MIN: Final = 39
"""The smallest row in a record: with it, bytes bound the number of rows."""

Pending: TypeAlias = int | tuple[int, int, int, int]
"""A row as it was read: the distance to an entry, or origin, position, milliseconds before and counter."""


class Chains:
    """The entries of a frame so far, with the chain digests that both sides know."""

    __slots__ = ("after", "digests", "entries", "fields", "last")

    def __init__(self) -> None:
        self.fields: list[Fields] = []
        self.entries: list[Entry] = []
        self.digests: list[bytes | None] = []
        self.last: dict[bytes, int] = {}
        self.after: dict[int, int] = {}

    def add(self, fields: Fields, entry: Entry) -> None:
        """Go on by an entry."""
        index = len(self.entries)
        before = self.last.get(fields.origin)
        self.fields.append(fields)
        self.entries.append(entry)
        self.digests.append(fields.digest)
        self.last[fields.origin] = index
        if before is not None:
            self.after[before] = index
            known = self.digests[before]
            if known and not fields.digest:
                self.digests[index] = chain_digest(known, entry.data)

    def tell(self, index: int, digest: bytes) -> None:
        """Learn an entry's digest, and by it those of the entries behind."""
        at: int | None = index
        while at is not None and self.digests[at] is None:
            self.digests[at] = digest
            at = self.after.get(at)
            digest = chain_digest(digest, self.entries[at].data) if at is not None else digest


# --- writing ---


def write_observed(
    entries: Sequence[Entry], fields: Sequence[Fields], names: dict[bytes, int]
) -> tuple[list[list[int]], bytes]:
    """Make columns of what was observed.

    Returns:
        The columns (steps from entry to entry, distances; of the rows written whole: origins, positions, milliseconds
        before the record, counters), and the digests.
    """
    columns: list[list[int]] = [[], [], [], [], [], []]
    if not any(line.observed for line in fields):
        return columns, b""
    steps, distances, *whole = columns
    told: list[bytes] = []
    chains = Chains()
    places: dict[tuple[bytes, int], int] = {}
    before = 0
    for index, (entry, line) in enumerate(zip(entries, fields, strict=True)):
        for row in line.observed:
            steps.append(index - before)
            before = index
            seen = find(chains, places, row)
            distances.append(0 if seen is None else index - seen)
            if seen is None:
                told.append(row[3])
                write_whole(whole, row, line.timestamp, names)
            elif chains.digests[seen] is None:
                told.append(row[3])
                chains.tell(seen, row[3])
        chains.add(line, entry)
        places[line.origin, line.position] = index
    return columns, b"".join(told)


def find(chains: Chains, places: dict[tuple[bytes, int], int], row: Sequence[Any]) -> int | None:
    """The entry that says what a row says."""
    origin, position, timestamp, digest = row
    seen = places.get((origin, position))
    if seen is None or chains.fields[seen].timestamp != timestamp or chains.digests[seen] not in {None, digest}:
        return None
    return seen


def write_whole(columns: Sequence[list[int]], row: Sequence[Any], timestamp: int, names: dict[bytes, int]) -> None:
    """Append a row without its digest."""
    origin, position, observed, _ = row
    origins, positions, milliseconds, counters = columns
    origins.append(number_of(names, origin))
    positions.append(position)
    millisecond, counter = split(observed)
    milliseconds.append(split(timestamp)[0] - millisecond)
    counters.append(counter)


# --- reading ---


def read_observed(reader: Reader, rows: int, names: int) -> dict[int, list[Pending]]:
    """Read the columns; returns the rows of each entry that has some."""
    if not rows:
        return {}
    steps = reader.column(rows, FRAME_ENTRIES_MAX)
    distances = reader.column(rows, FRAME_ENTRIES_MAX)
    count = distances.count(0)
    whole = zip(
        reader.column(count, names - 1),
        reader.column(count, U64_MAX),
        reader.column(count, MILLISECONDS_MAX, -MILLISECONDS_MAX),
        reader.column(count, COUNTER_MAX),
        strict=True,
    )
    observed: dict[int, list[Pending]] = {}
    for index, distance in zip(accumulate(steps), distances, strict=True):
        observed.setdefault(index, []).append(distance or next(whole))
    return observed


def rebuild_row(row: Pending, timestamp: int, chains: Chains, names: Sequence[bytes], told: deque[bytes]) -> list[Any]:
    """Make the row of a record's vector again, when all entries before the record are known."""
    if isinstance(row, int):
        index = len(chains.entries) - row
        if index < 0:
            raise MalformedMessage("A frame's record observed an entry before the frame's first.")
        seen, digest = chains.fields[index], chains.digests[index]
        if digest is None:
            digest = told.popleft()
            chains.tell(index, digest)
        return [seen.origin, seen.position, seen.timestamp, digest]
    origin, position, milliseconds, counter = row
    millisecond = split(timestamp)[0] - milliseconds
    return [names[origin], position, unsplit(millisecond, counter), told.popleft()]
