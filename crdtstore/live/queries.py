"""The live queries of a store.

Rules: equal queries are one. A query is first run in the thread of who asks for it, while rounds go on; then, under the
lock, it catches up with what was committed meanwhile, and is in every round from there on: so no change is missed, and
none comes twice. Without live queries nothing listens to the log.

Not here: what a round does (`follow`), what an observer is told (`observation`).
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from crdtstore import limits
from crdtstore.errors import Overloaded, StoreClosed
from crdtstore.live.follow import Follower
from crdtstore.live.observation import Observation
from crdtstore.live.query import LiveQuery
from crdtstore.live.shared import Shared
from crdtstore.query.tree import canonical
from crdtstore.storage.log import last_txn

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from crdtstore.feed.pump import Pump
    from crdtstore.query.find import Query
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.interface import Snapshot


class LiveQueries:
    """All that is observed in a store."""

    def __init__(self, pump: Pump, view: Callable[[], AbstractContextManager[tuple[Snapshot, Catalog]]]) -> None:
        """Nothing is observed.

        Args:
            pump: The store's.
            view: Gives a snapshot of the newest version, and its names.
        """
        self.pump = pump
        self.view = view
        self.lock = Lock()
        self.queries: dict[bytes, Shared] = {}
        self.observations = 0
        self.rows = 0
        """What the windows of all queries have room for."""
        self.follower: Follower | None = None

    def observe(self, collection: str, asked: Query) -> Observation:
        """Observe a query; its first result is there when this returns.

        Raises:
            Overloaded: Too much is observed.
            StatementTimeout: The first search took too long.
        """
        with self.lock:
            shared = self.share(collection, asked)
            observation = Observation(shared.query, partial(self.leave, shared))
            shared.observers.add(observation)
            self.observations += 1
            begun = None
            if self.follower is None or self.follower.over:
                begun = self.follower = Follower(self.lock, self.queries)
        try:
            if begun is not None:
                self.pump.attach(begun)
            with shared.starting:
                if not shared.follows:
                    self.start(shared)
        except BaseException:
            observation.close()
            raise
        return observation

    def share(self, collection: str, asked: Query) -> Shared:
        """The live query that is asked for; the lock is held."""
        check_room("OBSERVATIONS_MAX", "observers", self.observations + 1, limits.OBSERVATIONS_MAX)
        key = canonical((collection, asked))
        shared = self.queries.get(key)
        if shared is not None and not shared.ended:
            return shared
        if shared is not None:
            self.forget(shared)
        made = Shared(key, LiveQuery(collection, asked))
        check_room("LIVE_QUERIES_MAX", "different live queries", len(self.queries) + 1, limits.LIVE_QUERIES_MAX)
        check_room("LIVE_ROWS_MAX", "rows", self.rows + made.query.window.room, limits.LIVE_ROWS_MAX)
        self.queries[key] = made
        self.rows += made.query.window.room
        return made

    def start(self, shared: Shared) -> None:
        """Run a query for the first time, catch up, and be in every round from there on."""
        if shared.ended:
            raise shared.error or StoreClosed("This store was closed.")
        with self.view() as (snapshot, catalog):
            shared.query.start(snapshot, catalog, last_txn(snapshot))
        with self.lock, self.view() as (snapshot, catalog):
            shared.query.catch_up(snapshot, catalog, last_txn(snapshot))
            shared.follows = True

    def leave(self, shared: Shared, observation: Observation) -> None:
        """Let an observer go: the last of a query takes it along, the last of all stops following."""
        with self.lock:
            if observation not in shared.observers:
                return
            shared.observers.remove(observation)
            self.observations -= 1
            if not shared.observers:
                self.forget(shared)
            ended = None
            if not self.queries and self.follower is not None:
                ended, self.follower = self.follower, None
                ended.over = True
        if ended is not None:
            self.pump.detach(ended)

    def forget(self, shared: Shared) -> None:
        """Share a query no more; the lock is held."""
        if self.queries.get(shared.key) is shared:
            del self.queries[shared.key]
            self.rows -= shared.query.window.room


def check_room(name: str, what: str, count: int, maximum: int) -> None:
    """Refuse one more where there is no room.

    Raises:
        Overloaded: There is none until others leave.
    """
    if count > maximum:
        message = f"This store observes at most {maximum} {what}: close observations that are no longer needed."
        raise Overloaded(message, limit=name, maximum=maximum)
