"""How far a log may be trimmed: held to a definition that looks at every entry, and the thread that does it.

Rules: the clock is a number. Logs are made of own writes, merged records and joins at times that hypothesis chooses.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from crdtstore import Store, Upsert, errors, limits
from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.entry import is_join, is_record
from crdtstore.crdt.record import decode_record
from crdtstore.crdt.timestamp import to_milliseconds
from crdtstore.replication import retention
from crdtstore.replication.local import sync
from crdtstore.replication.retention import Policy, made_ms, trim_log, trim_until, trimming
from crdtstore.storage.interface import Batch
from crdtstore.storage.log import last_txn, read_entries
from crdtstore.storage.peers import Peer, put_peer

START = 1_700_000_000_000
SECONDS_MAX = 60.0


class Clock:
    """Milliseconds that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[Store]:
    with Store.in_memory(clock=clock) as store:
        yield store


def fill(store: Store, clock: Clock, steps: Sequence[int]) -> None:
    """Write a transaction after each of some pauses in milliseconds."""
    for step in steps:
        clock.now += step
        store.write([Upsert("c", {"n": clock.now}, id=1)])


def know(store: Store, *peers: Peer) -> None:
    def run(batch: Batch, _catalog: object, _head: object) -> None:
        for peer in peers:
            put_peer(batch, peer)

    store.run(run)


def until(store: Store, policy: Policy, now: int) -> int:
    with store.storage.snapshot() as snapshot:
        return trim_until(snapshot, policy, now)


def may_go(store: Store, policy: Policy, now: int, peers: Sequence[Peer]) -> int:
    """The definition: the longest beginning of the log of which every entry may go."""
    with store.storage.snapshot() as snapshot:
        entries = list(read_entries(snapshot, 0))
    newest = entries[-1].txn if entries else 0
    last = entries[0].txn - 1 if entries else -1
    for aged in range(len(entries) + 1):
        old = policy.keep_seconds is not None and all(
            now - decode_record(entry.record).timestamp // 65_536 > policy.keep_seconds * 1_000
            for entry in entries[:aged]
        )
        surplus = policy.keep_transactions is not None and aged <= len(entries) - policy.keep_transactions
        waited_for = any(
            now - peer.met <= policy.gone_seconds * 1_000 and entry.txn > peer.acknowledged
            for peer in peers
            for entry in entries[:aged]
        )
        if (old or surplus) and not waited_for and aged and entries[aged - 1].txn < newest:
            last = max(last, entries[aged - 1].txn)
    return last


STEPS = st.lists(st.sampled_from([0, 1, 1_000, 2_000, 5_000]), max_size=12)
POLICIES = st.builds(
    Policy,
    st.none() | st.integers(0, 30).map(float),
    st.none() | st.integers(0, 14),
    st.integers(0, 30).map(float),
)
PEERS = st.lists(st.tuples(st.integers(-40_000, 0), st.integers(0, 14)), max_size=3)


WORLDS = st.tuples(STEPS, STEPS, POLICIES, PEERS)
World = tuple[list[int], list[int], Policy, list[tuple[int, int]]]


def is_right(world: World) -> bool:
    """Whether what goes is what the definition says: before the log is trimmed, by trimming it, and after that."""
    own, merged, policy, rows = world
    clock = Clock()
    with Store.in_memory(clock=clock) as store, Store.in_memory(clock=clock) as other:
        fill(other, clock, merged[: len(merged) // 2])
        fill(store, clock, own)
        fill(other, clock, merged[len(merged) // 2 :])
        store.apply(entry.record for entry in other.changes())
        peers = [Peer(make_actor(9, number), clock.now + met, ack) for number, (met, ack) in enumerate(rows)]
        know(store, *peers)
        expected = may_go(store, policy, clock.now, peers)
        first, told = store.stats().oldest, until(store, policy, clock.now)
        forgotten = trim_log(store, policy)
        left = until(store, policy, clock.now)
        return (told, forgotten, left) == (expected, max(0, expected + 1 - first), max(expected, first + forgotten - 1))


@given(WORLDS)
def test_what_goes_is_what_the_definition_says(world: World) -> None:
    assert is_right(world)


@pytest.mark.parametrize(
    ("place", "bug"),
    [
        ("acknowledged", lambda *_: iter(())),
        ("last_older", lambda _snapshot, _first, last, _before_ms: last),
        ("made_ms", lambda _data: START),
        ("last_txn", lambda snapshot: last_txn(snapshot) + 1),
        ("to_milliseconds", lambda timestamp: to_milliseconds(timestamp) + 1),
    ],
)
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, place: str, bug: object) -> None:
    monkeypatch.setattr(retention, place, bug)
    unshrunk = settings(max_examples=2_000, database=None, phases=[Phase.generate])
    find(WORLDS, lambda world: not is_right(world), settings=unshrunk)


@given(STEPS, STEPS, POLICIES)
def test_a_trimmed_store_holds_what_it_held_and_its_peers_get_it(
    before: list[int], after: list[int], policy: Policy
) -> None:
    clock = Clock()
    with Store.in_memory(clock=clock) as store, Store.in_memory(clock=clock) as other:
        fill(store, clock, before)
        sync(store, other)
        fill(store, clock, after)
        digest = store.digest()
        trim_log(store, policy._replace(gone_seconds=-1.0))
        assert store.digest() == digest
        sync(other, store)
        assert other.digest() == digest


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), 0),
        (Policy(keep_transactions=10), 0),
        (Policy(keep_transactions=3), 7),
        (Policy(keep_transactions=0), 9),
        (Policy(keep_seconds=0.0), 9),
        (Policy(keep_seconds=5.0), 4),
        (Policy(keep_seconds=5.0, keep_transactions=2), 8),
        (Policy(keep_seconds=2.0, keep_transactions=9), 7),
    ],
)
def test_ten_transactions_a_second_apart(store: Store, clock: Clock, policy: Policy, expected: int) -> None:
    fill(store, clock, [1_000] * 10)
    assert until(store, policy, clock.now) == expected


