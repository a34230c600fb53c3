"""What an event loop submits in one round arrives together, and nobody waits for a round that does not end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Event, Timer, get_ident
from typing import NamedTuple

import pytest

from crdtstore import core
from crdtstore.command.command import Command, Set, Update, Upsert
from crdtstore.errors import Overloaded
from crdtstore.limits import COMMAND_BYTES, HERE_BYTES_MAX
from crdtstore.storage.identity import give_identity
from crdtstore.store import Store
from crdtstore.version import writer
from crdtstore.version.sequencer import Job
from crdtstore.version.writer import Writer, in_rounds
from tests.version.faulty import FaultyStorage
from tests.version.stores import now, origin_of

Ends = list[Callable[[], None]]

HERE = core.lmdb_environment is not None
"""The plain core leaves all to the writer."""


@pytest.fixture
def store() -> Iterator[Store]:
    """A store with a writer's thread."""
    storage = FaultyStorage()
    give_identity(storage, origin_of(1))
    with Store(storage, Writer, now) as made:
        yield made


class Group(NamedTuple):
    """How many jobs were committed together, and by which thread."""

    size: int
    thread: int


@contextmanager
def groups_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Group]]:
    """What is committed."""
    groups: list[Group] = []
    commit = store.sequencer.commit_group

    def note(jobs: Sequence[Job]) -> None:
        groups.append(Group(len(jobs), get_ident()))
        commit(jobs)

    with monkeypatch.context() as patch:
        patch.setattr(store.sequencer, "commit_group", note)
        yield groups


def write(number: int) -> list[Upsert]:
    """A write of one document."""
    return [Upsert("a", {"n": number}, id=number)]


def test_a_round_is_one_group(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However soon the writer would have taken the first of them."""
    with groups_of(store, monkeypatch) as groups:
        for size in (1, 5, 64):
            ends: Ends = []
            with in_rounds(ends.append):
                futures = [store.submit(write(number)) for number in range(size)]
                assert len(ends) == 1
                assert not any(future.done() for future in futures)
                ends[0]()
            assert [future.result(60).txn - futures[0].result().txn for future in futures] == list(range(size))
    assert [group.size for group in groups] == [1, 5, 64]


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


# --- what a loop commits itself ---


@pytest.fixture(params=["none", "wal"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store on disk."""
    with Store.open(tmp_path / "store", durability=request.param) as made:
        made.sequencer.commit_seconds = 0.0
        yield made


def turn_until_still(ends: Ends) -> None:
    """Turn the loop until it has nothing to do."""
    while ends:
        ends.pop(0)()


def test_a_loop_commits_a_short_round_once_a_turn_adds_nothing(kept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: Ends = []
    with groups_of(kept, monkeypatch) as groups, in_rounds(ends.append):
        futures = [kept.submit(write(number)) for number in range(3)]
        if HERE:
            ends.pop(0)()
            futures += [kept.submit(write(number)) for number in range(3, 5)]
            ends.pop(0)()
            assert not any(future.done() for future in futures)
            assert len(ends) == 1
        turn_until_still(ends)
        assert all(future.done() for future in futures) or not HERE
        assert [future.result(60).txn for future in futures] == list(range(1, len(futures) + 1))
    [group] = groups
    assert group.size == len(futures)
    assert (group.thread == get_ident()) == HERE


@contextmanager
def a_slow_disk(store: Store) -> Iterator[Sequence[Command]]:
    """The last commit took long."""
    store.sequencer.commit_seconds = 1.0
    yield write(2)


@contextmanager
def an_update(store: Store) -> Iterator[Sequence[Command]]:
    """A command that may look through all documents."""
    yield [Update("a", "true", [Set("m", 1)])]


@contextmanager
def many_commands(store: Store) -> Iterator[Sequence[Command]]:
    """More than are few."""
    yield [Upsert("a", {}, id=number) for number in range(HERE_BYTES_MAX // COMMAND_BYTES)]


@contextmanager
def somebody_who_writes(store: Store) -> Iterator[Sequence[Command]]:
    """The writer's thread has its turn, and what this thread submitted to it comes before the round."""
    entered, release = Event(), Event()

    def hold(*_: object) -> None:
        entered.set()
        assert release.wait(60)

    store.submitter.submit(hold)
    assert entered.wait(60)
    timer = Timer(0.05, release.set)
    timer.start()
    yield write(2)
    timer.join()


@pytest.mark.parametrize("case", [a_slow_disk, an_update, many_commands, somebody_who_writes])
def test_what_is_not_short_or_not_first_is_the_writers(
    kept: Store, monkeypatch: pytest.MonkeyPatch, case: Callable[[Store], AbstractContextManager[Sequence[Command]]]
) -> None:
    ends: Ends = []
    with case(kept) as commands, groups_of(kept, monkeypatch) as groups:
        with in_rounds(ends.append):
            futures = [kept.submit(write(1)), kept.submit(commands)]
            turn_until_still(ends)
        assert [future.result(60).txn for future in futures] == [1, 2]
    assert get_ident() not in {group.thread for group in groups}
