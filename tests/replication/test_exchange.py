"""The exchange of two and more stores: what moves, in which order, and what stops it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from crdtstore.command.command import Increment, Remove, Set, Update, Upsert
from crdtstore.errors import Divergence, LogTrimmed, OutsideScope, Quarantined, RecordAhead, ReplicationError
from crdtstore.replication.exchange import Options, Report
from crdtstore.replication.local import sync
from crdtstore.replication.peers import release
from crdtstore.storage.log import first_txn
from crdtstore.storage.memory import MemoryStorage
from crdtstore.storage.peers import read_peer
from crdtstore.store import Store
from tests.replication.worlds import NOW, Ticking, assert_equal, has, make, origin_of, put, rows, state


def test_both_ways() -> None:
    left, right = make(1), make(2)
    for id_ in range(20):
        put(left, id_, x=id_)
        put(right, id_, y=id_, collection="b")
    report = sync(left, right)
    assert (report.pulled, report.pushed, report.joined, report.equal) == (20, 20, 0, False)
    assert_equal(left, right)


def test_equal_stores_say_so_in_a_hundred_bytes() -> None:
    left, right = make(1), make(2)
    put(left, 1, x=1)
    put(right, 1, x=2)
    sync(left, right)
    report = sync(right, left)
    assert report.equal
    assert report.requests == 1
    assert report.sent + report.received <= 100


def test_a_relay_passes_on_what_it_was_given() -> None:
    left, middle, right = make(1), make(2), make(3)
    put(left, 1, x=1)
    sync(middle, left)
    put(middle, 1, x=2)
    sync(right, middle)
    assert_equal(middle, right)
    assert right.get("a", 1).fields == {"x": 2}  # type: ignore[union-attr]


@pytest.mark.parametrize("pull", [True, False])
def test_one_way(pull: bool) -> None:  # noqa: FBT001
    left, right = make(1), make(2)
    put(left, 1, x=1)
    put(right, 2, x=2)
    report = sync(left, right, Options(pull=pull, push=not pull))
    assert (report.pulled, report.pushed) == (int(pull), int(not pull))
    assert (has(left, 2), has(right, 1)) == (pull, not pull)


def test_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.replication.exchange.FRAME_BYTES_TARGET", 300)
    monkeypatch.setattr("crdtstore.replication.missing.missing.__defaults__", (300,))
    left, right = make(1), make(2)
    for id_ in range(40):
        put(left, id_, x="text" * 5)
        put(right, -id_ - 1, x="text" * 5)
    report = sync(left, right)
    assert (report.pulled, report.pushed) == (40, 40)
    assert report.requests > 20
    assert_equal(left, right)


# --- snapshots ---


def trimmed_pair() -> tuple[Store, Store]:
    """Two stores that were equal; then both wrote, and the first has forgotten its log."""
    left, right = make(1), make(2)
    for id_ in range(100):
        put(left, id_, x=id_, n=1)
    sync(left, right)
    left.write([Update("a", "_id == 1", [Set("x", "left")]), Remove("a", "_id == 2")])
    put(left, 200, x=1)
    right.write([Update("a", "_id == 1", [Set("n", "right")])])
    right.write([Update("a", "_id == 3", [Increment("count", 2)])])
    put(right, 2, n="alive")
    left.trim(left.applied)
    return left, right


def test_a_snapshot_is_joined_when_the_log_was_trimmed() -> None:
    left, right = trimmed_pair()
    report = sync(right, left)
    assert report.joined == 3
    assert report.pushed == 3
    assert_equal(left, right)
    assert right.get("a", 1).fields == {"x": "left", "n": "right"}  # type: ignore[union-attr]
    assert right.get("a", 2).fields == {"n": "alive"}  # type: ignore[union-attr]


def test_only_what_differs_is_sent() -> None:
    left, right = trimmed_pair()
    report = sync(right, left)
    assert report.received < 6_000  # a hundred documents take more than that


def test_a_join_is_an_entry_and_the_floor_rises() -> None:
    left, right = trimmed_pair()
    before = right.applied
    sync(right, left, Options(push=False))
    assert right.applied == before + 1
    third = make(3)
    put(third, 1, x="third")
    report = sync(third, right)
    assert report.joined > 90
    assert_equal(third, right)


def test_a_new_store_is_seeded_from_a_snapshot() -> None:
    left, _ = trimmed_pair()
    new = make(9)
    put(new, "own", x=1)
    report = sync(new, left)
    assert report.joined == 100
    assert report.pushed == 1
    assert_equal(left, new)


def test_who_lacks_what_was_trimmed_must_start() -> None:
    left, right = trimmed_pair()
    with pytest.raises(ReplicationError, match="let it start"):
        sync(left, right)
    sync(right, left)
    assert_equal(left, right)


def test_changes_say_that_the_log_was_trimmed() -> None:
    left, _ = trimmed_pair()
    with pytest.raises(LogTrimmed):
        list(left.changes())
    with left.storage.snapshot() as snapshot:
        assert first_txn(snapshot) == left.applied
    assert len(list(left.changes(since=left.applied - 1))) == 1


def test_digests_outlive_the_log() -> None:
    """A peer that was away while the log was trimmed and joined is compared all the same."""
    left, right = trimmed_pair()
    third = make(3)
    sync(third, right, Options(push=False))
    sync(right, left)
    right.trim(right.applied)
    sync(third, right)
    assert_equal(third, right)


# --- scopes ---


def test_a_scope_gets_its_collections_only() -> None:
    whole, part = make(1), make(2, ["a"])
    for id_ in range(10):
        whole.write([Upsert("a", {"x": id_}, id=id_), Upsert("b", {"x": id_}, id=id_)])
        put(whole, id_, collection="b", y=1)
    put(part, 100, x=1)
    report = sync(part, whole)
    assert set(part.collections()) == {"a"}
    assert {key for key in state(part) if key[0] == "a"} == {key for key in state(whole) if key[0] == "a"}
    assert report.pushed == 1
    assert [row[:3] for row in rows(part)] == [row[:3] for row in rows(whole)]
    assert sync(part, whole).equal
    assert sync(whole, part).equal


def test_a_scope_serves_itself_and_a_narrower_one() -> None:
    whole, middle, inner = make(1), make(2, ["a", "b"]), make(3, ["b"])
    for id_ in range(6):
        put(whole, id_, collection="abc"[id_ % 3], x=id_)
        put(middle, id_ + 10, collection="ab"[id_ % 2], x=id_)
        sync(middle, whole)
    sync(inner, middle)
    assert set(inner.collections()) == {"b"}
    put(inner, 50, collection="b", x=5)
    sync(inner, middle)
    sync(middle, whole)
    expected = {key: form for key, form in state(whole).items() if key[0] == "b"}
    assert state(inner) == expected
    assert len(expected) == 6


def test_a_whole_store_takes_from_a_scope_what_came_whole() -> None:
    """A gateway that holds one collection gives its own records to a second hub, and not what it has in part."""
    first, gateway, second = make(1), make(2, ["a"]), make(3)
    put(first, 1, x=1)
    first.write([Upsert("a", {"x": 1}, id=5), Upsert("b", {"x": 1}, id=5)])
    put(gateway, 2, x=2)
    sync(gateway, first)
    sync(second, gateway)
    assert has(second, 2)
    assert not has(second, 1)
    sync(second, first)
    assert_equal(first, second)


def test_a_removal_that_saw_more_than_the_scope_removes_what_it_saw() -> None:
    whole, part = make(1), make(2, ["a"])
    put(part, 1, x=1)
    sync(part, whole)
    put(whole, 1, collection="b", x=1)
    whole.write([Remove("a", "_id == 1")])
    sync(part, whole)
    assert part.collections() == ()
    put(part, 1, y=2)
    sync(part, whole)
    assert whole.get("a", 1).fields == {"y": 2}  # type: ignore[union-attr]


def test_a_scope_joins_a_snapshot_of_its_collections() -> None:
    whole, part = make(1), make(2, ["a"])
    for id_ in range(50):
        put(whole, id_, collection="ab"[id_ % 2], x=id_)
    put(part, 2, y="mine")
    whole.trim(whole.applied)
    report = sync(part, whole)
    assert report.joined == 25
    assert part.get("a", 2).fields == {"x": 2, "y": "mine"}  # type: ignore[union-attr]
    put(whole, 0, x="again")
    sync(part, whole)
    assert {key: form for key, form in state(whole).items() if key[0] == "a"} == state(part)


def test_a_scope_refuses_other_collections() -> None:
    part = make(2, ["a"])
    with pytest.raises(OutsideScope):
        put(part, 1, collection="b", x=1)
    assert part.applied == 0


# --- what stops an exchange ---


def copy_of(store: Store, clock_start: int = NOW) -> Store:
    """A store whose storage is a copy of another's: a restored backup that took no new epoch."""
    storage = MemoryStorage()
    batch = storage.batch()
    with store.storage.snapshot() as snapshot:
        for table in range(11):
            for key, value in snapshot.scan(table):
                batch.put(table, key, value)
    batch.commit()
    return Store.in_memory(clock=Ticking(clock_start), storage=storage)


