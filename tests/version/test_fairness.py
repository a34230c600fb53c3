"""A writer of large batches keeps nobody waiting: groups are bounded, and who comes first is served first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from crdtstore import Store, Upsert, writing
from crdtstore.limits import COMMAND_BYTES, COMMANDS_MAX, GROUP_BYTES_MAX
from crdtstore.version import writer
from crdtstore.version.sequencer import Job

BATCH = 40
"""Commands of a batch here, of which two fill a group."""

IN_FLIGHT = 12
SINGLES = 60


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store whose groups are filled by two batches."""
    monkeypatch.setattr(writer, "GROUP_BYTES_MAX", BATCH * COMMAND_BYTES + 1)
    with Store.open(tmp_path / "store", durability="none") as opened:
        yield opened


def batch(number: int) -> list[Upsert]:
    """A batch at the bound."""
    return [Upsert("bulk", {"n": number}, id=each) for each in range(BATCH)]


def test_two_of_the_largest_requests_are_a_group() -> None:
    assert COMMANDS_MAX * COMMAND_BYTES < GROUP_BYTES_MAX <= 2 * COMMANDS_MAX * COMMAND_BYTES


def groups_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many transactions each group has, where single writes stand between batches; the first was taken alone."""
    groups: list[int] = []
    begun, held, commit = Event(), Event(), store.sequencer.commit_group

    def count(jobs: Sequence[Job]) -> None:
        begun.set()
        assert held.wait(60)
        groups.append(len(jobs))
        commit(jobs)

    monkeypatch.setattr(store.sequencer, "commit_group", count)
    line: list[Future[Any]] = [store.submit([Upsert("one", {}, id=0)])]
    assert begun.wait(60)
    for number in range(1, 5):
        line += [store.submit(batch(number)) for _ in range(4)]
        line.append(store.submit([Upsert("one", {}, id=number)]))
    held.set()
    assert [future.result(60).txn for future in line] == list(range(1, len(line) + 1))
    assert sum(groups) == len(line)
    return groups[1:]


def test_groups_are_bounded_and_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits behind batches is in the group that its place in the line gives it, and in no later one."""
    assert max(groups_of(store, monkeypatch)) <= 3


def test_groups_of_what_counts_nothing_are_not(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: a command has no bytes."""
    monkeypatch.setattr(writing, "COMMAND_BYTES", 0)
    assert max(groups_of(store, monkeypatch)) > 3


def test_a_single_writer_waits_for_those_before_it_only(store: Store) -> None:
    """However many batches come meanwhile: between asking and its turn there are those in flight, and none more."""
    ended = Event()

    def write_batches() -> int:
        line: list[Future[Any]] = []
        number = 0
        while not ended.is_set():
            line = [future for future in line if not future.done()]
            while len(line) < IN_FLIGHT:
                line.append(store.submit(batch(number)))
                number += 1
            line[0].result(60)
        return number

    with ThreadPoolExecutor(1) as pool:
        bulk = pool.submit(write_batches)
        try:
            for number in range(SINGLES):
                before = store.sequencer.head.txn
                passed = store.write([Upsert("one", {"n": number}, id=number)]).txn - before
                assert passed <= 2 * IN_FLIGHT
        finally:
            ended.set()
        assert bulk.result(60) >= IN_FLIGHT
