"""What of the range sums is stale: the rows in which the log says that something changed since they were summed.

Rules: a write does not touch the range sums. The row `ranges` of table META says up to which txn id they follow the
log, and which key ranges were left for later all the same; the log names what changed after that. Every row that holds
no such key is exact. Everything is stale where no sums were made yet, where the log does not reach back to that txn
id, and where more transactions than documents came since: then summing all is less work than reading the log.

Who brings them up to date, and who gets by without, is not here; see `range_refresh` and `ranges`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgpack
import msgspec

from crdtstore.crdt.entry import decode_join, is_join, is_record
from crdtstore.limits import RANGE_LEAVES_MAX
from crdtstore.storage.documents import id_key
from crdtstore.storage.log import first_txn, last_txn, read_entries
from crdtstore.storage.range_table import KEY_END, Interval, interval_of
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.interface import Batch, Snapshot

STATE_KEY: Final = b"ranges"

STATE_FORMAT: Final = 1
"""Of the row and of the table: sums of another format are made anew."""

Stale: TypeAlias = dict[str, list[Interval]]
"""By collection, sorted and disjoint."""


FORMATS = msgspec.msgpack.Decoder(list[Any])
ROWS = msgspec.msgpack.Decoder(tuple[int, int, list[tuple[str, bytes, bytes]]])


class State(NamedTuple):
    """The txn id up to which the range sums follow the log, and what is stale all the same."""

    txn: int
    stale: Stale


def read_state(snapshot: Snapshot, catalog: Catalog, changes_max: int | None = None) -> State:
    """What is stale, with what the log names up to the txn id that is given.

    Args:
        snapshot: A view.
        catalog: The names of its collections.
        changes_max: Stop reading the log behind so many changes; None reads all of it.
    """
    newest = last_txn(snapshot)
    kept = unpack_state(snapshot.get(Table.META, STATE_KEY))
    if kept is None or not can_follow(snapshot, catalog, kept.txn, newest):
        return State(newest, {collection.name: [(b"", KEY_END)] for collection in list(catalog.collections)})
    stale = {name: list(intervals) for name, intervals in kept.stale.items()}
    txn, changes = kept.txn, sum(map(len, stale.values()))
    for entry in read_entries(snapshot, kept.txn):
        if changes_max is not None and changes >= changes_max:
            break
        txn = entry.txn
        for name, interval in changed_by(entry.record):
            stale.setdefault(name, []).append(interval)
            changes += 1
    return State(txn, {name: merge(intervals) for name, intervals in stale.items()})


def can_follow(snapshot: Snapshot, catalog: Catalog, txn: int, newest: int) -> bool:
    """Whether the log tells what changed after a txn id, in less than it takes to sum everything."""
    documents = sum(collection.documents for collection in list(catalog.collections))
    return first_txn(snapshot) <= txn + 1 <= newest + 1 and newest - txn <= documents + RANGE_LEAVES_MAX


def changed_by(entry: bytes) -> Iterator[tuple[str, Interval]]:
    """The keys that an entry of the log may have changed; an advance changes none."""
    if is_record(entry):
        for collection, id_, _ in msgpack.unpackb(entry, strict_map_key=False)[6]:
            key = id_key(id_)
            yield collection, (key, key + b"\0")
    elif is_join(entry):
        for range_ in decode_join(entry)[1]:
            yield range_.collection, interval_of(range_)


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The same keys as sorted intervals that do not touch."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif start < end:
            merged.append((start, end))
    return merged


def touches(intervals: list[Interval], start: bytes, end: bytes) -> bool:
    """Whether merged intervals have a key from `start` to before `end`."""
    before = bisect_left(intervals, (end,))
    return before > 0 and intervals[before - 1][1] > start


def unpack_state(row: bytes | None) -> State | None:
    """Read the row of META; None where there is none of this format."""
    if row is None or decode_row(FORMATS, Table.META, STATE_KEY, row)[:1] != [STATE_FORMAT]:
        return None
    _, txn, intervals = decode_row(ROWS, Table.META, STATE_KEY, row)
    stale: Stale = {}
    for name, start, end in intervals:
        stale.setdefault(name, []).append((start, end))
    return State(txn, stale)


def write_state(batch: Batch, state: State) -> None:
    """Write the row of META, if it changed."""
    intervals = [(name, *interval) for name, found in state.stale.items() for interval in found]
    row: bytes = msgpack.packb([STATE_FORMAT, state.txn, intervals])
    if batch.get(Table.META, STATE_KEY) != row:
        batch.put(Table.META, STATE_KEY, row)