def test_an_empty_log_has_nothing_that_goes(store: Store) -> None:
    assert until(store, Policy(0.0, 0), START) < store.stats().oldest
    assert trim_log(store, Policy(0.0, 0)) == 0


def test_entries_wait_for_a_peer_until_it_is_gone(store: Store, clock: Clock) -> None:
    fill(store, clock, [1_000] * 10)
    policy = Policy(keep_transactions=1, gone_seconds=100.0)
    know(store, Peer(make_actor(2, 1), clock.now, 4), Peer(make_actor(3, 1), clock.now, 6))
    assert until(store, policy, clock.now) == 4
    assert until(store, policy, clock.now + 100_000) == 4
    assert until(store, policy, clock.now + 100_001) == 9


def test_an_old_entry_behind_a_young_one_stays_with_it(store: Store, clock: Clock) -> None:
    """Records of others keep the time at which they were made, so a log is not in the order of its ages."""
    with Store.in_memory(clock=clock) as other:
        fill(other, clock, [0])
        clock.now += 100_000
        fill(store, clock, [0])
        store.apply(entry.record for entry in other.changes())
    fill(store, clock, [1_000])
    assert until(store, Policy(keep_seconds=50.0), clock.now) == 0
    assert until(store, Policy(keep_seconds=0.5), clock.now) == 2


def test_the_age_of_every_kind_of_entry_is_read(store: Store, clock: Clock) -> None:
    with Store.in_memory(clock=clock) as other, Store.in_memory(clock=clock, scope=["d"]) as narrow:
        fill(other, clock, [1_000] * 4)
        clock.now += 1_000
        other.write([Upsert("d", {"n": 1}, id=1)])
        sync(narrow, other)
        other.trim(3)
        sync(store, other)
        [advance, cut], [join] = narrow.changes(), store.changes()
    assert not is_record(advance.record)
    assert is_record(cut.record)
    assert is_join(join.record)
    assert [made_ms(entry.record) for entry in (advance, cut, join)] == [START + 4_000, START + 5_000, START + 5_000]


def test_a_server_trims_at_once_and_again(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trims = threading.Semaphore(0)
    trim = store.trim

    def counted(until: int) -> int:
        done = trim(until)
        trims.release()
        return done

    monkeypatch.setattr(store, "trim", counted)
    monkeypatch.setattr(limits, "TRIM_SECONDS", 0.001)
    fill(store, clock, [1_000] * 10)
    with caplog.at_level(logging.INFO), trimming(store, Policy(keep_transactions=2)):
        assert trims.acquire(timeout=SECONDS_MAX)
        assert trims.acquire(timeout=SECONDS_MAX)
    assert store.stats().oldest == 9
    assert "8 log entries were trimmed" in caplog.text
    assert not [thread for thread in threading.enumerate() if thread.name == "crdtstore-trim"]


def test_a_failure_is_told_and_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = threading.Semaphore(0)

    def fail(_: int) -> int:
        tries.release()
        raise errors.StoreFull("The disk is full.")

    monkeypatch.setattr(store, "trim", fail)
    monkeypatch.setattr(limits, "TRIM_SECONDS", 0.001)
    with trimming(store, Policy(keep_transactions=2)):
        assert tries.acquire(timeout=SECONDS_MAX)
        assert tries.acquire(timeout=SECONDS_MAX)
    assert "The disk is full." in caplog.text
