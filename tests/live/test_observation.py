"""Observers: how they wait, what they are told and when it ends; with the real pump and its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from crdtstore import Change, Observation, Remove, Store, Upsert, limits
from crdtstore.errors import LimitExceeded, Overloaded, StatementTimeout, StoreClosed, StoreError, StoreReadOnly
from crdtstore.live import follow
from crdtstore.live import query as live_query
from crdtstore.live.difference import Difference, Placed, apply
from crdtstore.live.observation import wake_on
from crdtstore.live.query import LiveQuery
from crdtstore.query.find import Document

SECONDS = 120.0
"""So long nothing here takes, unless it never comes."""


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory() as store:
        write(store, *((number, number % 3) for number in range(6)))
        yield store


def write(store: Store, *values: tuple[int, Any]) -> int:
    return store.write([Upsert("things", {"a": value}, id=number) for number, value in values]).txn


def ids(change: Change | None) -> list[Any]:
    assert change is not None
    return [row.id for row in change.rows]


def counted(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> list[Any]:
    """The arguments of each call of a function from now on."""
    calls: list[Any] = []
    original: Callable[..., Any] = getattr(place, name)

    def count(*given: Any, **named: Any) -> Any:
        calls.append(given)
        return original(*given, **named)

    monkeypatch.setattr(place, name, count)
    return calls


# --- what is told ---


def test_all_rows_come_first_and_then_what_changes(store: Store) -> None:
    with store.observe("things", "a > 0", order=["-a"], limit=3) as things:
        first = next(things)
        assert (first.txn, first.difference, ids(first)) == (1, None, [2, 5, 1])
        txn = write(store, (0, 7))
        second = things.next(SECONDS)
        assert second is not None
        assert (second.txn, ids(second)) == (txn, [0, 2, 5])
        assert second.difference == Difference((2,), (Placed(0, Document(0, b'{"a":7}')),))


def test_what_changes_nothing_that_is_shown_is_not_told(store: Store) -> None:
    with store.observe("things", "a > 0", fields=["a"], limit=2) as things:
        assert ids(things.take()) == [1, 2]
        store.write([Upsert("things", {"b": 1}, id=1), Upsert("things", {"a": 9}, id=5), Upsert("others", {}, id=1)])
        txn = write(store, (2, 5))
        change = things.next(SECONDS)
        assert change is not None
        assert change.difference == Difference(updates=(Placed(1, Document(2, b'{"a":5}')),))
        assert change.txn == txn
        assert things.take() is None


def test_who_looks_seldom_is_told_everything_at_once(store: Store) -> None:
    with store.observe("things", limit=2) as quick, store.observe("things", limit=2) as slow:
        rows = list(next(slow).rows)
        assert ids(next(quick)) == [0, 1]
        for number in range(20):
            write(store, (0, number + 10))
            assert quick.next(SECONDS) is not None
        store.write([Remove("things", "_id == 1")])
        assert quick.next(SECONDS) is not None
        change = slow.take()
        assert change is not None
        assert change.difference is not None
        assert apply(rows, change.difference) == list(store.find("things", limit=2).documents)
        assert slow.take() is None


def test_rows_that_are_again_what_they_were_are_not_told(store: Store) -> None:
    with store.observe("things", "a == 50") as quick, store.observe("things", "a == 50") as slow:
        assert ids(next(slow)) == ids(next(quick)) == []
        write(store, (0, 50))
        assert ids(quick.next(SECONDS)) == [0]
        write(store, (0, 1))
        assert ids(quick.next(SECONDS)) == []
        assert slow.take() is None


def test_a_collection_that_comes_later_is_observed_before(store: Store) -> None:
    with store.observe("later") as later:
        assert ids(next(later)) == []
        store.write([Upsert("later", {}, id=1)])
        assert ids(later.next(SECONDS)) == [1]


# --- waiting ---


def test_a_wait_ends_in_time(store: Store) -> None:
    with store.observe("things") as things:
        assert things.next(0) is not None
        assert things.next(0) is None
        assert things.next(0.01) is None


def test_an_observer_that_is_closed_waits_no_more(store: Store) -> None:
    with store.observe("things") as things:
        told: list[int] = []
        reader = Thread(target=lambda: told.extend(len(change.rows) for change in things))
        reader.start()
        write(store, (0, 77))
        things.close()
        reader.join(SECONDS)
        assert not reader.is_alive()
        assert told[:1] in ([], [6])
        assert list(things) == []


def test_the_last_change_is_told_when_the_store_closes() -> None:
    with Store.in_memory() as store:
        things = store.observe("things")
        assert ids(next(things)) == []
        write(store, (0, 1))
    assert [ids(change) for change in things] == [[0]]
    things.close()
    with pytest.raises(StoreClosed):
        store.observe("things")


def test_observers_wait_on_an_event_loop(store: Store) -> None:
    """Each is told of each write, since the next one comes when all have been told."""
    told: dict[int, list[int]] = {wanted: [] for wanted in (1, 2, 3)}

    async def observe(wanted: int) -> None:
        with store.observe("things", "a == 100") as things:
            async for change in things:
                told[wanted].append(len(change.rows))
                if len(change.rows) >= wanted:
                    return

    async def main() -> None:
        observers = [asyncio.create_task(observe(wanted)) for wanted in told]
        for number in range(3):
            while any(each[-1:] != [number] for wanted, each in told.items() if wanted >= number):  # noqa: ASYNC110
                await asyncio.sleep(0)
            await asyncio.to_thread(write, store, (number, 100))
        await asyncio.gather(*observers)

    asyncio.run(asyncio.wait_for(main(), SECONDS))
    assert told == {1: [0, 1], 2: [0, 1, 2], 3: [0, 1, 2, 3]}
    assert not store.live.queries


def test_iterating_on_an_event_loop_ends_with_the_observation(store: Store) -> None:
    async def main() -> list[Change]:
        things = store.observe("things")
        asyncio.get_running_loop().call_soon(things.close)
        return [change async for change in things]

    assert len(asyncio.run(asyncio.wait_for(main(), SECONDS))) == 1


def test_a_loop_that_was_closed_disturbs_nobody(store: Store) -> None:
    loop = asyncio.new_event_loop()
    woken = loop.create_future()
    loop.close()
    with store.observe("things") as gone, store.observe("things") as other:
        gone.listen(partial(wake_on, loop, woken))
        next(other)
        write(store, (0, 5))
        assert ids(other.next(SECONDS))


def test_a_wait_on_an_event_loop_can_be_given_up(store: Store) -> None:
    async def main() -> Change:
        with store.observe("things") as things:
            await anext(things)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(things), 0.01)
            write(store, (0, 5))
            return await anext(things)

    assert ids(asyncio.run(asyncio.wait_for(main(), SECONDS)))


# --- sharing ---


def test_equal_queries_are_run_and_judged_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    searches = counted(monkeypatch, live_query, "read_hits")
    judged = counted(monkeypatch, LiveQuery, "judge")
    read = counted(monkeypatch, live_query, "living_document")
    asked: dict[str, Any] = {"args": {"least": 1}, "order": ["a"], "limit": 3}
    observers = [store.observe("things", "a >= $args.least", **asked) for _ in range(50)]
    others = [store.observe("things", f"a >= {number}") for number in range(10)]
    assert len(store.live.queries) == 11
    assert len(searches) == 11
    assert [ids(each.take()) for each in observers] == [[1, 4, 2]] * 50
    for each in others:
        next(each)
    read.clear()
    write(store, (3, 1.5))
    changes = [each.next(SECONDS) for each in observers]
    assert len(set(map(id, changes))) == 1, "Everybody is told the same object."
    assert [ids(each.next(SECONDS)) for each in others[:2]] == [[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]
    assert (len(judged), len(searches), len(read)) == (11, 11, 1)
    for each in (*observers, *others):
        each.close()


@pytest.mark.parametrize(
    "other",
    [
        {"query": "a >= 1.0"},
        {"query": "a >= 1", "order": ["-a"]},
        {"query": "a >= 1", "limit": 999},
        {"query": "a >= 1", "offset": 1},
        {"query": "a >= 1", "fields": ["a"]},
        {"query": "a >= 1", "form": "types"},
        {"query": "a >= 1", "collection": "others"},
    ],
    ids=str,
)
def test_queries_that_differ_are_apart(store: Store, other: dict[str, Any]) -> None:
    with store.observe("things", "a >= 1"), store.observe(**{"collection": "things", **other}):
        assert len(store.live.queries) == 2


def test_nobody_listens_for_nobody(store: Store) -> None:
    one, two = store.observe("things"), store.observe("things", "a == 1")
    assert store.pump.thread is not None
    thread = store.pump.thread
    for each in (one, two, one):
        each.close()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert (store.live.queries, store.live.observations, store.live.rows) == ({}, 0, 0)
    with store.observe("things") as again:
        assert len(ids(next(again))) == 6
        write(store, (9, 9))
        assert len(ids(again.next(SECONDS))) == 7


# --- searching again ---


def test_a_window_is_filled_again_only_when_it_runs_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, *((number, 1) for number in range(300)))
    with store.observe("things", limit=5) as things:
        next(things)
        searches = counted(monkeypatch, live_query, "read_hits")
        for number in range(limits.LIVE_SLACK_ROWS):
            store.write([Remove("things", "_id == $args.id", args={"id": number})])
            assert ids(things.next(SECONDS))[0] == number + 1
        assert len(searches) == 0
        store.write([Remove("things", "_id == 100")])
        assert ids(things.next(SECONDS)) == [101, 102, 103, 104, 105]
        assert len(searches) == 1


def test_where_much_changes_the_query_is_run_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.observe("things") as things:
        next(things)
        judged = counted(monkeypatch, LiveQuery, "judge")
        write(store, *((number, 1) for number in range(live_query.JUDGED_MIN + 1)))
        assert len(ids(things.next(SECONDS))) == 1_000
        assert judged == []


# --- what breaks, and bounds ---


def test_a_first_search_that_takes_too_long_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LIVE_SEARCH_SECONDS_MAX", -1)
    with pytest.raises(StatementTimeout):
        store.observe("things")
    assert (store.live.queries, store.live.observations, store.live.rows) == ({}, 0, 0)


def test_a_query_that_breaks_ends_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.observe("things") as broken, store.observe("things", limit=2) as other:
        next(broken)
        next(other)
        original = LiveQuery.settle

        def settle(live: LiveQuery, *given: Any, **named: Any) -> bool:
            if live.asked.limit > 2:
                raise StatementTimeout("It took too long.")
            return original(live, *given, **named)

        monkeypatch.setattr(LiveQuery, "settle", settle)
        write(store, (0, 5))
        with pytest.raises(StatementTimeout):
            broken.next(SECONDS)
        assert broken.next(SECONDS) is None
        assert ids(other.next(SECONDS)) == [0, 1]
        monkeypatch.setattr(LiveQuery, "settle", original)
        with store.observe("things") as again:
            assert len(ids(next(again))) == 6
            write(store, (0, 6))
            assert len(ids(again.next(SECONDS))) == 6
    assert (store.live.queries, store.live.rows) == ({}, 0)


def test_what_breaks_the_round_ends_all_of_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_heard: object) -> None:
        raise ZeroDivisionError

    with store.observe("things") as one, store.observe("things", limit=2) as other:
        next(one)
        next(other)
        monkeypatch.setattr(follow, "touched_in", broken)
        write(store, (0, 5))
        for each in (one, other):
            with pytest.raises(StoreError, match="ZeroDivisionError"):
                each.next(SECONDS)
        monkeypatch.undo()
        with store.observe("things") as again:
            assert len(ids(next(again))) == 6
            write(store, (0, 6))
            assert len(ids(again.next(SECONDS))) == 6


@pytest.mark.parametrize(
    ("name", "maximum"), [("OBSERVATIONS_MAX", 2), ("LIVE_QUERIES_MAX", 1), ("LIVE_ROWS_MAX", 2_199)]
)
def test_no_more_is_observed_than_may_be(
    store: Store, name: str, maximum: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, name, maximum)
    with store.observe("things"), store.observe("things") as second:
        for _ in range(2):
            with pytest.raises(Overloaded) as refused:
                store.observe("things", "a == 1")
            assert refused.value.data["limit"] == name
        second.close()
        assert len(store.live.queries) == 1
    with store.observe("things", "a == 1") as other:
        assert ids(next(other)) == [1, 4]


def test_a_live_query_has_the_bounds_of_a_find(store: Store) -> None:
    with pytest.raises(LimitExceeded):
        store.observe("things", limit=limits.FIND_LIMIT_MAX + 1)


def test_a_store_that_another_process_writes_to_is_not_observed(tmp_path: Path) -> None:
    Store.open(tmp_path / "store").close()
    with Store.open(tmp_path / "store", read_only=True) as store:
        with pytest.raises(StoreReadOnly):
            store.observe("things")
        assert not store.live.queries


# --- threads ---


def test_observers_of_many_threads_end_at_what_a_find_gives(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:
        ended = "stop"
        rows: dict[int, list[Document]] = {}

        def work(writer: int) -> None:
            for number in range(60):
                write(store, (number % 17, (number * 7 + writer) % 10))
                if number % 5 == 0:
                    store.write([Remove("things", "_id == $args.id", args={"id": (number * writer) % 17})])

        def watch(observer: int, things: Observation) -> None:
            for change in things:
                old = rows.get(observer, [])
                rows[observer] = list(change.rows)
                if change.difference is not None:
                    assert apply(old, change.difference) == rows[observer]
                if any(row.id == ended for row in change.rows):
                    return

        asked: dict[str, Any] = {"query": f"a > 3 || _id == '{ended}'", "order": ["-a"], "limit": 8}
        writers = [Thread(target=work, args=(number,)) for number in range(3)]
        for each in writers:
            each.start()
        observations = [store.observe("things", **asked) for _ in range(4)]
        observers = [Thread(target=watch, args=each) for each in enumerate(observations)]
        for each in observers:
            each.start()
        for each in writers:
            each.join()
        store.write([Upsert("things", {"a": 1_000}, id=ended)])
        for each in observers:
            each.join(SECONDS)
        expected = list(store.find("things", **asked).documents)
        assert [rows[number] for number in range(4)] == [expected] * 4
        for observation in observations:
            observation.close()
