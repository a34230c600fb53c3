"""What an event loop submits in one round arrives together, and nobody waits for a round that does not end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from crdtstore.command.command import Upsert
from crdtstore.errors import Overloaded
from crdtstore.storage.identity import give_identity
from crdtstore.store import Store
from crdtstore.version import writer
from crdtstore.version.sequencer import Job
from crdtstore.version.writer import Writer, in_rounds
from tests.version.faulty import FaultyStorage
from tests.version.stores import now, origin_of

Ends = list[Callable[[], None]]


@pytest.fixture
def store() -> Iterator[Store]:
    """A store with a writer's thread."""
    storage = FaultyStorage()
    give_identity(storage, origin_of(1))
    with Store(storage, Writer, now) as made:
        yield made


@contextmanager
def groups_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many jobs each group has."""
    sizes: list[int] = []
    commit = store.sequencer.commit_group

    def count(jobs: Sequence[Job]) -> None:
        sizes.append(len(jobs))
        commit(jobs)

    with monkeypatch.context() as patch:
        patch.setattr(store.sequencer, "commit_group", count)
        yield sizes


def write(number: int) -> list[Upsert]:
    """A write of one document."""
    return [Upsert("a", {"n": number}, id=number)]


def test_a_round_is_one_group(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However soon the writer would have taken the first of them."""
    with groups_of(store, monkeypatch) as sizes:
        for size in (1, 5, 64):
            ends: Ends = []
            with in_rounds(ends.append):
                futures = [store.submit(write(number)) for number in range(size)]
                assert len(ends) == 1
                assert not any(future.done() for future in futures)
                ends[0]()
            assert [future.result(60).txn - futures[0].result().txn for future in futures] == list(range(size))
    assert sizes == [1, 5, 64]


def test_who_blocks_ends_the_round(store: Store) -> None:
    """Else the thread would wait for itself; what it submitted before is committed before."""
    ends: Ends = []
    with in_rounds(ends.append):
        futures = [store.submit(write(number)) for number in range(3)]
        assert store.write(write(3)).txn == 4
        assert [future.result(0).txn for future in futures] == [1, 2, 3]
        assert isinstance(store.submit([Upsert("a", {}, id=[])]).exception(60), Exception)
        for end in ends:
            end()


def test_a_loop_that_was_closed_ends_no_round(store: Store) -> None:
    def refuse(_: Callable[[], None]) -> None:
        raise RuntimeError("closed")

    with in_rounds(refuse):
        assert store.submit(write(1)).result(60).txn == 1


def test_two_loops_end_the_round_that_both_are_in(store: Store) -> None:
    """Either may stop for good before it ends one."""
    first: Ends = []
    second: Ends = []

    def submit() -> int:
        with in_rounds(second.append):
            future = store.submit(write(2))
            second[0]()
        return future.result(60).txn

    with in_rounds(first.append), ThreadPoolExecutor(1) as pool:
        mine = store.submit(write(1))
        assert pool.submit(submit).result(60) == 2
        assert mine.result(0).txn == 1
        first[0]()
        store.submit(write(3))
        assert len(first) == 2


def test_closing_writes_what_a_round_holds(store: Store) -> None:
    with in_rounds(lambda _: None):
        futures = [store.submit(write(number)) for number in range(3)]
    store.close()
    assert [future.result(0).txn for future in futures] == [1, 2, 3]


def test_a_round_counts_for_the_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_TRANSACTIONS_MAX", 2)
    with in_rounds(lambda _: None):
        futures = [store.submit(write(number)) for number in range(2)]
        with pytest.raises(Overloaded):
            store.submit(write(2))
        assert [future.result(60).txn for future in futures] == [1, 2]
