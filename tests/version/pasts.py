"""A store whose past is remembered twice: by itself, and by a copy of all documents at every transaction.

Rules: the copy is made of what was asked, not of what was read. Which versions can be read is worked out anew from
when each stopped being the newest; time only goes forward here. `check` reads every version that ever was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crdtstore import core
from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import VersionNotAvailable, VersionNotRetained
from crdtstore.indexes import Indexes
from crdtstore.limits import PIN_VERSION_SECONDS_MAX
from crdtstore.store import Store
from crdtstore.version.retained import Pin
from tests.version.stores import NOW, plain_loops

Documents = dict[str, dict[Any, dict[str, Any]]]

COLLECTIONS = ("a", "b", "c")
FIELDS = ("f0", "f1", "f2")
IDS = (1, 2, "three", "f" * 600)
PAUSES = (0, 1, 400, 999, 1_000, 3_000, 20_000, 61_000)
KINDS = ("lmdb", "plain", "memory")
LONG_PAUSES = (*PAUSES, 200_000, 601_000)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def opener(kind: str, path: Path) -> Callable[[Clock, float], Store]:
    """What opens a store of a kind."""

    def open_store(clock: Clock, seconds: float) -> Store:
        if kind == "memory":
            return Store.in_memory(clock=clock, retained_seconds=seconds)
        return Store.open(path / kind, durability="none", clock=clock, retained_seconds=seconds)

    return open_store


@contextmanager
def engine(kind: str) -> Iterator[None]:
    """The plain storage and loops, or what was loaded."""
    if kind != "plain":
        yield
        return
    with pytest.MonkeyPatch.context() as patch, plain_loops():
        patch.setattr(core, "lmdb_environment", None)
        yield


class Past:
    """A store, its clock, and what is known of it from outside."""

    def __init__(self, open_store: Callable[[Clock, float], Store], random: Random, seconds: float = 60.0) -> None:
        self.clock = Clock()
        self.store = open_store(self.clock, seconds)
        self.random = random
        self.seconds = seconds
        self.versions_max = 1_000
        self.copies: list[Documents] = [{name: {} for name in COLLECTIONS}]
        self.since: dict[int, int] = {}
        self.second = -1
        self.pins: list[tuple[Pin, int]] = []

    # --- what happens ---

    def step(self) -> None:
        """Do something."""
        often = (self.write, self.write, self.write, self.pause)
        self.random.choice((*often, self.remove, self.set, self.index, self.pin, self.unpin))()

    def write(self) -> None:
        """Write a document or two, each with a field of its own."""
        self.before_commit()
        fields = [{self.field(): len(self.copies)} for _ in range(self.random.randint(1, 2))]
        some = [(self.collection(), self.id(), each) for each in fields]
        written = self.store.write([Upsert(name, dict(each), id=id_) for name, id_, each in some])
        copy = self.copy()
        for name, id_, each in some:
            copy[name][id_] = {**copy[name].get(id_, {}), **each}
        self.after_commit(written.txn, copy)

    def remove(self) -> None:
        """Remove all documents of a collection."""
        self.before_commit()
        name = self.collection()
        written = self.store.write([Remove(name, "true")])
        self.after_commit(written.txn, {**self.copy(), name: {}})

    def set(self) -> None:
        """Commit something that is no transaction."""
        self.before_commit()
        self.store.write_setting(b"k", b"%d" % self.random.randrange(100))

    def index(self) -> None:
        """Make an index, or drop it if it is there."""
        self.before_commit()
        indexes, name, field = Indexes(self.store), self.collection(), self.random.choice(FIELDS)
        if any(each.name == field for each in indexes.list(name)):
            indexes.drop(field, collection=name)
        else:
            indexes.create(name, [field])

    def pause(self) -> None:
        """Let time go by."""
        self.clock.now += self.random.choice(LONG_PAUSES if self.random.random() < 0.1 else PAUSES)

    def pin(self) -> None:
        """Pin a version that can be read."""
        txn = self.random.choice(self.readable())
        pin = self.store.pin(None if txn == self.newest and self.random.random() < 0.5 else txn)
        assert pin.txn == txn
        self.pins.append((pin, self.clock.now))
        self.since.setdefault(txn, self.clock.now)

    def unpin(self) -> None:
        """Close a pin, twice."""
        if self.pins:
            pin, _ = self.pins.pop(self.random.randrange(len(self.pins)))
            pin.close()
            pin.close()

    # --- what is known ---

    @property
    def newest(self) -> int:
        """The newest txn id."""
        return len(self.copies) - 1

    def collection(self) -> str:
        """Some collection."""
        return self.random.choice(COLLECTIONS)

    def id(self) -> Any:
        """Some id."""
        return self.random.choice(IDS)

    def field(self) -> str:
        """Some field; new names come up all the time."""
        return f"f{self.random.randrange(self.newest + 3)}"

    def copy(self) -> Documents:
        """All documents as they are, to be changed."""
        return {name: dict(documents) for name, documents in self.copies[-1].items()}

    def before_commit(self) -> None:
        """In a new second, what is the newest version so far is retained."""
        self.forget()
        if self.seconds and self.clock.now // 1_000 != self.second:
            self.second = self.clock.now // 1_000
            self.since[self.newest] = self.clock.now
            self.forget()

    def after_commit(self, txn: int, copy: Documents) -> None:
        """A transaction is there, unless it changed nothing."""
        if txn == self.newest:
            assert copy == self.copies[-1]
            return
        assert txn == len(self.copies)
        self.copies.append(copy)

    def forget(self) -> None:
        """What is too old, or too many, is not there any more."""
        now = self.clock.now
        for txn, since in list(self.since.items()):
            pinned = max((when for pin, when in self.pins if pin.txn == txn), default=None)
            held = pinned is not None and now - pinned < PIN_VERSION_SECONDS_MAX * 1_000
            if now - since >= self.seconds * 1_000 and not held:
                del self.since[txn]
                self.pins = [(pin, when) for pin, when in self.pins if pin.txn != txn]
        for txn in sorted(self.since)[: -self.versions_max]:
            del self.since[txn]
            self.pins = [(pin, when) for pin, when in self.pins if pin.txn != txn]

    def readable(self) -> list[int]:
        """The txn ids that can be read."""
        self.forget()
        return sorted({*self.since, self.newest})

    # --- what is read ---

    def check(self) -> None:
        """Read at every txn id there ever was, and at the next one."""
        readable = self.readable()
        assert set(self.store.stats().retained) | {self.newest} == set(readable)
        for txn, documents in enumerate(self.copies):
            if txn in readable:
                check_version(self.store, txn, documents)
            else:
                check_refused(self.store, txn, readable)
        with pytest.raises(VersionNotAvailable) as refused:
            self.store.get("a", 1, at=self.newest + 1)
        assert (refused.value.asked, refused.value.applied) == (self.newest + 1, self.newest)


def check_version(store: Store, txn: int, documents: Documents) -> None:
    """Every way to read gives what the copy of that txn id holds."""
    for name, held in documents.items():
        found = store.find(name, "true", at=txn)
        assert found.txn == txn
        assert {document.id: document.fields for document in found.documents} == held
        assert [document.id for document in store.scan(name, at=txn)] == [document.id for document in found.documents]
        assert [store.get_json(name, id_, at=txn) for id_ in IDS] == store.get_many_json(name, IDS, at=txn)
        check_searches(store, txn, name, held)
        for id_ in IDS:
            document = store.get(name, id_, at=txn)
            assert (document and document.fields) == held.get(id_)
            assert len(store.cells(name, id_, at=txn)) == len(held.get(id_, ()))
            assert store.conflicts(name, id_, at=txn) == {}
    assert store.collections(at=txn) == tuple(name for name, held in documents.items() if held)
    digests = [store.document_digest(name, id_, at=txn) for name, held in documents.items() for id_ in held]
    total = sum(int.from_bytes(digest, "little") for digest in digests) % 2**128
    assert store.digest(at=txn) == total.to_bytes(16, "little")


def check_searches(store: Store, txn: int, name: str, held: dict[Any, dict[str, Any]]) -> None:
    """A search gives what matched at that txn id, whatever indexes there were then and are now."""
    for field in FIELDS:
        values = sorted(each[field] for each in held.values() if field in each)
        found = store.find(name, f"{field} > 0", order=[field], at=txn)
        assert [document.fields[field] for document in found.documents] == values
        counted = store.count(name, f"{field} > 0", at=txn)
        assert (counted.txn, counted.count) == (txn, len(values))


def check_refused(store: Store, txn: int, readable: list[int]) -> None:
    """A version that is not kept is refused, with the nearest and the oldest of those that are."""
    with pytest.raises(VersionNotRetained) as refused:
        store.find("a", "true", at=txn)
    told = refused.value.data
    assert (told["asked"], told["oldest"]) == (txn, readable[0])
    assert told["nearest"] in readable
    assert abs(told["nearest"] - txn) == min(abs(other - txn) for other in readable)
