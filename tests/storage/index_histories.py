"""Random histories of a store with indexes: writes, deliveries, joins, refused transactions, indexes that come and go.

Rules: a history follows from its seed. One store has indexes, `here`; what comes from `there` is delivered or joined.
Pieces are small, so that most histories write while an index is half built. A reopening in between stands for a crash:
what a commit wrote is there, and nothing else is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import Increment, Remove, ReplaceWithCounter, Set, SetAttachment, Store, Update, Upsert, core
from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import CallerError, CrdtStoreError
from crdtstore.indexes import Indexes, default_name
from crdtstore.replication.local import sync
from crdtstore.storage import index_build
from crdtstore.storage.documents import ID_KEY_BYTES
from crdtstore.storage.identity import give_identity
from crdtstore.storage.index import Kind, read_indexes
from crdtstore.storage.interface import Storage
from crdtstore.storage.memory import MemoryStorage
from crdtstore.version.index_jobs import advance_index, create_index, drop_index
from crdtstore.version.writer import Inline
from tests.storage.engines import open_engine

NOW = 1_700_000_000_000
COLLECTION = "cities"

SCALARS = (
    None,
    True,
    False,
    0,
    -0.0,
    1,
    1.0,
    2**63 - 1,
    -2.5,
    "",
    "a",
    "b\0\1",
    "x" * 98,
    "x" * 99,
    "x" * 200,
    b"\0\xff",
    "ä",
)
ITEMS = (1, "a", {"k": 1}, {"k": [2, "a"]}, [3], "x" * 120, None, {"0": "z"})
IDS = (
    "a",
    "b",
    "c",
    1,
    2.5,
    True,
    {"p": 1},
    {"p": [1, "q"], "r": None},
    "long" * 30,
    "longer" * 120,
    "y" * 63,
    "z" * 64,
    "\0",
    2**62,
)
PATHS = ("a", "b", "deep.x", "deep.y.z", "tags", "n")
DEFINITIONS: tuple[tuple[tuple[str | int, ...], ...], ...] = (
    (("a",),),
    (("tags",),),
    (("tags", "k"),),
    (("tags", 0),),
    (("tags", "0"),),
    (("deep", "x"), ("a",)),
    (("deep",),),
    (("_id",),),
    (("_id", "p"), ("n",), ("tags", "k"), ("b",)),
    (),
)

Step = Callable[[], object]


def value_of(random: Random) -> Any:
    """Any value."""
    if random.random() < 0.5:
        return random.choice(SCALARS)
    if random.random() < 0.6:
        return [random.choice(ITEMS) for _ in range(random.randrange(5))]
    return {random.choice(("x", "k", "y")): random.choice(SCALARS)}


def fields_of(random: Random) -> dict[str, Any]:
    """Fields of an upsert."""
    names = random.sample(("a", "b", "tags", "n", "deep", "other"), random.randrange(1, 5))
    return {name: value_of(random) for name in names}


def commands_of(random: Random) -> list[Any]:
    """The commands of one transaction."""
    found: list[Any] = []
    for _ in range(random.randrange(1, 4)):
        collection = COLLECTION if random.random() < 0.9 else "other"
        query, args = "_id in $ids", {"ids": random.sample(IDS, random.randrange(1, 4))}
        field = random.choice(
            (
                Set(random.choice(PATHS), value_of(random)),
                Increment("n", random.choice((1, 0.5))),
                ReplaceWithCounter("n", random.randrange(9)),
                SetAttachment("a", {"id": "k"}),
            )
        )
        found.append(
            random.choice(
                (
                    Upsert(collection, fields_of(random), id=random.choice(IDS), initial=random.random() < 0.1),
                    Upsert(collection, {"n": 3}, id=random.choice(IDS), value_types={"n": "counter"}),
                    Upsert(collection, {"tags": {"k": 1}}, id=random.choice(IDS), value_types={"tags": "register"}),
                    Update(collection, query, [field], args=args),
                    Update(collection, query, [field], args=args),
                    Remove(collection, query, args=args),
                )
            )
        )
    if random.random() < 0.05:
        found.append(Remove(COLLECTION, "_id == $id", args={"id": random.choice(IDS)}, deletes="permanent"))
    return found


class World:
    """A store with indexes and one that it hears of; `open` gives the storage of the first, anew after a crash."""

    def __init__(self, seed: int, reopen: Callable[[Storage | None], Storage]) -> None:
        self.random = Random(seed)
        self.reopen = reopen
        self.storage = reopen(None)
        self.here = self.opened()
        self.there = Store.in_memory(clock=lambda: NOW, origin=make_actor(2, 1), entropy=bytes)

    def opened(self) -> Store:
        """The store on its storage."""
        give_identity(self.storage, make_actor(1, 1))
        return Store(self.storage, Inline, lambda: NOW, bytes)

    @property
    def indexes(self) -> Indexes:
        """Those of the store."""
        return Indexes(self.here)

    def steps(self) -> list[tuple[int, Step]]:
        """What may happen, with weights."""
        random = self.random
        return [
            (8, lambda: write(self.here, commands_of(random))),
            (8, lambda: write(self.there, commands_of(random))),
            (1, lambda: write(self.here, [*commands_of(random), Upsert(COLLECTION, {"a": 2**70}, id="refused")])),
            (5, self.deliver),
            (2, lambda: sync(self.there, self.here)),
            (2, self.join),
            (4, self.create),
            (4, self.advance),
            (4, self.write_at_the_edge),
            (1, self.drop),
            (1, self.crash),
        ]

    def deliver(self) -> None:
        """Take what the other store wrote; what it did not write or has forgotten is asked for."""
        try:
            self.here.apply([entry.record for entry in self.there.changes(since=self.there.stats().oldest - 1)])
        except CrdtStoreError:
            sync(self.here, self.there)

    def join(self) -> None:
        """Let the other store write and forget its log, so that its documents are joined."""
        write(self.there, commands_of(self.random))
        self.there.trim(self.there.applied - 1)
        sync(self.here, self.there)

    def create(self) -> None:
        """Begin an index."""
        paths = self.random.choice(DEFINITIONS)
        with suppress(CallerError):
            create(self.here, paths)

    def advance(self) -> None:
        """Build or drop one piece."""
        for state in self.indexes.list():
            if state.state != "ready":
                self.here.run(partial(advance_index, number=state.number))
                return

    def write_at_the_edge(self) -> None:
        """Write to the documents up to which indexes are built."""
        with self.here.storage.snapshot() as snapshot:
            edges = [index.built for index in read_indexes(snapshot) if index.built and not index.dropping]
        for edge in edges:
            if len(edge) < ID_KEY_BYTES:
                write(self.here, [Upsert(COLLECTION, fields_of(self.random), id=decode_id(edge))])

    def drop(self) -> None:
        """Begin to drop an index."""
        states = [state for state in self.indexes.list() if state.state != "dropping"]
        if states:
            self.here.run(partial(drop_index, number=self.random.choice(states).number))

    def crash(self) -> None:
        """Go on with what is stored."""
        self.here.submitter.close()
        self.storage = self.reopen(self.storage)
        self.here = self.opened()

    def step(self) -> None:
        """Do one thing."""
        weights, steps = zip(*self.steps(), strict=True)
        self.random.choices(steps, weights)[0]()

    def close(self) -> None:
        """End both."""
        self.here.close()
        self.there.close()


def create(store: Store, paths: tuple[tuple[str | int, ...], ...]) -> None:
    """Begin an index without building any of it: pieces are steps here."""
    kind: Kind = "fields" if paths else "conflicts"
    name = default_name(kind, paths)
    store.run(partial(create_index, collection=COLLECTION, name=name, kind=kind, paths=paths))


def write(store: Store, commands: list[Any]) -> None:
    """Write, unless the commands are refused."""
    with suppress(CallerError):
        store.write(commands)


@contextmanager
def world(kind: str, seed: int, path: Path) -> Iterator[World]:
    """A world of one engine: `compiled`, `adapter`, which goes through the plain loops, or `memory`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 3)
        patch.setattr(index_build, "INDEX_DROP_ENTRIES", 4)
        if kind == "adapter":
            patch.setattr(core, "Batch", None)
            patch.setattr(core, "apply_changes", None)
            patch.setattr(core, "index_entry", None)

        def reopen(before: Storage | None) -> Storage:
            if kind == "memory":
                return before or MemoryStorage()
            if before is not None:
                before.close()
            return open_engine(kind, path)

        made = World(seed, reopen)
        try:
            yield made
        finally:
            made.close()
