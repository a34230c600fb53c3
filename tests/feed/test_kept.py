"""Images that are kept with their transactions: what the past tells from them, and that they go with the log.

Planted bugs: as for images.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Store, Upsert, errors
from crdtstore.feed.event import REQUERY, Event
from crdtstore.feed.filter import make_filter
from crdtstore.query.legacy import parse
from crdtstore.storage.images import ChangeImages
from crdtstore.storage.stored_format import FORMAT_KEY, WITH_IMAGES
from crdtstore.storage.tables import Table
from crdtstore.storage.verify import verify_storage
from tests.feed.feeds import drain, feed_of, naive, told
from tests.feed.test_images import forget_authors, forget_documents
from tests.feed.worlds import COLLECTIONS, World
from tests.replication.worlds import make, put

SEEDS = st.integers(0, 1 << 32)
STEPS = 15


def past(store: Store, query: str = "true") -> list[Event]:
    """All that the log tells."""
    feed, _ = feed_of(store)
    filter_ = make_filter(None, parse(query))
    reader = feed.open(filter_, 0)
    found = drain(reader)
    reader.close()
    return found


def played(seed: int, query: str = "true") -> bool:
    """Play a history, and say whether the past is told as it was."""
    world = World(seed)
    for name in COLLECTIONS:
        world.a.change_images.set(name, "both")
    for _ in range(STEPS):
        world.step()
    same = [told(event) for event in past(world.a, query)] == list(naive(world.a, query))
    whole = list(verify_storage(world.a.storage)) == []
    world.close()
    return same and whole


@given(SEEDS, st.sampled_from(["true", "x >= 1"]))
@settings(max_examples=20)
def test_the_past_is_told_as_it_was(seed: int, query: str) -> None:
    assert played(seed, query)


@pytest.mark.parametrize("bug", [forget_documents, forget_authors])
def test_a_planted_bug_is_found(bug: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        assert not all(played(seed) for seed in range(30))


def changes(store: Store) -> list[dict[str, object]]:
    return [json.loads(event.json)["change"] for event in past(store)]


def test_new_images_leave_out_what_was_before() -> None:
    with make(1) as store:
        store.change_images.set("c", "new")
        put(store, 1, "c", n=1)
        put(store, 1, "c", n=2)
        store.write([Remove("c", "true")])
        assert changes(store) == [
            {"method": "upsert", "oldValue": None, "newValue": {"_id": 1, "n": 1}},
            {"method": "update", "newValue": {"_id": 1, "n": 2}},
            {"method": "remove", "id": 1},
        ]
        assert [event.kind for event in past(store, "n == 1")][1:] == [REQUERY]


def test_images_begin_and_end_with_the_setting() -> None:
    with make(1) as store:
        put(store, 1, "c", n=1)
        assert store.sequencer.before_save is None
        store.change_images.set("c", "both")
        put(store, 1, "c", n=2)
        put(store, 1, "d", n=2)
        assert store.change_images.all() == {"c": "both"}
        store.change_images.set("c", "none")
        put(store, 1, "c", n=3)
        assert store.sequencer.before_save is None
        assert ["operations" in change for change in changes(store)] == [True, False, True, True]


def test_images_go_with_the_log() -> None:
    with make(1) as store:
        store.change_images.set("c", "both")
        for n in range(4):
            put(store, 1, "c", n=n)
        store.trim(2)
        with store.storage.snapshot() as snapshot:
            assert [int.from_bytes(key[:8], "big") for key, _ in snapshot.scan(Table.IMAGES)] == [3, 4]
        assert list(verify_storage(store.storage)) == []


def test_a_group_that_fails_leaves_no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    with make(1) as store:
        store.change_images.set("c", "both")
        put(store, 1, "c", n=1)
        with monkeypatch.context() as patch:
            patch.setattr(store.sequencer.head.__class__, "save", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                put(store, 1, "c", n=2)
        put(store, 1, "c", n=3)
        assert changes(store)[-1]["oldValue"] == {"_id": 1, "n": 1}


def test_the_setting_is_checked() -> None:
    with make(1) as store:
        with pytest.raises(errors.InvalidValue, match="none, new, both"):
            store.change_images.set("c", "old")  # type: ignore[arg-type]  # what is wrong
        with pytest.raises(errors.InvalidDocument):
            store.change_images.set("", "both")


@pytest.mark.parametrize("images", ["none", "new", "both"])
def test_a_store_says_in_its_format_that_it_keeps_images(tmp_path: Path, images: ChangeImages) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        store.change_images.set("c", images)
        with store.storage.snapshot() as snapshot:
            record = snapshot.get(Table.META, FORMAT_KEY)
            assert (msgpack.unpackb(record or b"")["format"] == WITH_IMAGES) == (images != "none")
    with Store.open(tmp_path / "store", durability="none") as store:
        store.write([Upsert("c", {"n": 1}, id=1)])
        assert ("newValue" in changes(store)[0]) == (images != "none")
