"""The sequencer commits a group: one batch, one commit, one line of txn ids.

Rules: jobs run one after the other on the group's batch; one that fails before it wrote fails alone, and the others
go on. Names, counts and head are saved once a group. Nothing is visible, answered or told to a waiter before the
commit returned. A group whose batch fails before the commit (disk full) is aborted whole and the in-memory state
read back; a commit that fails has an unknown outcome, so the sequencer is fenced: it takes no write until the
store is opened again.

Not here: threads and the queue (`writer`), what a transaction is (`transaction`, `delivery`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Lock
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtstore.errors import CrdtStoreError, StoreError, StoreFenced, StoreFull
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.head import Head
from crdtstore.version.plain import Plain, can_sequence, sequence_plain
from crdtstore.version.transaction import RefusedTransaction
from crdtstore.version.waiters import Waiters

if TYPE_CHECKING:
    from crdtstore.storage.interface import Batch, Storage

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """Something to run in a commit group, and who waits for its result; `bytes` bounds the group."""

    run: Callable[[Batch, Catalog, Head], Any]
    future: Future[Any]
    bytes: int


class Sequencer:
    """Where a store's log stands, and the only one who moves it."""

    # The compiled core compares the catalog at every prepared find: a slot is read without a lookup.
    __slots__ = ("__dict__", "__weakref__", "catalog")

    catalog: Catalog

    def __init__(self, storage: Storage, before_commit: Callable[[], None] = lambda: None) -> None:
        """Read where the log stands; `before_commit` is called on the thread that commits, between two groups."""
        self.storage = storage
        self.before_commit = before_commit
        self.before_save: Callable[[Batch, Catalog, Head], None] | None = None
        """Called with the transactions of a group, before names and head are saved, if anybody asks for it."""
        self.fenced = False
        self.committing = False
        """Whether the group's commit has begun: then `finish` deals with what comes of it."""

        self.commit_seconds = 0.0
        """How long the last commit took."""

        self.loading = Lock()
        self.load()
        self.waiters = Waiters(self.head.txn)

    def load(self) -> None:
        """Read catalog and head from the storage.

        One thread at a time, catalog first: who sees a head sees names that are at least as new.
        """
        with self.loading, self.storage.snapshot() as snapshot:
            self.catalog = Catalog.load(snapshot)
            self.head = Head.load(snapshot, self.catalog.replicas.origins)

    def reload(self) -> None:
        """Read the state back after a group was dropped; where that fails too, no write is taken any more."""
        self.fenced = True
        try:
            self.load()
        except Exception:
            logger.exception("The state cannot be read back; the store takes no write until reopened.")
        else:
            self.fenced = False

    def commit_group(self, jobs: Sequence[Job]) -> None:
        """Run and commit jobs; every future is done when it returns."""
        running = [job for job in jobs if job.future.set_running_or_notify_cancel()]
        if self.fenced:
            fail(running, fenced())
            return
        self.before_commit()
        self.committing = False
        try:
            batch = self.storage.batch()
        except CrdtStoreError as error:
            fail(running, error)
            return
        try:
            outcomes = self.run_all(running, batch)
            if self.before_save is not None:
                self.before_save(batch, self.catalog, self.head)
            self.catalog.save(batch)
            self.head.save(batch)
            # Within the same block: a handler of a signal may raise between any two calls.
            self.finish(batch, running, outcomes)
        except BaseException as error:
            if self.committing:
                raise
            self.abort(batch, running, error)
            if not isinstance(error, Exception):
                raise

    def run_all(self, jobs: Sequence[Job], batch: Batch) -> list[tuple[Any, Exception | None]]:
        """Run jobs in order; plain writes that stand behind each other together."""
        if not can_sequence(batch):
            return [self.run(job, batch) for job in jobs]
        outcomes: list[tuple[Any, Exception | None]] = []
        writes = [job.run if isinstance(job.run, Plain) else None for job in jobs]
        while len(outcomes) < len(jobs):
            done = sequence_plain(batch, self.catalog, self.head, writes, len(outcomes))
            outcomes += [(answer, None) for answer in done]
            if len(outcomes) < len(jobs):
                outcomes.append(self.run(jobs[len(outcomes)], batch))
        return outcomes

    def run(self, job: Job, batch: Batch) -> tuple[Any, Exception | None]:
        """Run one job; its error is its own, unless it may have written half, which ends the group."""
        try:
            return job.run(batch, self.catalog, self.head), None
        except RefusedTransaction as refused:
            return None, refused.error
        except StoreError:
            raise
        except CrdtStoreError as error:
            return None, error

    def abort(self, batch: Batch, jobs: Sequence[Job], error: BaseException) -> None:
        """Drop a group: nothing of it was written."""
        self.fenced = True  # until the state is read back, whatever comes in between
        logger.error("A commit group of %d was dropped: %s", len(jobs), error)
        batch.abort()
        self.reload()
        fail(jobs, error)

    def finish(self, batch: Batch, jobs: Sequence[Job], outcomes: Sequence[tuple[Any, Exception | None]]) -> None:
        """Commit, then publish, then answer.

        What a handler of a signal raises once the commit was done is raised when all others have their answers.
        """
        interrupted: BaseException | None = None
        begun = perf_counter()
        self.committing = True
        try:
            batch.commit()
            self.commit_seconds = perf_counter() - begun
        except StoreFull as error:  # LMDB says that nothing of it was written
            self.reload()
            fail(jobs, error)
            return
        except BaseException as error:
            if getattr(batch, "dropped", False):
                self.abort(batch, jobs, error)
                if not isinstance(error, Exception):
                    raise
                return
            if not getattr(batch, "committed", False):
                self.fenced = True
                logger.exception("A commit failed and its outcome is unknown; the store takes no write until reopened.")
                fail(jobs, fenced(error))
                if not isinstance(error, Exception):
                    raise
                return
            interrupted = error
        self.waiters.publish(self.head.txn)
        for job, (result, refusal) in zip(jobs, outcomes, strict=True):
            if refusal is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(refusal)
        if interrupted is not None:
            raise interrupted


def fenced(cause: BaseException | None = None) -> StoreFenced:
    """The error for writes after a commit whose outcome is unknown."""
    reason = f" ({cause})" if cause else ""
    return StoreFenced(f"A commit failed and its outcome is unknown{reason}; open the store again.")


def fail(jobs: Sequence[Job], error: BaseException) -> None:
    """Answer jobs with an error."""
    for job in jobs:
        job.future.set_exception(error)
