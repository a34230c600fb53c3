"""Histories: random transactions on a small store, observers of random queries, and what a find says after each step.

Rules: a history is one query, of any language, observed over the steps of its world. A step is one transaction or a
few, of this store or of another one, or a joined snapshot; then the pump goes one round, or some rounds are one. After
every step each observer that looks makes of its rows what it is told, and compares them with a find that is run anew.
Some look seldom, some come late. Windows have little slack. One seed gives one sequence of histories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from unittest import mock

from crdtstore import Store, limits
from crdtstore.command.command import Command, Increment, Remove, ReplaceWithCounter, Set, Update, Upsert
from crdtstore.errors import CallerError, ReplicationError
from crdtstore.feed.pump import Listener, Place, Round
from crdtstore.live import difference
from crdtstore.live import query as live_query
from crdtstore.live.observation import Observation
from crdtstore.live.queries import LiveQueries
from crdtstore.query.find import Document
from crdtstore.query.order import Order, OrderKey
from crdtstore.query.rules import Rules
from crdtstore.replication.local import sync
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.environment import open_storage
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.log import last_txn
from crdtstore.storage.memory import MemoryStorage
from tests.query.harness import LANGUAGES, Language
from tests.query.worlds.documents import make_fields
from tests.version.stores import store_on

NAME: Final = "things"
QUERIES: Final = 40
"""Queries of one world."""

STEPS: Final = 7
IDS: Final = 16
"""Documents that there may be in a world."""


class StepPump:
    """The pump without its thread: it goes a round when it is told to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.listeners: list[Listener] = []
        self.coming: list[Listener] = []
        self.place = self.open()

    def open(self) -> Place:
        """The newest version."""
        snapshot = self.store.storage.snapshot()
        return Place(snapshot, self.store.sequencer.catalog, last_txn(snapshot))

    def attach(self, listener: Listener) -> None:
        """Begin with the next round."""
        self.coming.append(listener)

    def detach(self, listener: Listener) -> None:
        """Tell no more."""
        for some in (self.listeners, self.coming):
            if listener in some:
                some.remove(listener)
                listener.end(None)

    def go(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """One round, if something was committed; and what happens after its version was opened, before it is told."""
        self.heed()
        after = self.open()
        meanwhile()
        before, self.place = self.place, after
        if after.txn > before.txn:
            heard = Round(before.snapshot, after.snapshot, before.txn, after.txn, after.catalog)
            for listener in list(self.listeners):
                listener.take(heard)
        before.snapshot.close()

    def heed(self) -> None:
        """Let in who comes; the first begins at the newest version."""
        if self.coming and not self.listeners:
            self.place.snapshot.close()
            self.place = self.open()
        while self.coming:
            self.listeners.append(self.coming.pop())
            self.listeners[-1].begin(self.place)


@dataclass
class Watcher:
    """An observer, what it asked, and the rows that it made of what it was told."""

    asked: dict[str, Any]
    observation: Observation
    patience: float
    """How often it does not look."""
    rows: list[Document] = field(default_factory=list)
    txn: int = -1

    def look(self) -> bool:
        """Make the rows of what is told; whether that goes on from what was told before, and agrees with itself."""
        change = self.observation.take()
        if change is None:
            return True
        later = change.txn > self.txn
        self.txn = change.txn
        if change.difference is None:
            self.rows = list(change.rows)
            return later
        self.rows = difference.apply(self.rows, change.difference)
        return later and change.difference != difference.NONE and self.rows == list(change.rows)


class Outcome(NamedTuple):
    """What came of a history: what was asked, what find says at the end, whether the rows were right at every look."""

    asked: dict[str, Any]
    rows: list[Document]
    right: bool
    changes: int


class Stage:
    """A store in a world, and who observes it."""

    def __init__(self, language: Language, seed: str, folder: Path | None) -> None:
        self.random = Random(seed)
        self.language = language
        self.world = language.make_world(self.random)
        self.documents = self.world.documents[:IDS]
        on_disk = None if folder is None else open_storage(folder, create=True, read_only=False, durable=False)
        self.store = store_on(on_disk or MemoryStorage(), 1)
        self.other = store_on(MemoryStorage(), 2)
        self.pump = StepPump(self.store)
        self.live = LiveQueries(self.pump, self.view)  # type: ignore[arg-type]  # a pump that is stepped

    @contextmanager
    def view(self) -> Iterator[tuple[Snapshot, Catalog]]:
        """The newest version; sometimes something is written while a query is run for the first time."""
        with self.store.view() as (snapshot, catalog):
            yield snapshot, catalog
            if self.random.random() < 0.1:
                self.transact()

    # --- what happens ---

    def begin(self) -> None:
        """Write some of the documents, but in some worlds none."""
        some = self.documents[: self.random.choice((0, 8, 12))]
        if some:
            self.write(self.store, [self.upsert(document) for document in some])

    def upsert(self, document: dict[str, Any]) -> Upsert:
        """A document as the world has it, or with other fields."""
        fields = {name: value for name, value in document.items() if name != "_id"}
        if self.random.random() < 0.5:
            fields |= make_fields(self.random, self.world.values)
        if self.random.random() < 0.5:
            fields = dict(self.random.sample(sorted(fields.items()), min(2, len(fields))))
        return Upsert(NAME, fields, id=document["_id"])

    def commands(self) -> list[Command]:
        """Those of one transaction."""
        return [self.command() for _ in range(self.random.choice((1, 1, 1, 2, 4)))]

    def command(self) -> Command:
        """One command."""
        random = self.random
        document = random.choice(self.documents)
        by_id: dict[str, Any] = {"query": "_id == $args.id", "args": {"id": document["_id"]}}
        value = random.choice(self.world.values)
        kind = random.randrange(20)
        if kind < 9:
            return self.upsert(document)
        if kind < 13:
            return Remove(NAME, **by_id, deletes="permanent" if kind == 12 and random.random() < 0.3 else "observed")
        if kind < 15:
            return Update(NAME, commands=[Set(random.choice(("a", "b", "c.d")), value)], **by_id)
        if kind < 17:
            return Update(NAME, commands=[Increment("n", random.choice((1, -2, 0.5)))], **by_id)
        if kind < 18:
            return Update(
                NAME, commands=[ReplaceWithCounter(random.choice(("a", "n")), random.choice((0, 7)))], **by_id
            )
        if kind < 19:
            return Update(NAME, query="true", commands=[Set(random.choice(("a", "b")), value)])
        return Upsert("elsewhere", {"a": value}, id=1)

    def write(self, store: Store, commands: list[Command]) -> None:
        """Write, unless it is refused: a document that is buried is written no more."""
        try:
            store.write(commands)
        except CallerError:
            return

    def step(self) -> None:
        """Let something happen, and then maybe a round."""
        for _ in range(self.random.choice((1, 1, 1, 2, 5))):
            self.transact()
        if self.random.random() < 0.2:
            self.store.trim(self.store.applied)

    def transact(self) -> None:
        """One transaction, or what comes of another store."""
        kind = self.random.random()
        if kind < 0.8:
            self.write(self.store, self.commands())
            return
        self.write(self.other, self.commands())
        if kind > 0.93:
            # What is in no log comes as a snapshot.
            self.other.trim(self.other.applied)
        if kind > 0.85:
            self.exchange()

    def exchange(self) -> None:
        """Know what the other knows; who lacks what the other's log holds no more has to begin."""
        for one, another in ((self.store, self.other), (self.other, self.store), (self.store, self.other)):
            try:
                sync(one, another)
            except ReplicationError:
                continue

    # --- who observes ---

    def ask(self) -> dict[str, Any]:
        """A random query, as find takes it."""
        random = self.random
        asked = self.language.ask(self.language.make_query(self.world))
        paths = random.sample((*self.language.paths, ("n",), ("_id",)), random.choice((0, 1, 1, 2)))
        keys = tuple(OrderKey(path, random.random() < 0.5) for path in paths)
        query = "true" if random.random() < 0.3 else asked.query
        return {
            "query": query,
            "args": asked.args if query == asked.query else None,
            "order": Order(keys, self.language.ranks),
            "limit": random.choice((1, 2, 3, 3, 5, 5, 1_000, random.choice((0, 1_000)))),
            "offset": random.choice((0, 0, 0, 1, 3)),
            "fields": random.choice((None, None, ("a",), ("c.d", "n"))),
            "form": random.choice(("values",) * 18 + ("types", "full")),
        }

    def somebody(self) -> Store:
        """The store as somebody sees it: whole, or under a rule."""
        if self.random.random() < 0.9:
            return self.store
        asked = self.language.ask(self.language.make_query(self.world))
        return self.store.under(Rules({NAME: self.store.read_node(asked.query, "legacy", asked.args)}))

    def observe(self, store: Store, asked: dict[str, Any]) -> Watcher:
        """A new observer of what somebody sees."""
        read = partial(store.read_query, NAME, language="legacy", cursor=None)
        observation = self.live.observe(NAME, read(**asked))
        return Watcher(asked, observation, self.random.choice((0.0, 0.0, 0.5, 0.9)))


def play(language: Language, seed: str, folder: Path | None = None) -> Iterator[Outcome]:
    """The histories of one world."""
    with ExitStack() as stack:
        slack = Random(seed).choice((0, 0, 1, 2, 100))
        stack.enter_context(mock.patch.object(limits, "LIVE_SLACK_ROWS", slack))
        stack.enter_context(mock.patch.object(live_query, "JUDGED_MIN", Random(seed).choice((1, 1_000))))
        stage = Stage(language, seed, folder)
        stack.enter_context(stage.store)
        stage.begin()
        yield from watch(stage)


class Watched:
    """One history while it goes on."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.store = stage.somebody()
        self.asked = stage.ask()
        self.watchers = [stage.observe(self.store, self.asked) for _ in range(stage.random.choice((1, 1, 1, 1, 3)))]
        self.rows: list[Document] = []
        self.right = True
        self.changes = 0

    def join(self) -> None:
        """One more observes the same."""
        self.watchers.append(self.stage.observe(self.store, self.asked))

    def look(self) -> None:
        """Let all look, whatever the version is."""
        self.right = all(watcher.look() for watcher in self.watchers) and self.right

    def compare(self, *, last: bool) -> None:
        """Compare, for those who look now; at last all do."""
        self.rows = list(self.store.find(NAME, **self.asked).documents)
        for watcher in self.watchers:
            if last or self.stage.random.random() >= watcher.patience:
                before = watcher.rows
                self.right = watcher.look() and watcher.rows == self.rows and self.right
                self.changes += before is not watcher.rows

    def end(self) -> Outcome:
        """Observe no more."""
        for watcher in self.watchers:
            watcher.observation.close()
        return Outcome(self.asked, self.rows, self.right, self.changes)


def watch(stage: Stage) -> Iterator[Outcome]:
    """Observe from the beginning on, or from later on."""
    watched = [Watched(stage) for _ in range(QUERIES)]

    def meanwhile() -> None:
        """Come while a round is told of an older version."""
        stage.transact()
        watched.append(Watched(stage))
        watched[-1].look()
        stage.random.choice(watched).join()

    for number in range(STEPS):
        last = number == STEPS - 1
        stage.step()
        if not last and stage.random.random() < 0.2:
            continue
        if stage.random.random() < 0.1:
            stage.pump.go(meanwhile)
            for each in watched:
                each.look()
        stage.pump.go()
        for each in watched:
            each.compare(last=last)
    yield from [each.end() for each in watched]
    assert not stage.live.queries, "Queries are left behind."
    assert not stage.live.rows, "There is room kept for rows of nobody."
    assert not stage.pump.listeners, "Somebody listens for nobody."


def histories(names: tuple[str, ...], seed: int, least: int, folder: Path | None = None) -> Iterator[Outcome]:
    """At least so many, of some languages in turn."""
    played = 0
    for number in count():
        for name in names:
            place = None if folder is None else folder / f"{name}{number}"
            for outcome in play(LANGUAGES[name], f"{name} {seed} {number}", place):
                played += 1
                yield outcome
        if played >= least:
            return
