"""Writing to a store: commands, records of other stores and jobs, each committed in a group of the one writer.

Rules: as `finding`; a write is on disk when it returns, and is refused by a store that was opened read-only.

Not here: opening a store and statements (`store`), what a transaction is (`version/`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from msgspec import UNSET

from crdtstore.command.command import Upsert
from crdtstore.command.condition import execute_when
from crdtstore.command.execute import check_commands, execute
from crdtstore.command.result import Upserted, Written
from crdtstore.command.serial import Around
from crdtstore.command.upsert import new_id
from crdtstore.crdt.actor import check_actor
from crdtstore.crdt.entry import Entry
from crdtstore.crdt.scope import Scope
from crdtstore.errors import StoreReadOnly
from crdtstore.finding import SECRET_BYTES, SECRET_KEY, Finding
from crdtstore.limits import COMMAND_BYTES
from crdtstore.query.rules import EVERYTHING, Rules, check_draft
from crdtstore.storage.identity import Entropy
from crdtstore.storage.ranges import refresh_job
from crdtstore.storage.tables import Table
from crdtstore.version.arrival import deliver_frame, deliver_records
from crdtstore.version.clock import Clock
from crdtstore.version.epoch import NOISE_BYTES, renew_epoch, settle_epoch, was_volatile
from crdtstore.version.plain import Kinds, Plain
from crdtstore.version.sequencer import Sequencer
from crdtstore.version.transaction import Sequenced, sequence
from crdtstore.version.trim import trim
from crdtstore.version.writer import Submitter, waiting

if TYPE_CHECKING:
    from crdtstore.command.command import Command
    from crdtstore.command.condition import Condition
    from crdtstore.once import Once
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.draft import Draft
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch, Storage
    from crdtstore.version.arrival import Delivered

Result = TypeVar("Result")


class Applied(NamedTuple):
    """How many records were applied and how many were known, and the newest txn id after them."""

    applied: int
    skipped: int
    txn: int


class Writing(Finding):
    """A store that can be written to."""

    def __init__(
        self,
        storage: Storage,
        submitter: Callable[[Sequencer], Submitter],
        clock: Clock,
        entropy: Entropy = secrets.token_bytes,
        retained_seconds: float = 0.0,
    ) -> None:
        super().__init__(storage, clock, retained_seconds)
        self.waiters = self.sequencer.waiters
        self.submitter = submitter(self.sequencer)
        self.turn = object()
        """Another object after each job that `run` ran: what was read of rows that only such jobs write counts until
        then. A store that is read-only sees others' jobs too, and keeps its own."""

        self.entropy = entropy

    @property
    def origin(self) -> bytes:
        """The 16 bytes that name this store's log."""
        return self.sequencer.head.origin

    @property
    def scope(self) -> Scope:
        """The collections that this store was made for; None for all."""
        return self.sequencer.head.scope

    def write(
        self,
        commands: Sequence[Command],
        *,
        actor: bytes | None = None,
        after: int | None = None,
        conditions: Sequence[Condition] = (),
        once: Once | None = None,
        dry: bool = False,
    ) -> Written:
        """Run commands as one transaction; returns when it is on disk.

        Args:
            commands: Run in order, all or none.
            actor: The author, 16 bytes; the store itself by default.
            after: A txn id that must be applied already.
            conditions: What documents must be before the first command runs.
            once: The request that this is part of: what was done for it before is answered again.
            dry: Answer what would be done, and drop it.

        Raises:
            VersionNotAvailable: `after` is not applied; nothing was written.
            CallerError: A command is refused, or a condition does not hold; nothing was written.
            StoreFenced: The commit failed and its outcome is unknown.
        """
        with waiting():
            done = self.submit(commands, actor=actor, after=after, conditions=conditions, once=once, dry=dry)
        return done.result()

    def submit(
        self,
        commands: Sequence[Command],
        *,
        actor: bytes | None = None,
        after: int | None = None,
        conditions: Sequence[Condition] = (),
        once: Once | None = None,
        dry: bool = False,
    ) -> Future[Written]:
        """As `write`, without waiting: the future is done once the transaction is on disk."""
        checked = check_commands(commands)
        size = len(checked) * COMMAND_BYTES
        if once is None and after is None and not (conditions or dry) and self.is_plain(checked):
            self.check_writable()
            author = self.origin if actor is None else check_actor(actor)
            return self.submitter.submit(Plain(checked, author, run_alone, self.clock, KINDS), size)
        if conditions:
            evaluate: Callable[[Draft], object] = partial(execute_when, checked, conditions)
            return self.sequence(evaluate, answer_with_digests, actor=actor, after=after, once=once, dry=dry, size=size)
        evaluate = partial(execute, checked)
        return self.sequence(evaluate, answer, actor=actor, after=after, once=once, dry=dry, size=size)

    def is_plain(self, commands: Sequence[Command]) -> bool:
        """Whether commands may be a plain write: what is seen of them at a glance."""
        return self.rules is EVERYTHING and len(commands) > 0 and type(commands[0]) is Upsert

    def sequence(
        self,
        evaluate: Callable[[Draft], object],
        finish: Callable[[Sequenced], Result],
        *,
        actor: bytes | None = None,
        after: int | None = None,
        once: Around | None = None,
        dry: bool = False,
        size: int = 0,
    ) -> Future[Result]:
        """Run what works on a draft as a transaction; `finish` makes the answer, given once it is on disk.

        `size` is its bytes, for the commit group.
        """
        self.check_writable()
        author = self.origin if actor is None else check_actor(actor)

        held = evaluate if self.rules is EVERYTHING else partial(evaluate_under, self.rules, evaluate)

        def run(batch: Batch, catalog: Catalog, head: Head) -> Result:
            now = self.clock()
            done = sequence(batch, catalog, head, author, held, clock_milliseconds=now, after=after, dry=dry)
            return finish(done)

        return self.submitter.submit(run if once is None or dry else once.around(run), size)

    def apply(self, records: Iterable[bytes]) -> Applied:
        """Apply transactions from other stores, in the order in which one of them logged them.

        Each record is applied whole; the ones before a refused one stay applied. What was applied already is
        skipped, so a delivery can be repeated.

        Raises:
            ReplicationError: A record does not fit: see `version/delivery.py`.
        """
        given = [bytes(record) for record in records]
        job = partial(deliver_records, records=given, clock=self.clock)
        return self.take(job, sum(map(len, given)))

    def deliver(self, entries: Sequence[Entry], chains: Mapping[bytes, bytes]) -> Applied:
        """As `apply`, for what one frame of the exchange holds.

        Args:
            entries: Records, cut ones too, and advances.
            chains: Origin -> the sender's chain digest behind its last entry.
        """
        job = partial(deliver_frame, entries=entries, chains=chains, clock=self.clock)
        return self.take(job, sum(len(entry.data) for entry in entries))

    def take(self, job: Callable[[Batch, Catalog, Head], Delivered], size: int) -> Applied:
        """Run a delivery of so many bytes; what came before a refused entry stays applied."""
        done = self.run(job, size)
        if done.error is not None:
            raise done.error
        return Applied(done.applied, done.skipped, done.txn)

    def run(self, job: Callable[[Batch, Catalog, Head], Result], size: int = 0) -> Result:
        """Run a job in a commit group; returns its answer when it is on disk. `size` is its bytes, for the group."""
        self.check_writable()
        try:
            with waiting():
                pending: Future[Result] = self.submitter.submit(job, size)
            done = pending.result()
        finally:
            # Also where it is not known what came of it. A fresh object, not a number: two threads that count at once
            # would go back to a number that was there.
            self.turn = object()
        return done

    def renew_epoch(self) -> bytes:
        """Give this store a new origin: after its directory was copied or taken from a backup."""
        noise = self.entropy(NOISE_BYTES)
        return self.run(lambda batch, _, head: renew_epoch(batch, head, self.clock(), noise))

    def settle_epoch(self, *, volatile: bool) -> None:
        """Take a new epoch if the last commits may be lost, and note durably whether these may be."""
        with self.storage.snapshot() as snapshot:
            if volatile or was_volatile(snapshot):
                noise = self.entropy(NOISE_BYTES)
                self.run(lambda batch, _, head: settle_epoch(batch, head, self.clock(), noise, volatile=volatile))
                self.storage.sync()

    def trim(self, until: int) -> int:
        """Forget log entries up to a txn id, but for the newest; returns how many. Documents stay as they are."""
        while self.run(refresh_job):
            pass
        forgotten = 0
        while done := self.run(lambda batch, _, head: trim(batch, head, until)):
            forgotten += done
        return forgotten

    def check_writable(self) -> None:
        """Refuse a write on a store that was opened read-only."""
        if self.storage.read_only:
            raise StoreReadOnly("This store was opened read-only.")

    def keep_secret(self) -> bytes:
        """The secret of this store's cursors, made when it is first needed."""
        if self.storage.read_only:
            return super().keep_secret()
        fresh = self.entropy(SECRET_BYTES)

        def job(batch: Batch, _catalog: Catalog, _head: Head) -> bytes:
            kept = batch.get(Table.KEYS, SECRET_KEY)
            if kept is None:
                batch.put(Table.KEYS, SECRET_KEY, fresh)
            return kept or fresh

        return self.run(job)

    def write_setting(self, key: bytes, value: bytes | None) -> None:
        """Write such a row, durably; None removes it."""

        def job(batch: Batch, _catalog: Catalog, _head: Head) -> None:
            if value is None:
                batch.delete(Table.KEYS, key)
            else:
                batch.put(Table.KEYS, key, value)

        self.run(job)


KINDS: Final = Kinds(Upsert, Upserted, Written, new_id, UNSET)
"""What plain writes are made of."""


def run_alone(plain: Plain, batch: Batch, catalog: Catalog, head: Head) -> Written:
    """Run a plain write as any other."""
    evaluate = partial(execute, plain.commands)
    now = plain.clock()
    return answer(sequence(batch, catalog, head, plain.actor, evaluate, clock_milliseconds=now, after=None))


def evaluate_under(rules: Rules, evaluate: Callable[[Draft], object], draft: Draft) -> object:
    """Run what works on a draft, and hold it to rules.

    Raises:
        Forbidden: It changes a document against them.
    """
    draft.rules = rules
    answered = evaluate(draft)
    check_draft(draft)
    return answered


def answer(done: Sequenced) -> Written:
    """What a write answers."""
    results: Any = done.answer
    return Written(done.txn, results, done.warnings)


def answer_with_digests(done: Sequenced) -> Written:
    """What a write with conditions answers."""
    answered: Any = done.answer
    results, digests = answered
    return Written(done.txn, results, done.warnings, digests)
