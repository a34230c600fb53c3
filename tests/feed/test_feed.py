"""What readers of a feed are told, however they read: everything, in order, each once, over cuts and resumptions.

Planted bugs: a ring that drops in silence, and a reader who comes back one transaction late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore import Remove, Store, Upsert, errors
from crdtstore.crdt.entry import encode_join
from crdtstore.feed import feed as feeding
from crdtstore.feed import past, reader, ring
from crdtstore.feed.event import REQUERY, Event
from crdtstore.feed.feed import Feed
from crdtstore.feed.filter import Filter, make_filter
from crdtstore.feed.reader import Reader
from crdtstore.query.legacy import parse
from tests.feed.feeds import HandPump, Told, drain, feed_of, naive, told
from tests.feed.worlds import World
from tests.replication.worlds import make, put

SEEDS = st.integers(0, 1 << 32)
STEPS = 25
QUERY = "x >= 1"


class Resuming:
    """A reader that comes back whenever it was cut, or feels like it."""

    def __init__(self, feed: Feed, filter_: Filter, random: Random) -> None:
        self.feed = feed
        self.filter = filter_
        self.random = random
        self.events: list[Event] = []
        self.txn = 0
        self.cuts = 0
        self.reader: Reader | None = None

    def read(self, most: int | None) -> None:
        """Read some."""
        if self.reader is None:
            self.reader = self.feed.open(self.filter, self.txn)
        try:
            self.events += drain(self.reader, most)
            self.txn = self.reader.txn
        except errors.FeedCut as error:
            self.cuts += 1
            self.txn = error.data["next"]
            self.leave()
        if self.random.random() < 0.2:
            self.leave()

    def leave(self) -> None:
        """Go away."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None


def same(found: list[Event], expected: list[Told]) -> bool:
    """Whether what was told is what is to be told; what is told by operations has no images to compare."""
    left = iter(expected)
    for event in found:
        if event.kind == REQUERY:
            left = iter([each for each in expected if each.txn > event.txn])
            continue
        each = next(left, None)
        while event.operations and each is not None and each[:3] != (event.txn, event.collection, event.id):
            # An operation without effect, or on what nobody sees, is told although nothing changed for readers.
            if each.txn >= event.txn:
                left, each = iter([each, *left]), Told(event.txn, event.collection, event.id, "", None, None)
            else:
                return False
        if each is None or each[:3] != (event.txn, event.collection, event.id):
            return bool(event.operations)
        if not event.operations and told(event) != each:
            return False
    return next(left, None) is None


def play(seed: int, bytes_max: int, filter_: Filter, query: str) -> tuple[bool, list[Resuming]]:
    """Play a history with readers of any speed; whether each was told what it is to be told."""
    world = World(seed)
    feed, pump = feed_of(world.a)
    readers = [Resuming(feed, filter_, world.random) for _ in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeding, "FEED_RING_BYTES_MAX", bytes_max)
        patch.setattr(ring, "LINES_PIECE_BYTES", 300)
        patch.setattr(past, "LINES_PIECE_BYTES", 300)
        for _ in range(STEPS):
            world.step()
            if world.random.random() < 0.7:
                pump.go()
            for each in readers:
                if world.random.random() < 0.4:
                    each.read(world.random.randint(1, 20))
        pump.go()
        for each in readers:
            while each.reader is None or each.txn < world.a.applied:
                each.read(None)
            each.leave()
    expected = list(naive(world.a, query))
    good = all(same(each.events, expected) for each in readers)
    assert not pump.listeners
    world.close()
    return good, readers


@given(SEEDS, st.sampled_from([5_000, 20_000, 10_000_000]))
@settings(max_examples=24)
def test_a_reader_that_resumes_is_told_everything(seed: int, bytes_max: int) -> None:
    assert play(seed, bytes_max, make_filter(None, None), "true")[0]


@given(SEEDS)
@settings(max_examples=12)
def test_a_filter_is_judged_on_both_images(seed: int) -> None:
    assert play(seed, 10_000_000, make_filter(None, parse(QUERY)), QUERY)[0]


def test_slow_readers_are_cut_at_all() -> None:
    assert sum(each.cuts for seed in range(10) for each in play(seed, 5_000, make_filter(None, None), "true")[1]) > 10


def drop_in_silence(patch: pytest.MonkeyPatch) -> None:
    """A reader that fell out goes on with the oldest that is there."""
    take = Reader.take

    def silent(self: Reader) -> Any:
        if self.number is not None:
            self.number = max(self.number, self.ring.first)
        return take(self)

    patch.setattr(Reader, "take", silent)


def come_late(patch: pytest.MonkeyPatch) -> None:
    """A reader that comes back misses a transaction."""
    read_past = past.read_past
    patch.setattr(reader, "read_past", lambda store, asked, since, until: read_past(store, asked, since + 1, until))


