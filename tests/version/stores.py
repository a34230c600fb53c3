"""Stores for these tests: on LMDB, in memory and through the plain loops, all with one clock that stands still.

Rules: what a store is compared by is `facts` (all that must be equal on stores that applied the same transactions)
and `log` (its own line of transactions, byte by byte).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crdtstore import core
from crdtstore.command.execute import execute
from crdtstore.crdt.actor import make_actor
from crdtstore.storage.catalog import Catalog, Collection
from crdtstore.storage.head import Head
from crdtstore.storage.identity import give_identity
from crdtstore.storage.interface import Batch, Storage
from crdtstore.store import Store
from crdtstore.version.transaction import Sequenced, sequence
from crdtstore.version.writer import Inline

NOW = 1_700_000_000_000
"""What every clock here says."""

KINDS = ("lmdb", "memory")

Run = Callable[[Batch, Catalog, Head], Any]


def now() -> int:
    """A clock that stands still: timestamps increase all the same."""
    return NOW


def origin_of(number: int) -> bytes:
    """The origin, and the actor, of the store of a number."""
    return make_actor(number, 1)


def open_store(kind: str, path: Path, *, clock: Callable[[], int] = now) -> Store:
    """Open a store of a kind; the caller closes it."""
    if kind == "memory":
        return Store.in_memory(clock=clock)
    return Store.open(path, durability="none", clock=clock)


def store_on(storage: Storage, number: int = 1) -> Store:
    """A store over a storage that was made here; each write commits in the caller's thread."""
    give_identity(storage, origin_of(number))
    return Store(storage, Inline, now)


def job_of(commands: Any, actor: bytes | None = None) -> Run:
    """A job for the sequencer that runs commands as one transaction."""

    def run(batch: Batch, catalog: Catalog, head: Head) -> Sequenced:
        author = actor or head.origin
        return sequence(batch, catalog, head, author, partial(execute, commands), clock_milliseconds=NOW, after=None)

    return run


@contextmanager
def plain_loops() -> Iterator[None]:
    """Deliver and merge through the plain loops, whatever core was loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core, "Batch", None)
        patch.setattr(core, "apply_changes", None)
        yield


def log(store: Store) -> list[bytes]:
    """A store's records in its own order."""
    return [entry.record for entry in store.changes()]


class Names(NamedTuple):
    """What a catalog and a head hold, in a form that can be compared."""

    collections: list[tuple[str, int, int, int, list[bytes], int, object]]
    replicas: list[bytes]
    saved_replicas: int
    txn: int
    greatest: int
    vector: object
    authors: object


def names(catalog: Catalog, head: Head) -> Names:
    """All that a sequencer keeps in memory."""
    return Names(
        [
            (known.name, known.documents, known.buried, known.digest, list(known.paths.texts), *saved_of(known))
            for known in catalog.collections
        ],
        list(catalog.replicas.texts),
        catalog.saved_replicas,
        head.txn,
        head.greatest,
        dict(head.vector),
        {origin: dict(author) for origin, author in head.authors.items()},
    )


def saved_of(known: Collection) -> tuple[int, object]:
    """What of a collection is in its table."""
    return known.saved_paths, known.saved


def fresh(storage: Storage) -> Names:
    """The same, read from the storage."""
    with storage.snapshot() as snapshot:
        catalog = Catalog.load(snapshot)
        return names(catalog, Head.load(snapshot, catalog.replicas.origins))


def kept(store: Store) -> Names:
    """The same, as the running store has it."""
    return names(store.sequencer.catalog, store.sequencer.head)


def counts(store: Store) -> dict[str, tuple[int, int, int]]:
    """Documents, buried ones and digest of every collection that has any."""
    known = store.sequencer.catalog.collections
    return {each.name: (each.documents, each.buried, each.digest) for each in known if each.documents}


def facts(store: Store) -> tuple[object, ...]:
    """What is equal on stores that applied the same transactions."""
    found = {name: [(each.id, each.json) for each in store.find(name).documents] for name in store.collections()}
    vector = {origin: reached[:2] for origin, reached in store.sequencer.head.vector.items()}
    return store.digest(), counts(store), found, vector
