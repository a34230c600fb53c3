"""One store of the world and the machine it runs on: disk, clock, process, and what the world knows of it.

Rules: the store is the engine's own, made with an injected disk, clock and entropy; while the machine is down there is
none. On a *slow* disk writes wait for a commit that the world brings, and are committed as a group; whatever else needs
the disk commits them first. What was logged and what was acknowledged is handed to the ledger after each event, before
anything that a crash may take back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from crdtstore.command.result import Written
from crdtstore.crdt.scope import Scope
from crdtstore.replication.pins import Pins
from crdtstore.sim.clock import WallClock
from crdtstore.sim.disk import Disk, Image, disk_of
from crdtstore.sim.ledger import History, Ledger
from crdtstore.sim.workload import Step, carry_out
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.head import Head
from crdtstore.storage.interface import Batch
from crdtstore.store import Store
from crdtstore.version.sequencer import Job, Sequencer
from crdtstore.version.transaction import sequence
from crdtstore.writing import answer

if TYPE_CHECKING:
    from crdtstore.sim.conversation import Conversation


class Held(Future[Any]):
    """A future of a job that waits: who cannot wait for it has the disk commit now."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self.queue = queue

    def result(self, timeout: float | None = None) -> Any:
        """The outcome; it must be there after a commit, since nobody else would ever bring it."""
        if not self.done():
            self.queue.commit()
            assert self.done(), "A commit left one of its jobs without an answer."
        return super().result(timeout)


class Queue:
    """A submitter without a thread: jobs wait until the world, or somebody who needs an outcome, has them committed."""

    def __init__(self, sequencer: Sequencer) -> None:
        self.sequencer = sequencer
        self.jobs: list[Job] = []

    def submit(self, run: Callable[[Batch, Catalog, Head], Any], size: int = 0) -> Future[Any]:
        """Queue a job."""
        future = Held(self)
        self.jobs.append(Job(run, future, size))
        return future

    def commit(self) -> None:
        """Commit what waits as one group."""
        jobs, self.jobs = self.jobs, []
        if jobs:
            self.sequencer.commit_group(jobs)

    def close(self) -> None:
        """Commit what waits."""
        self.commit()


@dataclass(frozen=True, slots=True)
class Asked:
    """A write that a client has sent, and where its outcome will be."""

    client: int
    steps: Sequence[Step]
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a store's disk, and the history that it amounts to."""

    image: Image
    history: History


@dataclass(slots=True)
class Node:
    """A store and its machine, by number."""

    number: int
    wall: WallClock
    entropy: Random
    ledger: Ledger
    keeps: bool
    is_slow: bool
    scope: Scope
    disk: Disk
    history: History = field(default_factory=History)
    store: Store | None = None
    pins: Pins | None = None
    own: set[int] = field(default_factory=set)
    is_founded: bool = False
    is_gone: bool = False
    starts: int = 0
    losses: int = 0
    down_for: int = 1
    asked: list[Asked] = field(default_factory=list)
    conversations: dict[int, Conversation] = field(default_factory=dict)
    backup: Backup | None = None
    tokens: dict[int, int] = field(default_factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether the store runs."""
        return self.store is not None

    @property
    def running(self) -> Store:
        """The store of a machine that is up."""
        assert self.store is not None
        return self.store

    # --- the process ---

    def start(self, *, origin: bytes, renew: bool) -> None:
        """Start the store on what its disk holds; a disk that does not keep has been synchronised by then.

        Args:
            origin: Of a store whose disk is empty.
            renew: Whether it takes a new epoch at once.
        """
        self.store = store = Store.in_memory(
            clock=self.wall.start(),
            origin=origin,
            scope=self.scope,
            storage=self.disk,
            submitter=Queue,
            entropy=self.entropy.randbytes,
        )
        store.settle_epoch(volatile=not self.keeps)
        if renew:
            store.renew_epoch()
        self.disk.sync()
        self.pins = Pins(lambda: self.wall.time.now / 1_000)
        self.starts += 1
        self.is_founded = True
        self.own.add(self.own_number)

    def stop(self) -> int:
        """The machine stops: the process and all that was not durable is gone. Returns how many transactions."""
        self.absorb()
        before = len(self.history.entries)
        self.disk = self.disk.crash()
        for conversation in self.conversations.values():
            conversation.abandon()
        self.conversations.clear()
        self.asked.clear()
        self.store, self.pins = None, None
        return self.lose() if self.disk.entries < before else 0

    def lose(self) -> int:
        """The log is shorter than it was."""
        self.tokens.clear()
        self.losses += 1
        return self.ledger.roll_back(self.history, self.disk.entries, self.own)

    def put_in(self, backup: Backup) -> int:
        """Put a backup in the place of the disk; returns how many own transactions are lost with it."""
        self.tokens.clear()
        self.losses += 1
        before = self.own_positions()
        self.ledger.roll_back(self.history, 0, self.own)
        self.history = backup.history.copy()
        self.disk = disk_of(backup.image, keeps=self.keeps)
        for number, position in self.history.seen.items():
            if number in self.own:
                self.ledger.found_again(number, position)
        return max(0, before - self.own_positions())

    def own_positions(self) -> int:
        """How many transactions of its own the store holds."""
        return sum(position for number, position in self.history.seen.items() if number in self.own)

    # --- what clients ask ---

    def write(self, client: int, actor: bytes, steps: Sequence[Step]) -> None:
        """Submit a transaction; unless the disk is slow it is committed at once."""
        store = self.running

        def run(batch: Batch, catalog: Catalog, head: Head) -> Written:
            now = store.clock()
            evaluate = partial(carry_out, steps)
            return answer(sequence(batch, catalog, head, actor, evaluate, clock_milliseconds=now, after=None))

        self.asked.append(Asked(client, steps, store.submitter.submit(run)))
        if not self.is_slow:
            self.commit()

    def commit(self) -> None:
        """Have the disk commit what waits."""
        queue = self.running.submitter
        assert isinstance(queue, Queue)
        queue.commit()

    # --- what the world notes ---

    def absorb(self) -> set[tuple[int, int]]:
        """Hand to the ledger what was logged since the last time; returns the places of fresh transactions."""
        if self.store is not None:
            self.own.add(self.own_number)
        rows, self.disk.logged = self.disk.logged, []
        fresh = set()
        for txn, row in rows:
            transaction = self.ledger.take(self.history, txn, row, self.own, is_scoped=self.scope is not None)
            if transaction is not None:
                fresh.add((transaction.origin, transaction.position))
        return fresh

    @property
    def own_number(self) -> int:
        """The number of the running store's origin."""
        return self.ledger.number_of(self.running.origin)
