"""The writer is the one thread that writes: it takes what waits, as one commit group, again and again.

Rules: the queue is bounded (QUEUE_TRANSACTIONS_MAX), a group is too (GROUP_TRANSACTIONS_MAX, GROUP_BYTES_MAX).
A group is what arrived while the last one was written: with one caller it has one transaction, with many it
shares their flush. Nothing waits for a timer. Closing lets the queue run empty. What ends the thread, such as a lack
of memory between two groups, fences the store, and whoever waits is told: nobody waits for a thread that is gone.

`Inline` is the same without a thread, for storages in memory and for worlds that must replay exactly.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from concurrent.futures import Future
from threading import Condition, Lock, Thread
from typing import TYPE_CHECKING, Any, Protocol

from crdtstore.errors import ForkedProcess, Overloaded, StoreClosed
from crdtstore.limits import GROUP_BYTES_MAX, GROUP_TRANSACTIONS_MAX, QUEUE_TRANSACTIONS_MAX
from crdtstore.version.sequencer import Job, Sequencer, fail, fenced

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self.group: list[Job] = []
        self.ready = Condition()
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
        """
        if os.getpid() != self.pid:
            raise ForkedProcess("This store was opened before fork(): open it again in this process.")
        future: Future[Any] = Future()
        with self.ready:
            if self.closed:
                raise StoreClosed("The store was closed.")
            if self.ended:
                raise fenced()
            if len(self.queue) >= QUEUE_TRANSACTIONS_MAX:
                message = f"{QUEUE_TRANSACTIONS_MAX} transactions wait to be written, the bound."
                raise Overloaded(message, limit="QUEUE_TRANSACTIONS_MAX", maximum=QUEUE_TRANSACTIONS_MAX)
            self.queue.append(Job(run, future, size))
            self.ready.notify()
        return future

    def write_groups(self) -> None:
        """Commit groups until the writer is closed and its queue is empty."""
        try:
            while group := self.next_group():
                self.sequencer.commit_group(group)
        except BaseException as error:
            self.give_up(error)
            logger.exception("The writer's thread has ended; the store takes no write until reopened.")

    def give_up(self, error: BaseException) -> None:
        """Fence the store, and tell everybody who waits."""
        self.sequencer.fenced = self.ended = True
        with self.ready:
            jobs = [*self.group, *self.queue]
            self.queue.clear()
        fail([job for job in jobs if not job.future.done()], fenced(error))

    def next_group(self) -> list[Job]:
        """What waits, within the bounds of a group; blocks until there is something; empty at the end."""
        with self.ready:
            while not self.queue and not self.closed:
                self.ready.wait()
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
        with self.ready:
            self.closed = True
            self.ready.notify()
        self.thread.join()