@pytest.mark.parametrize("bug", [drop_in_silence, come_late])
def test_a_planted_bug_is_found(bug: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        assert not all(play(seed, 5_000, make_filter(None, None), "true")[0] for seed in range(20))


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with make(1) as store:
        yield store


def opened(store: Store, *given: Any, **named: Any) -> tuple[HandPump, Reader]:
    feed, pump = feed_of(store)
    return pump, feed.open(*given, **named)


def test_a_retained_version_gives_images_of_the_past(store: Store) -> None:
    put(store, 1, "c", n=1)
    with ExitStack() as stack:
        stack.enter_context(store.pin())
        put(store, 1, "c", n=2)
        put(store, 1, "c", n=3)
        _, late = opened(store, make_filter(None, None), 2)
        assert [told(event) for event in drain(late)] == [Told(3, "c", 1, "update", {"n": 2}, {"n": 3})]


def test_without_images_a_condition_cannot_be_judged(store: Store) -> None:
    put(store, 1, "c", n=1)
    pump, late = opened(store, make_filter(["c"], parse("n == 1")), 0)
    put(store, 1, "c", n=2)
    pump.go()
    first, second = drain(late)
    assert (first.kind, first.txn) == (REQUERY, 1)
    assert told(second) == Told(2, "c", 1, "remove", {"n": 1}, None)


def test_a_reader_begins_behind_what_is_applied_when_it_comes(store: Store) -> None:
    put(store, 1)
    pump, read = opened(store, make_filter(None, None))
    put(store, 2)
    pump.go()
    assert [event.id for event in drain(read)] == [2]
    assert read.txn == 2


def test_equal_filters_share_a_ring(store: Store) -> None:
    feed, _ = feed_of(store)
    readers = [feed.open(make_filter(names, parse("n==1"))) for names in (["c", "d"], ["d", "c"], ["c"])]
    assert readers[0].ring is readers[1].ring
    assert readers[0].ring is not readers[2].ring
    for each in readers:
        each.close()
        each.close()
    assert feed.rings is None


def test_filters_have_a_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "FEED_FILTERS_MAX", 1)
    feed, pump = feed_of(store)
    first = feed.open(make_filter(None, None))
    with pytest.raises(errors.Overloaded, match="filters"):
        feed.open(make_filter(["c"], None))
    first.close()
    assert not pump.listeners


def test_what_cannot_be_read_is_refused(store: Store) -> None:
    for number in range(3):
        put(store, number)
    store.trim(2)
    feed, pump = feed_of(store)
    with pytest.raises(errors.LogTrimmed) as trimmed:
        feed.open(make_filter(None, None), 1)
    assert (trimmed.value.data["asked"], trimmed.value.data["first"]) == (1, 3)
    with pytest.raises(errors.VersionNotAvailable):
        feed.open(make_filter(None, None), 9)
    assert not pump.listeners


def test_a_join_and_a_round_that_is_too_large_ask_for_a_new_reading(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pump, read = opened(store, make_filter(None, None))
    monkeypatch.setattr(feeding, "FEED_ROUND_BYTES_MAX", 10)
    put(store, 1, n=1)
    pump.go()
    monkeypatch.undo()
    put(store, 1, n=2)
    pump.go()
    first, second = drain(read)
    assert (first.kind, first.txn) == (REQUERY, 1)
    assert first.json == b'{"txnId":1,"txnID":1,"type":"requeryRequired","documents":[]}'
    assert told(second) == Told(2, "a", 1, "update", {"n": 1}, {"n": 2})
    monkeypatch.setattr("crdtstore.feed.pump.Round.entries", lambda heard: iter([(3, encode_join({}, []))]))
    monkeypatch.setattr(feeding.Rings, "tell", lambda self, rings, entry, catalog: self.replay.apply(entry[1]))
    put(store, 2)
    pump.go()
    assert [event.kind for event in drain(read)] == [REQUERY]


def test_a_transaction_larger_than_a_ring_asks_for_a_new_reading(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "FEED_RING_BYTES_MAX", 3_000)
    pump, read = opened(store, make_filter(None, None))
    put(store, 0)
    store.write([Upsert("a", {"n": 1}, id=number) for number in range(20)])
    put(store, 1, n=2)
    pump.go()
    assert [(event.txn, event.kind == REQUERY) for event in drain(read)] == [(1, False), (2, True), (3, False)]


# --- Store.events ---


def test_a_store_tells_its_events(store: Store) -> None:
    with store.events(collections=["c"]) as events:
        store.write([Upsert("c", {"n": 1}, id=1), Upsert("c", {"n": 1}, id=2), Upsert("d", {}, id=1)])
        store.write([Remove("c", "_id == 1")])
        found = [(next(events).method, events.txn) for _ in range(3)]
    assert found == [("upsert", 0), ("upsert", 1), ("remove", 2)]


def test_a_store_that_another_process_writes_tells_nothing(tmp_path: Path) -> None:
    Store.open(tmp_path / "store").close()
    with Store.open(tmp_path / "store", read_only=True) as store:
        for _ in range(2):
            with pytest.raises(errors.StoreReadOnly):
                store.events()


def test_events_end_with_the_store_and_with_time(store: Store) -> None:
    with store.events(seconds=0) as events:
        assert list(events) == []
    events = store.events()
    put(store, 1)
    first = next(events)
    store.close()
    assert (first.id, list(events)) == (1, [])
    with pytest.raises(errors.StoreClosed):
        store.events()
