"""Bringing the range sums up to date with the log, in work that grows with what changed.

Rules: bottom up, one level at a time. On the lowest level the rows around every stale key are made again from their
documents, on each further level the rows around what was made again from the rows below. A stale key may be a boundary
that came or went, so the row that ends at it is made again too. Every row is right at every step, but for those that
are known to be stale: a refresh that stops half way has done no harm.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from crdtstore.errors import Corrupted
from crdtstore.limits import RANGE_LEAVES_MAX
from crdtstore.storage.range_stale import State, merge, read_state, write_state
from crdtstore.storage.range_table import (
    KEY_END,
    LEVELS,
    Interval,
    read_sums,
    row_key,
    sum_documents,
    sum_rows,
    write_sums,
)
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Batch, Snapshot


def refresh(batch: Batch, catalog: Catalog, leaves_max: int = RANGE_LEAVES_MAX) -> int:
    """Bring the range sums up to date with the log, some rows of the lowest level at a time.

    Args:
        batch: What is written to.
        catalog: The writer's.
        leaves_max: About how many leaves are made at most, so that a commit does not take long.

    Returns:
        How many leaves were made again. 0: the sums are up to date; else there may be more to do.

    Raises:
        Corrupted: A document is damaged. What was written before is right, and may be committed.
    """
    state = read_state(batch, catalog, leaves_max)
    left: dict[str, list[Interval]] = {}
    leaves = 0
    for name, stale in state.stale.items():
        collection = catalog.by_name.get(name)
        if collection is not None:
            made, left[name] = refresh_collection(batch, catalog, collection, stale, leaves_max - leaves)
            leaves += made
    write_state(batch, State(state.txn, left))
    return leaves


def refresh_job(batch: Batch, catalog: Catalog, _head: object) -> int:
    """As `refresh`, as a job of a commit group, to be run until it gives 0.

    A damaged document ends it: the sums around it stay stale, and who reads them is told of the damage.
    """
    try:
        return refresh(batch, catalog)
    except Corrupted:
        return 0


def refresh_collection(
    batch: Batch, catalog: Catalog, collection: Collection, stale: Iterable[Interval], leaves_max: int
) -> tuple[int, list[Interval]]:
    """Make the rows around stale keys again; returns how many leaves were, and what was too much."""
    made: list[Interval] = []
    left: list[Interval] = []
    leaves = 0
    for start, end in merge(widen(batch, collection, 1, interval) for interval in stale):
        if leaves >= leaves_max:
            left.append((start, end))
            continue
        documents = sum_documents(batch, collection, catalog.replicas, start, end, 1)
        # One more than there is room for: where a stop was made before, the first is made a second time.
        spans = list(islice(documents, leaves_max - leaves + 1))
        reached = spans[-1].end if spans else end
        write_sums(batch, 1, collection, start, reached, spans)
        made.append((start, reached))
        leaves += len(spans) or 1
        if reached < end:
            left.append((reached, end))
            drop_around(batch, collection, reached)
    refresh_levels(batch, collection, made)
    return leaves, left


def drop_around(batch: Batch, collection: Collection, stop: bytes) -> None:
    """Remove the leaf in whose midst a stop was made: it may begin at a boundary that is none any more."""
    around = next(read_sums(batch, 1, collection, stop + b"\0"), None)
    if around is not None and around.start < stop:
        batch.delete(Table.RANGES, row_key(1, collection, around.end))


def refresh_levels(batch: Batch, collection: Collection, made: Iterable[Interval]) -> None:
    """Make the rows above leaves that were made again."""
    for level in range(2, LEVELS + 1):
        made = merge(widen(batch, collection, level, interval) for interval in made)
        for start, end in made:
            below = read_sums(batch, level - 1, collection, start + b"\0", end + b"\0")
            write_sums(batch, level, collection, start, end, list(sum_rows(collection, below, start, end, level)))


def widen(snapshot: Snapshot, collection: Collection, level: int, interval: Interval) -> Interval:
    """From the last boundary of a level before an interval to the first one behind it."""
    start, end = interval
    before = next(read_sums(snapshot, level, collection, start), None)
    behind = next(read_sums(snapshot, level, collection, end), None)
    # A row that begins later has no documents before it.
    first = before.start if before is not None and before.start < start else b""
    return first, KEY_END if behind is None else behind.end
