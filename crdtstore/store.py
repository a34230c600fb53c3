"""A store: documents whose every field is a CRDT, and one line of transactions; embedded or served.

    with Store.open("data") as store:
        written = store.write([Upsert("cities", {"name": "Basel"}, id=1)])
        store.get("cities", 1).fields

Rules: a write is on disk when it returns. Every method may be called from several threads; a store opened before
fork() is not used in the child.

Not here: reading documents (`reading.py`), who may do what (`auth/session.py` wraps a store for HTTP), the wire
(`http/`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar

from crdtstore import core
from crdtstore.command.condition import execute_when
from crdtstore.command.execute import check_commands, execute
from crdtstore.command.result import Written
from crdtstore.command.serial import Around
from crdtstore.crdt.actor import check_actor
from crdtstore.crdt.entry import Entry
from crdtstore.crdt.scope import Scope, make_scope
from crdtstore.errors import StoreReadOnly, VersionNotAvailable
from crdtstore.finding import SECRET_BYTES, SECRET_KEY, Finding
from crdtstore.indexes import Indexes
from crdtstore.limits import WAIT_SECONDS_DEFAULT
from crdtstore.prepared import Prepared
from crdtstore.statement import run
from crdtstore.statement.host import Terms
from crdtstore.statement.requests import Requests
from crdtstore.statement.system_parameters import SystemParameters
from crdtstore.storage.catalog import read_counts, sum_digests
from crdtstore.storage.environment import open_storage
from crdtstore.storage.identity import Entropy, check_scope, give_identity, new_origin
from crdtstore.storage.log import first_txn, last_txn
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.ranges import refresh_job
from crdtstore.storage.stats import Stats
from crdtstore.storage.tables import Table
from crdtstore.timeseries.expiry import Expiry
from crdtstore.version.arrival import deliver_frame, deliver_records
from crdtstore.version.clock import Clock, steady_clock
from crdtstore.version.epoch import NOISE_BYTES, renew_epoch, settle_epoch, was_volatile
from crdtstore.version.sequencer import Sequencer
from crdtstore.version.transaction import Sequenced, sequence
from crdtstore.version.trim import trim
from crdtstore.version.writer import Inline, Submitter, Writer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crdtstore.command.command import Command
    from crdtstore.command.condition import Condition
    from crdtstore.crdt.value import Value
    from crdtstore.once import Once
    from crdtstore.query.dql.profile import Profile
    from crdtstore.statement.answer import Executed
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.draft import Draft
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch, Storage
    from crdtstore.version.arrival import Delivered

Durability = Literal["sync", "none"]
Result = TypeVar("Result")


class Applied(NamedTuple):
    """How many records were applied and how many were known, and the newest txn id after them."""

    applied: int
    skipped: int
    txn: int


class Store(Finding):
    """One store, open."""

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
        self.entropy = entropy
        self.indexes = Indexes(self)
        self.expiry = Expiry(self)
        self.requests = Requests()
        self.parameters = SystemParameters(self)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability = "sync",
        clock: Clock | None = None,
        scope: Collection[str] | None = None,
        retained_seconds: float = 0.0,
    ) -> Self:
        """Open the store in a directory.

        Args:
            path: The directory; created, atomically, unless `create` is false.
            create: Whether a missing store is made.
            read_only: Beside a writer in another process; every write is refused.
            durability: `sync`: a write that returned is on disk. `none`: it may be lost with the machine's power,
                and the store with it; for benchmarks and tests.
            clock: Milliseconds since 1970; the machine's by default.
            scope: The collections that a new store is made for; None for all. It never changes.
            retained_seconds: How long the newest version of each second stays readable once there is a newer one.

        Raises:
            NotAStore: No store is there, or something else.
            ScopeMismatch: The store was made for other collections than `scope`.
            StoreLocked: Another process writes to it.
            Corrupted: Its file is cut short or damaged.
            FormatTooNew: A newer version wrote it.
        """
        storage = open_storage(path, create=create, read_only=read_only, durable=durability == "sync")
        try:
            if not read_only:
                give_identity(storage, new_origin(secrets.token_bytes), make_scope(scope))
            check_scope(storage, make_scope(scope))
            store = cls(
                storage, Inline if read_only else Writer, clock or steady_clock(), secrets.token_bytes, retained_seconds
            )
        except BaseException:
            storage.close()
            raise
        if not read_only:
            store.settle_epoch(volatile=durability == "none")
        return store

    @classmethod
    def in_memory(
        cls,
        *,
        clock: Clock | None = None,
        origin: bytes | None = None,
        scope: Collection[str] | None = None,
        storage: MemoryStorage | None = None,
        submitter: Callable[[Sequencer], Submitter] = Inline,
        entropy: Entropy = secrets.token_bytes,
        retained_seconds: float = 0.0,
    ) -> Self:
        """Open a store that lives in this process only.

        Args:
            clock: Milliseconds since 1970; the machine's by default.
            origin: Of a new store; by default a random site and epoch 1.
            scope: The collections that a new store is made for; None for all.
            storage: What it stands on, empty or of a store before; by default a new one.
            submitter: What commits its transactions; by default the thread that submits them.
            entropy: Gives so many random bytes: for origins and epochs.
            retained_seconds: As in `open`.
        """
        storage = MemoryStorage() if storage is None else storage
        give_identity(storage, origin or new_origin(entropy), make_scope(scope))
        check_scope(storage, make_scope(scope))
        return cls(storage, submitter, clock or steady_clock(), entropy, retained_seconds)

    # --- writing ---

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
        return self.submit(commands, actor=actor, after=after, conditions=conditions, once=once, dry=dry).result()

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
        if conditions:
            evaluate: Callable[[Draft], object] = partial(execute_when, checked, conditions)
            return self.sequence(evaluate, answer_with_digests, actor=actor, after=after, once=once, dry=dry)
        return self.sequence(partial(execute, checked), answer, actor=actor, after=after, once=once, dry=dry)

    def sequence(
        self,
        evaluate: Callable[[Draft], object],
        finish: Callable[[Sequenced], Result],
        *,
        actor: bytes | None = None,
        after: int | None = None,
        once: Around | None = None,
        dry: bool = False,
    ) -> Future[Result]:
        """Run what works on a draft as a transaction; `finish` makes the answer, given once it is on disk."""
        self.check_writable()
        author = self.origin if actor is None else check_actor(actor)

        def run(batch: Batch, catalog: Catalog, head: Head) -> Result:
            now = self.clock()
            done = sequence(batch, catalog, head, author, evaluate, clock_milliseconds=now, after=after, dry=dry)
            return finish(done)

        return self.submitter.submit(run if once is None or dry else once.around(run))

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
        done: Result = self.submitter.submit(job, size).result()
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

    # --- statements ---

    def execute(
        self,
        statement: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        profile: Profile = "v5",
        actor: bytes | None = None,
        after: int | None = None,
        at: int | None = None,
        seconds: float | None = None,
        once: Once | None = None,
        dry: bool = False,
    ) -> Executed:
        """Run a statement of DQL; one that writes is a transaction, which is on disk when this returns.

        Args:
            statement: Its text: see `docs/query-dql.md`.
            parameters: What `:name` stands for in it.
            profile: The version of the language.
            actor: The author of what is written, 16 bytes; the store itself by default.
            after: A txn id that must be applied already before anything is written.
            at: The version that is read; None for the newest.
            seconds: How long it may take; by default what the store says: see `docs/query-dql.md`.
            once: The request that this is part of: what was written for it before is answered again.
            dry: Answer what would be written, and drop it.

        Raises:
            QuerySyntaxError: The statement cannot be parsed.
            CallerError: It is refused; nothing was written.
            StatementTimeout: It was stopped; nothing was written.
        """
        terms = Terms(actor, after, once, dry)
        return run.execute(self, statement, parameters, profile=profile, terms=terms, at=at, seconds=seconds)

    def execute_together(
        self,
        statements: Sequence[str],
        parameters: Mapping[str, Value] | None = None,
        *,
        profile: Profile = "v5",
        actor: bytes | None = None,
        after: int | None = None,
        seconds: float | None = None,
        once: Once | None = None,
        dry: bool = False,
    ) -> tuple[Executed, ...]:
        """Run statements as one transaction, all or none; each sees what those before it did."""
        terms = Terms(actor, after, once, dry)
        return run.execute_together(self, statements, parameters, profile=profile, terms=terms, seconds=seconds)

    def stream(
        self,
        statement: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        profile: Profile = "v5",
        at: int | None = None,
        seconds: float | None = None,
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The rows of a SELECT, each as JSON, while they are found: however many, in bounded memory.

        The snapshot is held until the block ends.
        """
        return run.stream(self, statement, parameters, profile=profile, at=at, seconds=seconds)

    # --- queries that are kept ---

    def prepare(self, collection: str, query: str, *, order: Sequence[str] = ()) -> Prepared:
        """A query in the legacy language that is run often; each `$args.name` in it is an argument of a run."""
        return Prepared(self, collection, query, order)

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

    # --- versions ---

    @property
    def applied(self) -> int:
        """The newest txn id that is on disk and visible; 0 for an empty store."""
        if not self.storage.read_only:
            return self.waiters.applied
        with self.storage.snapshot() as snapshot:
            return last_txn(snapshot)

    @property
    def origin(self) -> bytes:
        """The 16 bytes that name this store's log."""
        return self.sequencer.head.origin

    @property
    def scope(self) -> Scope:
        """The collections that this store was made for; None for all."""
        return self.sequencer.head.scope

    def wait(self, txn: int, seconds: float = WAIT_SECONDS_DEFAULT) -> int:
        """Block until a txn id is applied; returns the newest one.

        A read-only store is not told what another process writes: it answers at once.

        Raises:
            VersionNotAvailable: It was not applied within `seconds`.
        """
        if not self.storage.read_only:
            return self.waiters.wait(txn, seconds)
        applied = self.applied
        if txn > applied:
            raise VersionNotAvailable(txn, applied)
        return applied

    def notify(self, txn: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back once, on the writer's thread, when a txn id is applied; returns what cancels it.

        The callback must be short and must not write.
        """
        return self.waiters.notify(txn, callback)

    # --- settings of the layers above ---

    def write_setting(self, key: bytes, value: bytes | None) -> None:
        """Write such a row, durably; None removes it."""

        def job(batch: Batch, _catalog: Catalog, _head: Head) -> None:
            if value is None:
                batch.delete(Table.KEYS, key)
            else:
                batch.put(Table.KEYS, key, value)

        self.run(job)

    # --- the store itself ---

    def stats(self) -> Stats:
        """What the store holds."""
        with self.view() as (snapshot, catalog):
            counts, applied, oldest = read_counts(snapshot), last_txn(snapshot), first_txn(snapshot)
            head = self.sequencer.head
        known = {row.name: row.living for row in counts if row.living}
        return Stats(
            origin=head.origin.hex(),
            applied=applied,
            documents=sum(known.values()),
            collections=known,
            paths=sum(len(catalog.by_name[name].paths.texts) for name in known),
            replicas=len(catalog.replicas.texts),
            origins=len(head.vector),
            digest=sum_digests(counts).hex(),
            waiting_reads=len(self.waiters.waiting),
            bytes_on_disk=self.storage.bytes_on_disk(),
            core=core.CORE,
            read_only=self.storage.read_only,
            scope=head.scope,
            oldest=oldest,
            retained=self.retained.txns,
        )

    def close(self) -> None:
        """Finish what was submitted and let go of the directory; closing twice does nothing."""
        self.expiry.close()
        self.submitter.close()
        self.retained.close()
        self.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answer(done: Sequenced) -> Written:
    """What a write answers."""
    results: Any = done.answer
    return Written(done.txn, results, done.warnings)


def answer_with_digests(done: Sequenced) -> Written:
    """What a write with conditions answers."""
    answered: Any = done.answer
    results, digests = answered
    return Written(done.txn, results, done.warnings, digests)
