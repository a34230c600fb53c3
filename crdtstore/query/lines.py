"""Lines: the documents of a snapshot that a query matches, in its order, however many, as pieces of JSON Lines.

Rules: every line is `{"id":..,"fields":..}` with its end, and no piece cuts one. Memory is bounded whatever number of
documents there are, and nothing is written: where the source gives them in their order, they are printed as they are
found; else the ids of the first SORTED_DOCUMENTS_MAX of the order are kept and printed, and the search begins again
behind them, as often as it takes. The search is given up at its deadline.

Not here: a page of them (`find`), who holds the snapshot and until when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from crdtstore import limits
from crdtstore.query.find import filter_of, plan_query, show_as
from crdtstore.query.position import Position, sources_behind
from crdtstore.query.search import search_rows
from crdtstore.query.search_lines import line_of, search_keys, search_lines
from crdtstore.query.source import Source
from crdtstore.storage.documents import DOCUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crdtstore.query.find import Query
    from crdtstore.query.plan import Plan
    from crdtstore.query.program import Filter
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot

EVERY: Final = limits.INT_MAX // 2
"""The limit of a query that has none."""

LOOKED_UP: Final = 1_000
"""Documents of an order that are looked up together."""


@dataclass(slots=True)
class LineSearch:
    """The lines of one query: where they are read, and how many are still to come."""

    snapshot: Snapshot
    catalog: Catalog
    collection: Collection
    query: Query
    deadline: float
    skip: int
    left: int

    def read(self) -> Iterator[bytes]:
        """All pieces."""
        plan = plan_query(self.snapshot, self.catalog, self.collection, self.query)
        filter_ = None if plan.exact else filter_of(self.query.node)
        position = None if self.query.after is None else Position.decode(self.query.after)
        if not plan.ordered:
            yield from self.read_sorted(plan, filter_, position)
            return
        for source in sources_behind(plan, self.collection, position):
            yield from self.give(source, filter_)

    def read_sorted(self, plan: Plan, filter_: Filter | None, position: Position | None) -> Iterator[bytes]:
        """The same where the source gives documents in another order."""
        after = None if position is None else position.sort_key
        while self.left:
            keep = min(self.skip + self.left, limits.SORTED_DOCUMENTS_MAX)
            keys, after, _, _ = search_keys(
                self.snapshot,
                self.catalog,
                self.collection,
                plan.source,
                filter_,
                self.query.order,
                keep,
                after,
                self.deadline,
            )
            yield from self.look_up(keys)
            if len(keys) < keep:
                return

    def look_up(self, keys: Sequence[bytes]) -> Iterator[bytes]:
        """Print the documents of some id keys, in this order."""
        skipped = min(self.skip, len(keys))
        self.skip -= skipped
        prefix = self.collection.prefix
        for first in range(skipped, len(keys), LOOKED_UP):
            ranges = tuple((prefix + key, prefix + key + b"\0") for key in keys[first : first + LOOKED_UP])
            yield from self.give(Source(DOCUMENTS, ranges), None)

    def give(self, source: Source, filter_: Filter | None) -> Iterator[bytes]:
        """Print the documents of a source that match."""
        if self.query.form == "values" and self.query.fields is None:
            return self.give_pieces(source, filter_)
        return self.give_each(source, filter_)

    def give_pieces(self, source: Source | None, filter_: Filter | None) -> Iterator[bytes]:
        """Print many documents at a time."""
        while source is not None and self.left:
            lined = search_lines(
                self.snapshot,
                self.catalog,
                self.collection,
                source,
                filter_,
                self.skip,
                self.left,
                limits.LINES_PIECE_BYTES,
                self.deadline,
            )
            source = lined.rest
            self.left -= max(0, lined.matched - self.skip)
            self.skip = max(0, self.skip - lined.matched)
            if lined.lines:
                yield lined.lines

    def give_each(self, source: Source, filter_: Filter | None) -> Iterator[bytes]:
        """Print one document after the other, in the query's form."""
        for row in search_rows(self.snapshot, self.catalog, self.collection, source, filter_, self.deadline):
            if self.skip:
                self.skip -= 1
                continue
            if not self.left:
                return
            self.left -= 1
            yield line_of(row.id, show_as(self.catalog, self.collection, row, self.query).json)


def find_lines(
    snapshot: Snapshot, catalog: Catalog, collection: Collection, query: Query, deadline: float
) -> Iterator[bytes]:
    """The documents that match, as pieces of lines; a query whose limit is EVERY has none.

    Raises:
        LimitExceeded: An index leads to too many documents, each maybe more than once.
        InvalidCursor: The position is none of this order.
        StatementTimeout: The deadline passed; also while pieces are taken.
    """
    skip, left = min(query.offset, EVERY), min(query.limit, EVERY)
    return LineSearch(snapshot, catalog, collection, query, deadline, skip, left).read()
