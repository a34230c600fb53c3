"""A live query is one query and its result, which follows the transactions: judged once, however many observe it.

Rules: a changed document is judged by its bytes as they are now, which are never decoded; the window says whether it
was a row before. The query is run again only where the window knows too little, after a joined snapshot, where the log
no longer says what changed, and where so much changed that a search is quicker. Whatever is read for one version is
read from one snapshot. A result that is shown as it was before is no new one.

Not here: which round it is (`shared`), who observes (`observation`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from crdtstore import limits
from crdtstore.feed.changed import Changed, changed
from crdtstore.live.difference import NONE, Difference, difference
from crdtstore.live.window import Kept, Window
from crdtstore.query.find import Hit, Query, filter_of, plan_query, read_hits, show, show_as
from crdtstore.query.lookup import FieldLookup
from crdtstore.query.order import sort_key
from crdtstore.storage.documents import Row, id_key, living_document
from crdtstore.storage.log import first_txn, read_entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crdtstore.query.find import Document
    from crdtstore.query.program import Filter
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot

SEARCH_SHARE: Final = 10
"""Judging a document that changed costs so many times what passing one in a search does."""

JUDGED_MIN: Final = 1_000
"""So many documents are judged one by one in any case: of a small collection a search saves nothing."""

READ_AT_ONCE: Final = 256
"""Documents that are held while all queries of their collection judge them."""

Documents: TypeAlias = "Sequence[tuple[bytes, bytes]]"
"""Encoded ids and documents as they are now, empty where they do not exist."""


class Change:
    """What an observer is told: the rows at a transaction, and what led to them from those it was told before."""

    __slots__ = ("__weakref__", "difference", "kept", "txn")

    def __init__(self, txn: int, kept: tuple[Kept, ...], difference: Difference | None) -> None:
        self.txn = txn
        """The version at which this is the result."""
        self.kept = kept
        self.difference = difference
        """From the rows that were told before; None in what is told first."""

    @property
    def rows(self) -> tuple[Document, ...]:
        """The documents that a find would give, in their order."""
        return tuple(row.document for row in self.kept)


class Result(NamedTuple):
    """The rows, from a version on."""

    txn: int
    number: int
    """Counts results that differ."""
    rows: tuple[Kept, ...]
    changes: dict[int | None, Change]
    """What leads here from earlier results, by their numbers, or from none: the same for all who saw those."""

    def change_from(self, seen: Result | None, txn: int) -> Change | None:
        """What leads here from what was seen; None where nothing is shown otherwise since.

        Args:
            seen: What was seen.
            txn: A version at which these are still the rows.
        """
        number = None if seen is None else seen.number
        if number == self.number:
            return None
        made = self.changes.get(number)
        if made is None or made.txn != txn:
            led = made.difference if made else None if seen is None else difference(seen.rows, self.rows)
            made = self.changes[number] = Change(txn, self.rows, led)
        # Rows may have become others and these again.
        return None if made.difference == NONE else made


class LiveQuery:
    """One query while it is observed."""

    def __init__(self, collection: str, asked: Query) -> None:
        self.collection = collection
        self.asked = asked
        self.filter: Filter = filter_of(asked.node)
        self.window = Window(asked.offset, asked.offset + asked.limit, limits.LIVE_SLACK_ROWS)
        self.result: Result | None = None
        self.txn = -1
        """Up to which version the result is that; -1 before there is one. Written after it."""

    def current(self) -> tuple[Result | None, int]:
        """The result, and a version at which it is that; from any thread."""
        txn, result = self.txn, self.result
        # It may have become another between the two.
        return result, txn if result is None else max(txn, result.txn)

    def is_behind(self, txn: int) -> bool:
        """Whether its result is of an earlier version."""
        return self.txn < txn

    # --- what becomes of it ---

    def start(self, snapshot: Snapshot, catalog: Catalog, txn: int) -> None:
        """Find the first result.

        Raises:
            StatementTimeout: It took too long.
            LimitExceeded: Too many documents would have to be sorted.
        """
        known = catalog.by_name.get(self.collection)
        self.search(snapshot, catalog, known)
        self.publish(txn)

    def catch_up(self, snapshot: Snapshot, catalog: Catalog, txn: int) -> bool:
        """Follow the log from the result's version to a later one; whether the result is another."""
        if not self.is_behind(txn):
            return False
        touched = touched_since(snapshot, self.txn)
        anew = is_quicker_anew(catalog, self.collection, touched)
        for documents in () if anew else read_touched(snapshot, catalog, self.collection, touched):
            self.judge(catalog, documents)
        return self.settle(snapshot, catalog, txn, anew)

    def judge(self, catalog: Catalog, documents: Documents) -> bool:
        """Mend the window by documents that changed, and maybe others; the result stays until it is settled."""
        collection = catalog.by_name[self.collection]
        for id_, document in documents:
            row = Row(id_, document)
            if document and self.filter.matches(catalog, collection, *row):
                key = self.key_of(catalog, collection, row)
                if self.window.reaches(key):
                    self.window.put(Kept(key, id_, show_as(catalog, collection, row, self.asked)))
                    continue
            self.window.drop(id_)
        return False

    def settle(self, snapshot: Snapshot, catalog: Catalog, txn: int, anew: bool) -> bool:  # noqa: FBT001  given by position
        """Go on to a later version, for which all that changed was judged; whether the result is another.

        Args:
            snapshot: Of that version.
            catalog: Its names.
            txn: That version.
            anew: Nothing was judged: the query is to be run again.

        Raises:
            StatementTimeout: A search took too long.
        """
        if anew or self.window.lacks:
            self.search(snapshot, catalog, catalog.by_name.get(self.collection))
        return self.publish(txn)

    def publish(self, txn: int) -> bool:
        """Let observers see what the window shows; whether that is another result."""
        before = self.result
        if self.window.touched:
            rows = self.window.shown()
            if before is None or rows != before.rows:
                self.result = Result(txn, 0 if before is None else before.number + 1, rows, {})
            self.window.touched = False
        self.txn = txn
        return self.result is not before

    # --- the window ---

    def key_of(self, catalog: Catalog, collection: Collection, row: Row) -> bytes:
        """The sort key of a document."""
        return sort_key(self.asked.order, FieldLookup(catalog, collection, *row), id_key(row.id))

    def search(self, snapshot: Snapshot, catalog: Catalog, known: Collection | None) -> None:
        """Fill the window anew."""
        if known is None:
            self.window.fill((), whole=True)
            return
        wanted = replace(self.asked, offset=0, limit=self.window.room)
        deadline = monotonic() + limits.LIVE_SEARCH_SECONDS_MAX
        plan = plan_query(snapshot, catalog, known, wanted)
        hits, _ = read_hits(snapshot, catalog, known, wanted, plan, deadline)
        rows = [self.keep_hit(snapshot, catalog, known, hit) for hit in hits[: wanted.limit]]
        self.window.fill(rows, whole=len(hits) <= wanted.limit)

    def keep_hit(self, snapshot: Snapshot, catalog: Catalog, known: Collection, hit: Hit) -> Kept:
        """What is kept of a document that a search found."""
        key = id_key(hit.id)
        if self.asked.order.keys:
            key = self.key_of(catalog, known, Row(hit.id, living_document(snapshot, known, hit.id)))
        return Kept(key, hit.id, show(snapshot, catalog, known, hit, self.asked))


def touched_since(snapshot: Snapshot, since: int) -> Changed:
    """What the log says of the transactions after a version; where it does not reach back, anything."""
    if since + 1 < first_txn(snapshot):
        return Changed((), anything=True)
    return changed(read_entries(snapshot, since))


def is_quicker_anew(catalog: Catalog, collection: str, touched: Changed) -> bool:
    """Whether queries of a collection are to be run again, for nobody knows what changed or for so much did."""
    if touched.anything:
        return True
    count = sum(1 for name, _ in touched.documents if name == collection)
    return count > JUDGED_MIN and count * SEARCH_SHARE > catalog.by_name[collection].living


def read_touched(snapshot: Snapshot, catalog: Catalog, collection: str, touched: Changed) -> Iterator[Documents]:
    """Those documents of a collection that were touched, as they are now, some at a time."""
    ids = (id_ for name, id_ in touched.documents if name == collection)
    while some := tuple(islice(ids, READ_AT_ONCE)):
        known = catalog.by_name[collection]
        yield [(id_, living_document(snapshot, known, id_)) for id_ in some]