def fork() -> tuple[Store, Store, Store]:
    """A store, its restored backup that went on writing, and a peer that knows the store."""
    store, peer = make(1), make(2)
    put(store, 1, x=1)
    backup = copy_of(store, NOW + 1_000)
    put(store, 1, x="lost")
    put(store, 2, x="lost")
    sync(peer, store)
    put(backup, 1, x="forked")
    put(backup, 3, x="forked")
    return store, backup, peer


@pytest.mark.parametrize("starts", ["peer", "backup"])
def test_a_fork_is_refused_and_the_peer_quarantined(starts: str) -> None:
    _, backup, peer = fork()
    first, second = (peer, backup) if starts == "peer" else (backup, peer)
    before = state(peer), state(backup)
    with pytest.raises(Divergence):
        sync(first, second)
    assert (state(peer), state(backup)) == before
    with pytest.raises(Quarantined):
        sync(first, second)
    with pytest.raises(Quarantined):
        sync(second, first)
    release(first, second.origin)
    with pytest.raises((Divergence, Quarantined)):
        sync(first, second)


def test_a_trimmed_fork_is_found_too() -> None:
    _, backup, peer = fork()
    peer.trim(peer.applied)
    with pytest.raises(Divergence):
        sync(backup, peer)


@pytest.mark.parametrize("starts", ["peer", "backup"])
def test_a_restored_store_takes_a_new_epoch_when_it_meets_who_knows_more(starts: str) -> None:
    store, peer = make(1), make(2)
    put(store, 1, x=1)
    backup = copy_of(store)
    put(store, 1, x=2)
    sync(peer, store)
    old = backup.origin
    first, second = (peer, backup) if starts == "peer" else (backup, peer)
    sync(first, second)
    assert backup.origin != old
    assert backup.origin[:8] == old[:8]
    sync(backup, peer)
    assert_equal(backup, peer)
    put(backup, 1, x=3)
    sync(peer, backup)
    assert_equal(backup, peer)
    assert peer.get("a", 1).fields == {"x": 3}  # type: ignore[union-attr]


