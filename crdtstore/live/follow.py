"""What follows the log for all live queries of a store, round by round.

Rules: a round's entries are read once, and each changed document once for all queries of its collection. A query that
is ahead of a round, since it was first run meanwhile, stays as it is: what the round did is in its result. The lock is
held for a round, so that no query joins in its midst.

Not here: what a change does to one query (`query`), who observes it (`shared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.errors import CrdtStoreError, LogTrimmed, StoreError
from crdtstore.feed.changed import Changed, changed
from crdtstore.live.query import is_quicker_anew, read_touched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from threading import Lock

    from crdtstore.feed.pump import Place, Round
    from crdtstore.live.shared import Shared


class Follower:
    """A listener of the pump."""

    def __init__(self, lock: Lock, queries: Mapping[bytes, Shared]) -> None:
        """Follow for queries, which change under the lock."""
        self.lock = lock
        self.queries = queries
        self.over = False
        """Whether it follows no more: nobody observes anything, or the pump has ended."""

    def begin(self, place: Place) -> None:
        """Bring every query to the version before the first round."""
        with self.lock:
            for shared in self.following():
                shared.advance(shared.query.catch_up, place.snapshot, place.catalog, place.txn)

    def take(self, heard: Round) -> None:
        """Bring every query to the version after a round."""
        with self.lock:
            behind = [shared for shared in self.following() if shared.query.is_behind(heard.txn)]
            if behind:
                touched = touched_in(heard)
                for collection in {shared.query.collection for shared in behind}:
                    some = [shared for shared in behind if shared.query.collection == collection]
                    follow(heard, collection, touched, some)

    def end(self, error: Exception | None) -> None:
        """Tell every observer that nothing comes any more."""
        with self.lock:
            if self.over:
                return
            self.over = True
            if error is not None and not isinstance(error, CrdtStoreError):
                error = StoreError(f"Live queries cannot go on: {error!r}.")
            for shared in self.queries.values():
                shared.end(error)

    def following(self) -> list[Shared]:
        """The queries that are in every round; the lock is held."""
        return [] if self.over else [shared for shared in self.queries.values() if shared.follows and not shared.ended]


def touched_in(heard: Round) -> Changed:
    """The documents that a round's entries touch; anything, where they were trimmed before they were read."""
    try:
        return changed(heard.entries())
    except LogTrimmed:
        return Changed((), anything=True)


def follow(heard: Round, collection: str, touched: Changed, queries: Sequence[Shared]) -> None:
    """Bring the queries of a collection to the version after a round."""
    anew = is_quicker_anew(heard.catalog, collection, touched)
    for documents in () if anew else read_touched(heard.after, heard.catalog, collection, touched):
        for shared in queries:
            shared.advance(shared.query.judge, heard.catalog, documents)
    for shared in queries:
        shared.advance(shared.query.settle, heard.after, heard.catalog, heard.txn, anew)
