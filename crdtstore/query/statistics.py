"""Statistics of an index: how its entries are spread, so that a plan can tell how many a range has.

Rules: keys that divide the entries into STATISTICS_PARTS_MAX parts of about the same size, and how many columns there
are that differ. They are made by one pass over the entries and made again once there are twice as many or half as
many, so keeping them costs each write a constant share. An estimate may be wrong; only the time that a query takes
depends on it. They are kept in memory, beside the store's names, and made by the first plan that asks for them: a find
by id, or one that an index says nothing of, neither reads the table of indexes nor measures one.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

from crdtstore.limits import STATISTICS_KEY_BYTES_MAX, STATISTICS_PARTS_MAX
from crdtstore.query.bounds import behind
from crdtstore.storage.index import RIVALS, WHOLE, read_indexes
from crdtstore.storage.index_entries import HEAD_BYTES, part_prefix, split_entry
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crdtstore.query.bounds import Range
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.index import Index
    from crdtstore.storage.interface import Snapshot


class Statistics(NamedTuple):
    """How many entries there were, how many different columns, and the columns at the parts' ends."""

    entries: int
    distinct: int
    ends: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """An index that is ready, and what makes or remembers its statistics."""

    index: Index
    statistics: Callable[[], Statistics]


KNOWN: Final[WeakKeyDictionary[Catalog, dict[int, Statistics]]] = WeakKeyDictionary()
"""By the number of an index, of each store that is open."""


def measured_indexes(snapshot: Snapshot, catalog: Catalog, collection: Collection) -> Iterator[Measured]:
    """The indexes of a collection that are ready in a snapshot, read when the first is asked for."""
    yield from measure_ready(snapshot, catalog, read_indexes(snapshot, collection.number))


def measure_ready(snapshot: Snapshot, catalog: Catalog, indexes: Iterable[Index]) -> Iterator[Measured]:
    """Those of some indexes that are ready."""
    for index in indexes:
        if index.ready:
            yield Measured(index, partial(statistics_of, snapshot, catalog, index))


def statistics_of(snapshot: Snapshot, catalog: Catalog, index: Index) -> Statistics:
    """What is known of an index, unless that is stale; else what a pass over it says."""
    known = KNOWN.setdefault(catalog, {})
    kept = known.get(index.number)
    if kept is None or is_stale(kept, index.counts[part_of(index)]):
        kept = known[index.number] = measure(snapshot, index)
    return kept


def part_of(index: Index) -> int:
    """The part of an index that its statistics are of."""
    return RIVALS if index.kind == "conflicts" else WHOLE


def is_stale(known: Statistics, entries: int) -> bool:
    """Whether an index has grown or shrunk so much that its statistics tell nothing any more."""
    return entries > 2 * known.entries or 2 * entries < known.entries


def measure(snapshot: Snapshot, index: Index) -> Statistics:
    """Make the statistics of an index, by one pass."""
    prefix = part_prefix(index, part_of(index))
    size = max(1, index.counts[part_of(index)] // STATISTICS_PARTS_MAX)
    entries = distinct = 0
    ends: list[bytes] = []
    before = b""
    for key, value in snapshot.scan(Table.ENTRIES, prefix, behind(prefix)):
        columns = split_entry(key, value)[0][HEAD_BYTES:]
        distinct += columns != before or not entries
        before = columns
        entries += 1
        if entries % size == 0:
            ends.append(columns[:STATISTICS_KEY_BYTES_MAX])
    return Statistics(entries, distinct, tuple(ends))


def entries_in(measured: Measured, each: Range) -> float:
    """About how many entries a range of columns has."""
    known = measured.statistics()
    if known.entries == 0:
        return 0.0
    first, last = bisect_left(known.ends, each.start), bisect_left(known.ends, each.end)
    size = known.entries / max(1, len(known.ends))
    if first == last:
        return min(size, known.entries / max(1, known.distinct))
    return (last - first) * size