def test_a_copy_is_told_that_it_is_one() -> None:
    store = make(1)
    put(store, 1, x=1)
    with pytest.raises(ReplicationError, match="own origin"):
        sync(copy_of(store), store)


def test_damage_is_found_where_vectors_are_equal() -> None:
    left, right = make(1), make(2)
    put(left, 1, x=1)
    sync(left, right)
    right.run(lambda _batch, catalog, _head: catalog.intern("a").count(0, b"\1" * 16))
    with pytest.raises(Divergence, match="hold different documents"):
        sync(left, right)


def test_a_clock_ahead_stops_the_exchange_before_the_record() -> None:
    left, right = make(1), make(2)
    put(left, 1, x=1)
    left.clock = Ticking(NOW + 3_600_000)
    put(left, 2, x=2)
    with pytest.raises(RecordAhead):
        sync(right, left)
    assert has(right, 1)
    assert not has(right, 2)
    right.clock = Ticking(NOW + 3_600_000)
    sync(right, left)
    assert_equal(left, right)


def test_how_far_a_peer_is_is_written_down() -> None:
    left, right = make(1), make(2)
    put(left, 1, x=1)
    put(left, 2, x=1)
    sync(left, right)
    with right.storage.snapshot() as snapshot:
        peer = read_peer(snapshot, origin_of(1))
    assert peer.met >= NOW
    right.clock = Ticking(NOW + 120_000)
    sync(left, right)
    with right.storage.snapshot() as snapshot:
        assert read_peer(snapshot, origin_of(1)).acknowledged == right.applied


def collect(store: Store) -> Any:
    """Everything that a store would tell."""
    return rows(store), state(store)


def test_a_conversation_may_end_anywhere() -> None:
    """Whichever answer is lost, the next conversation makes the stores equal."""
    for length in range(1, 12):
        left, right = trimmed_pair()
        from crdtstore.replication.answer import answer
        from crdtstore.replication.exchange import exchange
        from crdtstore.replication.pins import Pins

        talk, pins = exchange(right), Pins()
        request = next(talk)
        try:
            for _ in range(length):
                given = answer(left, request, pins)
                assert isinstance(given, bytes)
                request = talk.send(given)
        except StopIteration:
            pass
        talk.close()
        sync(right, left)
        assert_equal(left, right)


def sent(talk: Generator[bytes, bytes, Report], given: bytes) -> bytes | None:
    """The next request of a conversation; None at its end."""
    try:
        return talk.send(given)
    except StopIteration:
        return None


def test_a_record_that_comes_during_a_join_is_compared_again() -> None:
    """A third store gives a record that the snapshot covers and whose write was removed there: it must not stay."""
    from crdtstore.replication.answer import answer
    from crdtstore.replication.exchange import exchange
    from crdtstore.replication.message import Fetch, decode_request
    from crdtstore.replication.pins import Pins

    giver, taker, third = make(1), make(2), make(3)
    put(third, "gone", x=1)
    written = [entry.record for entry in third.changes()]
    third.write([Remove("a", "_id == 'gone'")])
    sync(giver, third)
    for id_ in range(30):
        put(giver, id_, y=id_, collection="b")
    giver.trim(giver.applied)
    talk, pins, fetched = exchange(taker), Pins(), 0
    request: bytes | None = next(talk)
    while request is not None:
        if isinstance(decode_request(request), Fetch):
            fetched += 1
            taker.apply(written)
        given = answer(giver, request, pins)
        assert isinstance(given, bytes)
        request = sent(talk, given)
    assert fetched == 2
    assert not has(taker, "gone")
    assert_equal(giver, taker)
