"""Images are what the store really held: against a store that applies the same log one transaction at a time.

Planted bugs: images that forget the transaction before, and those that forget what an author had seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import core
from crdtstore.crdt.document import DIGEST_BYTES
from crdtstore.crdt.identifier import decode_id
from crdtstore.feed.images import Coverage, Joined, Replay
from crdtstore.storage.documents import get_document
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.log import read_entries
from crdtstore.store import Store
from tests.feed.worlds import World
from tests.replication.worlds import make

SEEDS = st.integers(0, 1 << 32)
STEPS = 12


def digest_of(store: Store, collection: str, encoded_id: bytes, document: bytes) -> bytes:
    """The digest of document bytes with a store's names."""
    catalog = store.sequencer.catalog
    key = core.digest_key(collection, encoded_id)
    digest: bytes = core.document_digest(document, catalog.by_name[collection].paths, catalog.replicas, key)
    return digest if document else bytes(DIGEST_BYTES)


def differences(store: Store, mirror: Store, replay: Replay, before: Snapshot) -> Iterator[str]:
    """Replay what came since a snapshot, and say where an image is not what was held then."""
    replay.begin(before, store.sequencer.catalog)
    with store.storage.snapshot() as after:
        for entry in read_entries(after, mirror.applied):
            touched = replay.apply(entry.record)
            for each in touched:
                name, id_ = each.collection.name, decode_id(each.id)
                if digest_of(store, name, each.id, each.before) != mirror.document_digest(name, id_):
                    yield f"{entry.txn}: before {id_}"
            changed = mirror.digest()
            mirror.apply([entry.record])
            if not touched and mirror.digest() != changed:
                yield f"{entry.txn}: nothing"
            for each in touched:
                name, id_ = each.collection.name, decode_id(each.id)
                if digest_of(store, name, each.id, each.after) != mirror.document_digest(name, id_):
                    yield f"{entry.txn}: after {id_}"
        for (number, id_), document in replay.known.items():
            if document != get_document(after, store.sequencer.catalog.collections[number], id_):
                yield f"{decode_id(id_)} in the end"


def played(seed: int, steps: int = STEPS) -> list[str]:
    """Play a history, and collect the differences."""
    world, mirror = World(seed), make(7)
    found: list[str] = []
    with world.a.storage.snapshot() as start:
        replay = Replay(start, world.a.sequencer.catalog)
    for _ in range(steps):
        with world.a.storage.snapshot() as before:
            for _ in range(world.random.randint(1, 3)):
                world.step()
            found += differences(world.a, mirror, replay, before)
    world.close()
    mirror.close()
    return found


@given(SEEDS)
@settings(max_examples=40)
def test_images_are_what_the_store_held_after_every_transaction(seed: int) -> None:
    assert played(seed) == []


@given(SEEDS)
@settings(max_examples=10)
def test_a_replay_may_begin_anywhere(seed: int) -> None:
    world, mirror = World(seed), make(7)
    for _ in range(STEPS):
        world.step()
    mirror.apply([entry.record for entry in world.a.changes()])
    with world.a.storage.snapshot() as before:
        replay = Replay(before, world.a.sequencer.catalog)
        for _ in range(STEPS):
            world.step()
        assert list(differences(world.a, mirror, replay, before)) == []
    world.close()


def forget_documents(patch: pytest.MonkeyPatch) -> None:
    merge = Replay.merge

    def forgetful(self: Replay, *given: object) -> object:
        self.known.clear()
        return merge(self, *given)  # type: ignore[arg-type]  # what it was given

    patch.setattr(Replay, "merge", forgetful)


def forget_authors(patch: pytest.MonkeyPatch) -> None:
    of = Coverage.of
    patch.setattr(Coverage, "of", lambda self, origin, _, numbers: of(self, origin, {}, numbers))


@contextmanager
def planted(bug: Callable[[pytest.MonkeyPatch], None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        yield


@pytest.mark.parametrize("bug", [forget_documents, forget_authors])
def test_a_planted_bug_is_found(bug: Callable[[pytest.MonkeyPatch], None]) -> None:
    with planted(bug):
        assert any(played(seed, steps=20) for seed in range(30))


def test_a_joined_snapshot_cannot_be_replayed() -> None:
    from crdtstore.crdt.entry import encode_join

    store = make(1)
    with store.storage.snapshot() as snapshot:
        replay = Replay(snapshot, store.sequencer.catalog)
        with pytest.raises(Joined):
            replay.apply(encode_join({}, []))
