"""The writer is the one thread that writes for others: it takes what waits, as one commit group, again and again.

Rules: whoever commits has the *turn*. The queue is bounded (QUEUE_TRANSACTIONS_MAX), a group is too
(GROUP_TRANSACTIONS_MAX, GROUP_BYTES_MAX). A group is what arrived while the last one was written: with one caller it
has one transaction, with many it shares their flush. Nothing waits for a timer. Jobs of one thread are committed in the
order in which it submitted them. Closing lets the queue run empty. What ends the thread, such as a lack of memory
between two groups, fences the store, and whoever waits is told: nobody waits for a thread that is gone.

What the thread of an event loop submits in one round of it (`in_rounds`) arrives together, when the round ends or
somebody blocks on a job of it: else the first write of a round would be a group of its own.

Handing a job over, and its outcome back, takes as long as a quick disk does. So some commit in their own thread while
nobody else writes, and a job and what it reads stay with one CPU: who alone submits jobs (ALONE_JOBS in a row) and
waits for each (`waiting`), and an event loop whose round is short, as long as commits are quick (HERE_SECONDS_MAX).

`Inline` is the same without a thread, for storages in memory and for worlds that must replay exactly.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Lock, RLock, Thread, get_ident, local
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from crdtstore import core
from crdtstore.bell import Bell
from crdtstore.errors import ForkedProcess, Overloaded, StoreClosed, StoreError
from crdtstore.limits import (
    GROUP_BYTES_MAX,
    GROUP_TRANSACTIONS_MAX,
    HERE_BYTES_MAX,
    HERE_SECONDS_MAX,
    QUEUE_TRANSACTIONS_MAX,
)
from crdtstore.version.pending import Pending
from crdtstore.version.plain import Plain
from crdtstore.version.sequencer import Job, Sequencer, fail, fenced

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch


logger = logging.getLogger(__name__)


class Submitter(Protocol):
    """What takes jobs and sees that they are committed."""

    def submit(self, run: Callable[[Batch, Catalog, Head], Any], size: int = 0) -> Future[Any]:
        """Queue a job; its future is done once it is on disk."""

    def close(self) -> None:
        """Finish what was queued and take no more."""


ALONE_JOBS: Final = 8
"""After so many jobs in a row a thread writes alone: with others it would share a flush, so it waits for the writer."""

Later: TypeAlias = "Callable[[Callable[[], None]], object]"
"""Has something called at the end of a round of an event loop."""


class Here(local):
    """What a thread is."""

    later: Later | None = None
    """What its event loop does later; None for a thread without one."""

    waits = False
    """Whether it waits for what it submits."""


HERE: Final = Here()


@contextmanager
def in_rounds(later: Later) -> Iterator[None]:
    """Have what this thread submits within the block arrive in rounds."""
    before, HERE.later = HERE.later, later
    try:
        yield
    finally:
        HERE.later = before


@contextmanager
def waiting() -> Iterator[None]:
    """Say that this thread waits for what it submits within the block."""
    before, HERE.waits = HERE.waits, True
    try:
        yield
    finally:
        HERE.waits = before


class Inline:
    """Commits each job in the thread that submits it."""

    def __init__(self, sequencer: Sequencer) -> None:
        self.sequencer = sequencer
        self.lock = Lock()
        self.closed = False

    def submit(self, run: Callable[[Batch, Catalog, Head], Any], size: int = 0) -> Future[Any]:
        """Commit a job as a group of one."""
        future: Future[Any] = Future()
        with self.lock:
            if self.closed:
                raise StoreClosed("The store was closed.")
            self.sequencer.commit_group([Job(run, future, size)])
        return future

    def close(self) -> None:
        """Take no more jobs."""
        with self.lock:
            self.closed = True


class Writer:
    """Commits jobs in groups, in a thread of its own."""

    def __init__(self, sequencer: Sequencer) -> None:
        self.sequencer = sequencer
        self.queue: deque[Job] = deque()
        self.round: list[Job] = []
        """What was submitted in a round that has not ended."""

        self.weight = 0
        """What its jobs count; one that is not plain, such as an update that looks through all documents, too much."""

        self.ender: Later | None = None
        """What was asked to end it."""

        self.seen = 0
        """How many were in it when it was last to end."""

        self.group: list[Job] = []
        self.turn = Lock()
        """Had by the one who commits."""

        self.holder = 0
        """The thread that commits now."""

        self.last = 0
        """The thread that submitted last."""

        self.in_row = 0
        """How many jobs it has submitted since another one did."""

        self.arriving = RLock()
        """Had by the one who looks at what waits, or adds to it: a handler of a signal may come in between."""

        self.bell = Bell()
        self.closed = False
        self.ended = False
        self.pid = os.getpid()
        self.thread = Thread(target=self.write_groups, name="crdtstore-writer", daemon=True)
        self.thread.start()

    def submit(self, run: Callable[[Batch, Catalog, Head], Any], size: int = 0) -> Future[Any]:
        """Queue a job.

        Raises:
            StoreClosed: The store was closed.
            ForkedProcess: The writer's thread is in the parent process.
            Overloaded: QUEUE_TRANSACTIONS_MAX jobs wait already.
            StoreFenced: The writer's thread has ended by an error.
            StoreError: This thread commits now, and would wait for itself: a handler of a signal wants to write.
        """
        if os.getpid() != self.pid:
            raise ForkedProcess("This store was opened before fork(): open it again in this process.")
        pending = Pending()
        job = Job(run, pending, size)
        if not HERE.waits:
            self.last = 0
        elif self.commit_here(job):
            return pending
        later = HERE.later
        if later is not None:
            pending.hurry = self.end_round
        self.let_in(job, later)
        return pending

    def let_in(self, job: Job, later: Later | None) -> None:
        """Put a job behind those that wait, or into the round of its thread's loop."""
        with self.arriving:
            if self.closed:
                raise StoreClosed("The store was closed.")
            if self.ended:
                raise fenced()
            if len(self.queue) + len(self.round) >= QUEUE_TRANSACTIONS_MAX:
                message = f"{QUEUE_TRANSACTIONS_MAX} transactions wait to be written, the bound."
                raise Overloaded(message, limit="QUEUE_TRANSACTIONS_MAX", maximum=QUEUE_TRANSACTIONS_MAX)
            if later is None:
                self.bell.ring()
                self.queue.append(job)
                return
            self.weight += job.bytes if type(job.run) is Plain else HERE_BYTES_MAX + 1
            self.round.append(job)
            if self.ender is later:
                return
            self.ender = later
        self.end_later(later)

    def commit_here(self, job: Job) -> bool:
        """Commit a job in this thread if nobody else writes or waits to; say whether that was done.

        What a signal's handler raises here ends the job and harms no other.
        """
        if self.holder == get_ident():
            raise StoreError("A write cannot wait for another one of its own thread.")
        self.in_row = self.in_row + 1 if self.last == get_ident() else 0
        self.last = get_ident()
        if self.in_row < ALONE_JOBS or not self.may_commit_here() or self.turn.locked():
            return False
        with self.turn:
            if self.queue or self.round or self.closed or self.ended:
                return False
            self.commit([job])
        return True

    def commit(self, group: list[Job]) -> None:
        """Commit a group; the turn is this thread's."""
        self.holder = get_ident()
        try:
            self.sequencer.commit_group(group)
        finally:
            self.holder = 0

    def may_commit_here(self) -> bool:
        """Whether the storage's commit is one step that no signal's handler divides."""
        return core.lmdb_environment is not None and type(self.sequencer.storage) is core.lmdb_environment

    def end_later(self, later: Later) -> None:
        """End the round that has begun, when the loop does."""
        try:
            later(self.commit_round)
        except RuntimeError:  # the loop was closed
            self.end_round()

    def commit_round(self) -> None:
        """Commit the round of this thread's loop, where that takes no longer than to hand it over; else let it arrive.

        It grows as long as the loop finds requests that came meanwhile: until a turn of the loop added none.
        """
        later, size = HERE.later, len(self.round)
        try:
            if later is not None and size > self.seen and self.is_quick() and self.weight <= HERE_BYTES_MAX:
                self.seen = size
                self.end_later(later)
            elif not (self.is_quick() and self.commit_short()):
                self.end_round()
        except BaseException:
            self.end_round()
            raise

    def commit_short(self) -> bool:
        """Commit the round in this thread, unless somebody else writes or waits to, or it may take long."""
        if self.turn.locked():
            return False
        group: list[Job] = []
        with self.turn:
            try:
                with self.arriving:
                    if self.queue or not self.round or self.weight > HERE_BYTES_MAX:
                        return False
                    group, self.round, self.weight, self.ender, self.seen = self.round, [], 0, None, 0
                self.commit(group)
            except BaseException as error:
                # A handler of a signal raised: whoever was not told what became of his write is told that.
                fail([job for job in group if not job.future.done()], fenced(error))
                raise
        return True

    def is_quick(self) -> bool:
        """Whether the last commit was done while threads would have woken each other."""
        return self.sequencer.commit_seconds < HERE_SECONDS_MAX and self.may_commit_here()

    def end_round(self) -> None:
        """Let what was submitted in this round arrive."""
        with self.arriving:
            if self.round:
                self.bell.ring()
            # Nothing is called in between, so that no handler of a signal comes in between.
            self.queue += self.round
            self.round, self.weight, self.ender, self.seen = [], 0, None, 0

    def write_groups(self) -> None:
        """Commit groups until the writer is closed and its queue is empty."""
        try:
            while self.wait_for_jobs():
                with self.turn:
                    group = self.next_group()
                    self.commit(group)
        except BaseException as error:
            self.give_up(error)
            logger.exception("The writer's thread has ended; the store takes no write until reopened.")

    def give_up(self, error: BaseException) -> None:
        """Fence the store, and tell everybody who waits."""
        self.sequencer.fenced = self.ended = True
        with self.arriving:
            jobs = [*self.group, *self.queue, *self.round]
            self.queue.clear()
            self.round.clear()
        fail([job for job in jobs if not job.future.done()], fenced(error))

    def wait_for_jobs(self) -> bool:
        """Block until there is something to write; False at the end."""
        while True:
            with self.arriving:
                if self.queue or self.closed:
                    return bool(self.queue)
            self.bell.wait()

    def next_group(self) -> list[Job]:
        """What waits, within the bounds of a group."""
        with self.arriving:
            group = self.group = []
            size = 0
            while self.queue and len(group) < GROUP_TRANSACTIONS_MAX and size < GROUP_BYTES_MAX:
                # In this order, so that no job is lost in between.
                group.append(self.queue[0])
                size += self.queue.popleft().bytes
            return group

    def close(self) -> None:
        """Let the queue run empty and end the thread; in a forked child there is none."""
        if os.getpid() != self.pid:
            return
        with self.arriving:
            self.end_round()
            self.closed = True
            self.bell.ring()
        self.thread.join()
        with self.turn:
            pass  # who began to commit before it was closed has ended
