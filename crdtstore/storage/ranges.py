"""Sums over any range of keys, in the version of one snapshot: how two stores find what differs between them.

Rules: a sum is exact for its snapshot. It is put together from the rows of the highest levels that fit into the range;
what is left at its ends, and every row that is stale, is put together from the level below, and at last from the
documents. So a store whose sums are behind, or were never made, answers the same, only slower. Keys are those of
documents without their collection's number, which are the same in all stores.

Which ranges are asked for is not here: see `replication/`. A plain search: `tests/storage/test_range_search.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.crdt.entry import KeyRange
from crdtstore.crdt.scope import Scope, holds
from crdtstore.storage.catalog import read_counts
from crdtstore.storage.range_refresh import refresh, refresh_job
from crdtstore.storage.range_stale import Stale, read_state, touches
from crdtstore.storage.range_table import (
    LEVELS,
    Row,
    Span,
    Sum,
    add_up,
    interval_of,
    read_documents,
    read_sums,
    sum_documents,
)

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot

__all__ = ["Difference", "Ranges", "Row", "Sum", "differing", "refresh", "refresh_job"]


class Difference(NamedTuple):
    """A range in which two stores differ."""

    range: KeyRange
    ours: Sum
    theirs: Sum


class Extent(NamedTuple):
    """Part of a range: as far as one row reaches, with its sum, or what no exact row fits (None)."""

    start: bytes
    end: bytes
    sum: Sum | None


NOTHING: Final = Sum(0, 0)

ALL: Final = sys.maxsize
"""More documents than there can be."""


class Ranges:
    """The range sums of one snapshot; one thread at a time."""

    def __init__(self, snapshot: Snapshot, catalog: Catalog) -> None:
        """Look at a snapshot, which stays the caller's to close, through the names of its store."""
        self.snapshot = snapshot
        self.catalog = catalog

    @cached_property
    def stale(self) -> Stale:
        """Which rows are not exact in this snapshot."""
        return read_state(self.snapshot, self.catalog).stale

    @cached_property
    def counts(self) -> dict[str, Sum]:
        """The sums of whole collections, which are kept with every write; buried documents count."""
        return {row.name: Sum(row.documents, row.digest) for row in read_counts(self.snapshot)}

    def sums(self, scope: Scope = None) -> list[tuple[KeyRange, Sum]]:
        """The whole range and sum of each collection of a scope, by name; those without documents are left out."""
        counts = sorted(self.counts.items())
        return [(KeyRange(name), whole) for name, whole in counts if whole.documents and holds(scope, name)]

    def sum(self, range_: KeyRange) -> Sum:
        """How many documents a range has, and their digest."""
        if range_[1:] == (b"", None):
            return self.counts.get(range_.collection, NOTHING)
        return add_up(piece.sum for piece in self.pieces(range_, ALL))

    def split(self, range_: KeyRange, parts: int) -> list[tuple[KeyRange, Sum]]:
        """Divide a range.

        Args:
            range_: What is divided.
            parts: Into how many, from 1; into fewer where it has fewer documents.

        Returns:
            Consecutive ranges that together are the given one, none empty unless it is, each with at most about twice
            its share of the documents.
        """
        total = self.sum(range_).documents
        starts, sums, done = [range_.start], [NOTHING], 0
        for piece in self.pieces(range_, max(1, total // parts)):
            if 0 < len(starts) * total <= done * parts:
                starts.append(piece.start)
                sums.append(NOTHING)
            sums[-1] = add_up((sums[-1], piece.sum))
            done += piece.sum.documents
        ends = [*starts[1:], range_.end]
        return [
            (KeyRange(range_.collection, start, end), part) for start, end, part in zip(starts, ends, sums, strict=True)
        ]

    def rows(self, range_: KeyRange) -> Iterator[Row]:
        """The documents of a range, in the order of their keys."""
        collection = self.catalog.by_name.get(range_.collection)
        start, end = interval_of(range_)
        if collection is not None and start < end:
            yield from read_documents(self.snapshot, collection, start, end)

    def pieces(self, range_: KeyRange, documents_max: int) -> Iterator[Span]:
        """The range in consecutive pieces, none with more documents unless it is one; gaps have none."""
        collection = self.catalog.by_name.get(range_.collection)
        start, end = interval_of(range_)
        if collection is not None and start < end:
            yield from self.descend(collection, LEVELS, start, end, documents_max)

    def descend(
        self, collection: Collection, level: int, start: bytes, end: bytes, documents_max: int
    ) -> Iterator[Span]:
        """Such pieces: rows of a level as far as they fit, else what is below."""
        if level == 0:
            alike = 0 if documents_max < ALL else 1  # one by one, unless all that is wanted is their sum
            yield from sum_documents(self.snapshot, collection, self.catalog.replicas, start, end, alike)
            return
        for extent in self.extents(collection, level, start, end):
            if extent.sum is not None and extent.sum.documents <= documents_max:
                yield Span(extent.start, extent.end, extent.sum)
            else:
                yield from self.descend(collection, level - 1, extent.start, extent.end, documents_max)

    def extents(self, collection: Collection, level: int, start: bytes, end: bytes) -> Iterator[Extent]:
        """A range cut at the boundaries of a level, without what has no documents."""
        stale = self.stale.get(collection.name, [])
        at = start
        for row in read_sums(self.snapshot, level, collection, start + b"\0"):
            if row.start > at:
                if touches(stale, at, min(row.start, end)):
                    yield Extent(at, min(row.start, end), None)
                at = row.start
            if at >= end:
                return
            reached = min(row.end, end)
            exact = row.start == at and row.end == reached and not touches(stale, at, reached)
            yield Extent(at, reached, row.sum if exact else None)
            at = reached
        if touches(stale, at, end):
            yield Extent(at, end, None)


def differing(ours: Ranges, theirs: Iterable[tuple[KeyRange, Sum]]) -> list[Difference]:
    """Of ranges with their sums in another store, those in which this one has others."""
    pairs = ((range_, ours.sum(range_), sum_) for range_, sum_ in theirs)
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
