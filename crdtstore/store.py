"""A store: documents whose every field is a CRDT, and one line of transactions; embedded or served.

    with Store.open("data") as store:
        written = store.write([Upsert("cities", {"name": "Basel"}, id=1)])
        store.get("cities", 1).fields

Rules: a write is on disk when it returns. Every method may be called from several threads; a store opened before
fork() is not used in the child.

Not here: reading and writing documents (`reading.py`, `finding.py`, `writing.py`), who may do what (`auth/session.py`
wraps a store for HTTP), the wire (`http/`).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import TYPE_CHECKING, Self

from crdtstore import core
from crdtstore.attachments.attachments import Attachments
from crdtstore.crdt.scope import make_scope
from crdtstore.errors import VersionNotAvailable
from crdtstore.feed.events import Events
from crdtstore.feed.feed import Feed
from crdtstore.feed.filter import make_filter
from crdtstore.feed.kept import KeptImages
from crdtstore.feed.pump import Pump
from crdtstore.indexes import Indexes
from crdtstore.limits import FIND_LIMIT_DEFAULT, WAIT_SECONDS_DEFAULT
from crdtstore.live.queries import LiveQueries
from crdtstore.prepared import Prepared
from crdtstore.statement import run
from crdtstore.statement.host import Terms
from crdtstore.statement.requests import Requests
from crdtstore.statement.system_parameters import SystemParameters
from crdtstore.storage.catalog import read_counts, sum_digests
from crdtstore.storage.identity import Entropy, check_scope, give_identity, new_origin
from crdtstore.storage.lasting import Durability, open_lasting
from crdtstore.storage.log import first_txn, last_txn
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.stats import Stats
from crdtstore.storage.tables import Table
from crdtstore.timeseries.expiry import Expiry
from crdtstore.version.clock import Clock, steady_clock
from crdtstore.version.sequencer import Sequencer
from crdtstore.version.writer import Inline, Submitter, Writer
from crdtstore.writing import Writing

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.live.observation import Observation
    from crdtstore.once import Once
    from crdtstore.query.dql.profile import Profile
    from crdtstore.query.find import Form
    from crdtstore.query.order import Order
    from crdtstore.query.tree import Node
    from crdtstore.statement.answer import Executed
    from crdtstore.storage.interface import Storage


class Store(Writing):
    """One store, open."""

    def __init__(
        self,
        storage: Storage,
        submitter: Callable[[Sequencer], Submitter],
        clock: Clock,
        entropy: Entropy = secrets.token_bytes,
        retained_seconds: float = 0.0,
    ) -> None:
        super().__init__(storage, submitter, clock, entropy, retained_seconds)
        self.indexes = Indexes(self)
        self.expiry = Expiry(self)
        self.pump = Pump(self.sequencer)
        self.change_images = KeptImages(self)
        self.feed = Feed(self, self.pump)
        self.attachments = Attachments(self)
        self.live = LiveQueries(self.pump, self.view)
        self.requests = Requests()
        self.parameters = SystemParameters(self)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool = True,
        read_only: bool = False,
        durability: Durability | None = None,
        clock: Clock | None = None,
        scope: Collection[str] | None = None,
        retained_seconds: float = 0.0,
    ) -> Self:
        """Open the store in a directory.

        Args:
            path: The directory; created, atomically, unless `create` is false.
            create: Whether a missing store is made.
            read_only: Beside a writer in another process; every write is refused.
            durability: `sync` and `wal`: a write that returned is on disk; `wal` brings it there by a write-ahead log,
                in fewer flushes. `none`: it may be lost with the machine's power, and the store with it; for
                benchmarks and tests. By default `wal`, or `sync` where no log can be made: that is logged.
            clock: Milliseconds since 1970; the machine's by default.
            scope: The collections that a new store is made for; None for all. It never changes.
            retained_seconds: How long the newest version of each second stays readable once there is a newer one.

        Raises:
            NotAStore: No store is there, or something else.
            NotRecovered: It was not closed, and is opened to be read only.
            ScopeMismatch: The store was made for other collections than `scope`.
            StoreLocked: Another process writes to it.
            Corrupted: Its file is cut short or damaged.
            FormatTooNew: A newer version wrote it.
        """
        storage = open_lasting(path, durability, create=create, read_only=read_only)
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
            store.attachments.settle()
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

    @contextmanager
    def stream(
        self,
        statement: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        profile: Profile = "v5",
        at: int | None = None,
        seconds: float | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """The rows of a SELECT, each as JSON, while they are found: however many, in bounded memory.

        The snapshot is held until the block ends.
        """
        with run.stream(self, statement, parameters, profile=profile, at=at, seconds=seconds) as found:
            yield found.rows

    # --- queries that are kept ---

    def prepare(self, collection: str, query: str, *, order: Sequence[str] = ()) -> Prepared:
        """A query in the legacy language that is run often; each `$args.name` in it is an argument of a run."""
        return Prepared(self, collection, query, order)

    def observe(
        self,
        collection: str,
        query: str | Node = "true",
        *,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        order: Sequence[str] | Order = (),
        limit: int = FIND_LIMIT_DEFAULT,
        offset: int = 0,
        fields: Sequence[str] | None = None,
        form: Form = "values",
    ) -> Observation:
        """Observe what `find` gives for a query, which is asked in the same way, while transactions change it.

        What is an instant in a query, such as now, is that of this call.

        Raises:
            QuerySyntaxError: The query or a path cannot be parsed.
            LimitExceeded: `limit` is beyond FIND_LIMIT_MAX.
            Overloaded: Too much is observed.
            StatementTimeout: The first search took longer than LIVE_SEARCH_SECONDS_MAX.
            StoreReadOnly: Another process writes, and nothing says when.
        """
        self.rules.check_all_fields(collection)
        asked = self.read_query(collection, query, language, args, order, limit, offset, None, fields, form)
        return self.live.observe(collection, asked)

    # --- versions ---

    @property
    def applied(self) -> int:
        """The newest txn id that is on disk and visible; 0 for an empty store."""
        if not self.storage.read_only:
            return self.waiters.applied
        with self.storage.snapshot() as snapshot:
            return last_txn(snapshot)

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
        """Call back once, on the thread that commits, when a txn id is applied; returns what cancels it.

        The callback must be short and must not write.
        """
        return self.waiters.notify(txn, callback)

    # --- what happens ---

    def events(
        self,
        since: int | None = None,
        *,
        collections: Collection[str] | None = None,
        query: str | Node | None = None,
        language: str = "legacy",
        args: Mapping[str, Value] | None = None,
        seconds: float | None = None,
    ) -> Events:
        """What becomes of documents, transaction by transaction, as it happens: see `docs/http-changes.md`.

            with store.events(since=kept) as events:
                for event in events:
                    copy(event)
                    kept = events.txn

        Args:
            since: The transaction behind which to begin; None for the newest. What is no event any more is told from
                the log, where no version that is retained gives the documents: by its operations.
            collections: Whose documents; None for all.
            query: A condition: a document that comes to match is told as new, one that ceases to as removed.
            language: The query's.
            args: What `$args` names in it.
            seconds: How long to wait for the next event before the iteration ends; None for ever.

        Raises:
            VersionNotAvailable: `since` is not applied yet.
            LogTrimmed: What followed `since` is not in the log any more; `data` names the first transaction that is.
            FeedCut: While events are taken: they were taken too slowly. `data` says where to go on.
        """
        node = None if query is None else self.read_node(query, language, args)
        return Events(self.feed.open(make_filter(collections, node, self.rules), since), seconds)

    # --- the store itself ---

    def stats(self) -> Stats:
        """What the store holds."""
        with self.view() as (snapshot, catalog):
            counts, applied, oldest = read_counts(snapshot), last_txn(snapshot), first_txn(snapshot)
            head, attachments = self.sequencer.head, snapshot.count(Table.ATTACHMENTS)
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
            attachments=attachments,
        )

    def close(self) -> None:
        """Finish what was submitted and let go of the directory; closing twice does nothing."""
        self.expiry.close()
        self.attachments.close()
        self.submitter.close()
        self.pump.close()
        self.retained.close()
        self.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
