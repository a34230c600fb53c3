"""The indexes of a store: made, listed and dropped, and built beside the writes.

    indexes = Indexes(store)
    indexes.create("cities", [("name",)], progress=lambda done, of: print(done, of))
    indexes.drop("name", collection="cities")

Rules: every piece of work is one job of a commit group, so writes go on between two. Two who build the same index do
no harm to each other. What was not finished when the process ended goes on from where it stood: `build` finishes it in
this thread, `start` in one of its own, which ends with its work or with the store.

Not here: what an entry is (`storage/index_entries.py`), what a piece does (`storage/index_build.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from threading import Lock, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from crdtstore.crdt.path import format_steps
from crdtstore.errors import CrdtStoreError, InvalidIndex, Overloaded, StoreClosed, UnknownIndex
from crdtstore.limits import INDEX_PAUSE_SECONDS
from crdtstore.query.legacy import parse_path
from crdtstore.storage.catalog import read_counts
from crdtstore.storage.index import read_indexes
from crdtstore.version.index_jobs import advance_index, create_index, drop_index

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Counts
    from crdtstore.storage.index import Index, Kind, Path
    from crdtstore.storage.interface import Storage

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], object]
"""Takes how many documents were passed, and of how many."""

CONFLICTS_NAME = "conflicts"
"""The name of an index of conflicts that is given none."""


class Host(Protocol):
    """The store, as far as it is needed here."""

    storage: Storage

    def run(self, job: Callable[[Any, Any, Any], Any], size: int = 0, /) -> Any:
        """Run a job in a commit group; returns its answer when it is on disk."""


class IndexState(NamedTuple):
    """One index as it is on disk; `documents` is how many it has passed, and `of` how many there are."""

    name: str
    collection: str
    kind: Kind
    paths: tuple[Path, ...]
    state: Literal["building", "ready", "dropping"]
    entries: int
    documents: int
    of: int
    inexact: int
    number: int


class Indexes:
    """The indexes of one store."""

    def __init__(self, store: Host) -> None:
        self.store = store
        self.lock = Lock()
        self.thread: Thread | None = None

    def create(
        self,
        collection: str,
        paths: Sequence[str | Path] = (),
        *,
        name: str | None = None,
        kind: Kind = "fields",
        wait: bool = True,
        seconds: float = inf,
        progress: Progress | None = None,
    ) -> IndexState:
        """Make an index.

        Args:
            collection: Its collection, which may be empty, or not exist yet.
            paths: Of the fields, in the order of the index's columns, as the legacy language writes them; none for kind
                `conflicts`.
            name: One that no other index of the collection has; by default made of the paths.
            kind: `fields`: by the values at the paths. `conflicts`: by the paths at which more than one value lives.
            wait: Whether to return when it is ready; else it is built in the background.
            seconds: How long to wait; what is left then is built in the background.
            progress: Told how far it is.

        Raises:
            InvalidIndex: No index may be like this; IndexExists where there is one already.
            LimitExceeded: The collection has too many indexes, or this one too many paths.
            StoreReadOnly: The store was opened read-only.
            Corrupted: A document is damaged: the index stays unfinished.
        """
        given = tuple(parse_path(path) if isinstance(path, str) else tuple(path) for path in paths)
        called = default_name(kind, given) if name is None else name
        job = partial(create_index, collection=collection, name=called, kind=kind, paths=given)
        number: int = self.store.run(job)
        self.settle(number, seconds if wait else 0.0, progress)
        return self.state(number)

    def drop(self, name: str, *, collection: str | None = None, wait: bool = True, seconds: float = inf) -> None:
        """Drop an index; no search uses it from now on.

        Args:
            name: Its name.
            collection: Its collection; needed where several have an index of this name.
            wait: Whether to return when all its entries are gone; else they go in the background.
            seconds: How long to wait; what is left then goes in the background.

        Raises:
            UnknownIndex: There is none.
            InvalidIndex: Several collections have one.
        """
        number = self.find(name, collection).number
        self.store.run(partial(drop_index, number=number))
        self.settle(number, seconds if wait else 0.0)

    def list(self, collection: str | None = None) -> tuple[IndexState, ...]:
        """The indexes of a collection, or of all, in the order in which they were made."""
        with self.store.storage.snapshot() as snapshot:
            indexes, counts = read_indexes(snapshot), read_counts(snapshot)
        states = (state_of(index, counts[index.collection]) for index in indexes)
        return tuple(state for state in states if collection in (None, state.collection))

    def find(self, name: str, collection: str | None = None) -> IndexState:
        """An index by its name; one that is being dropped is none."""
        found = [state for state in self.list(collection) if state.name == name and state.state != "dropping"]
        if not found:
            where = "" if collection is None else f" in collection {collection!r}"
            raise UnknownIndex(f"There is no index {name!r}{where}.", name=name)
        if len(found) > 1:
            message = f"Collections {', '.join(state.collection for state in found)} have an index {name!r}: name one."
            raise InvalidIndex(message, name=name)
        return found[0]

    def state(self, number: int) -> IndexState:
        """An index by its number."""
        for state in self.list():
            if state.number == number:
                return state
        raise UnknownIndex(f"Index {number} was dropped meanwhile.", name="")

    def build(self, progress: Progress | None = None) -> int:
        """Finish what is being built or dropped, one after the other; returns how many indexes that were."""
        unfinished = [state for state in self.list() if state.state != "ready"]
        for state in unfinished:
            self.finish(state.number, progress)
        return len(unfinished)

    def settle(self, number: int, seconds: float, progress: Progress | None = None) -> None:
        """Build or drop one index for so long, and what is left of it in the background."""
        if not self.finish(number, progress, monotonic() + seconds):
            self.start()

    def finish(self, number: int, progress: Progress | None = None, deadline: float = inf) -> bool:
        """Build or drop one index to its end, or to a deadline of the monotonic clock; whether it is done."""
        while monotonic() < deadline:
            try:
                done, more = self.store.run(partial(advance_index, number=number))
            except UnknownIndex:
                return True
            if progress is not None:
                progress(done, max(done, self.documents_of(number)))
            if not more:
                return True
        return False

    def documents_of(self, number: int) -> int:
        """How many documents the collection of an index has now, 0 where it is gone."""
        return next((state.of for state in self.list() if state.number == number), 0)

    # --- in the background ---

    def start(self) -> None:
        """Finish what is unfinished in a thread of its own, if there is something and no such thread."""
        with self.lock:
            if self.thread is None and self.unfinished():
                self.thread = Thread(target=self.work, name="crdtstore-indexes", daemon=True)
                self.thread.start()

    def unfinished(self) -> bool:
        """Whether an index is being built or dropped."""
        return any(state.state != "ready" for state in self.list())

    def work(self) -> None:
        """Build until nothing is left. What fails is left for the next start, or for who builds and is told."""
        try:
            while self.build_on():
                pass
        except StoreClosed:
            self.thread = None
        except CrdtStoreError:
            self.thread = None
            logger.exception("An index cannot be finished; searches go on without it.")

    def build_on(self) -> bool:
        """Build, and say whether there is more to do; if not, the next start needs another thread."""
        try:
            self.build()
        except Overloaded:
            sleep(INDEX_PAUSE_SECONDS)
        with self.lock:
            more = self.unfinished()
            if not more:
                self.thread = None
        return more


def default_name(kind: Kind, paths: tuple[Path, ...]) -> str:
    """The name of an index that is given none."""
    return CONFLICTS_NAME if kind == "conflicts" else ",".join(map(format_steps, paths))


def state_of(index: Index, counts: Counts) -> IndexState:
    """What a row of an index says, beside its collection's."""
    documents, of = (counts.living, counts.living) if index.ready else (index.documents, counts.documents)
    return IndexState(
        name=index.name,
        collection=counts.name,
        kind=index.kind,
        paths=index.paths,
        state="dropping" if index.dropping else "ready" if index.ready else "building",
        entries=sum(index.counts),
        documents=documents,
        of=of,
        inexact=index.inexact,
        number=index.number,
    )
