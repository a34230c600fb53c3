"""A store that is restored from a backup goes on with all others: law of `version/restore.py`.

Rules: histories are generated: three stores write and exchange, one of them on disk; it is backed up, goes on, is lost
and restored. Afterwards all exchange until nothing moves. What is promised: no divergence, all end equal, and
whatever was acknowledged by a store that still has it is there, and everything written after the restoring.

The positive control restores without a new epoch, and must be caught: as a divergence, or as writes that are lost.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crdtstore import Store
from crdtstore.errors import ReplicationError
from crdtstore.replication.local import sync
from crdtstore.storage.backup import back_up
from crdtstore.version import restore as restore_module
from crdtstore.version.restore import restore
from tests.replication.worlds import Ticking, assert_equal, has, make, put

OURS = 0
"""The number of the store that is backed up."""

writes = st.tuples(st.just("write"), st.integers(0, 2), st.integers(0, 4))
meetings = st.tuples(st.just("meet"), st.integers(0, 2), st.integers(0, 2))
steps = st.lists(st.one_of(writes, meetings), max_size=8)
Steps = list[tuple[str, int, int]]


class World:
    """Three stores, the first on disk, and what each acknowledged: marks that nothing removes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Ticking()
        self.stores = [Store.open(folder / "ours", clock=self.clock), make(1), make(2)]
        self.marks = 0
        self.known: list[set[str]] = [set(), set(), set()]
        """By store, the marks that it must have."""

    def play(self, history: Steps) -> None:
        for what, first, second in history:
            if what == "write":
                self.write(first, second)
            elif first != second:
                self.meet(first, second)

    def write(self, number: int, document: int) -> None:
        """Write a field of a document that others write to, and a mark of its own."""
        self.marks += 1
        mark = f"mark-{self.marks}"
        put(self.stores[number], f"shared-{document}", value=self.marks)
        put(self.stores[number], mark, n=1)
        self.known[number].add(mark)

    def meet(self, first: int, second: int) -> None:
        sync(self.stores[first], self.stores[second])
        both = self.known[first] | self.known[second]
        self.known[first], self.known[second] = set(both), set(both)

    def back_up(self) -> set[str]:
        back_up(self.folder / "ours", self.folder / "backup", created=1)
        return set(self.known[OURS])

    def lose_and_restore(self, kept: set[str]) -> None:
        self.stores[OURS].close()
        shutil.rmtree(self.folder / "ours")
        restore(self.folder / "backup", self.folder / "ours", clock=self.clock)
        self.stores[OURS] = Store.open(self.folder / "ours", clock=self.clock)
        self.known[OURS] = kept

    def settle(self) -> None:
        """Let all meet until all know everything."""
        for _ in range(2):
            for first, second in ((0, 1), (1, 2), (2, 0)):
                self.meet(first, second)

    def check(self) -> None:
        assert_equal(*self.stores)
        for mark in self.known[OURS]:
            assert has(self.stores[OURS], mark), mark


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder))
        try:
            yield made
        finally:
            made.stores[OURS].close()


def live(before: Steps, between: Steps, after: Steps) -> None:
    """Play a history with one loss in it."""
    with world() as stores:
        stores.play(before)
        kept = stores.back_up()
        stores.play(between)
        stores.lose_and_restore(kept)
        stores.play(after)
        stores.settle()
        stores.check()


MORE_SEEN: Steps = [("write", OURS, 0), ("meet", OURS, 1)]
"""Between backup and loss: others see what the backup does not have."""


@given(before=steps, between=steps, after=steps)
@example(before=[("write", OURS, 0)], between=MORE_SEEN, after=[("write", OURS, 0)])
@example(before=[], between=MORE_SEEN, after=[("write", OURS, 0), ("write", OURS, 1), ("meet", OURS, 2)])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_restored_store_goes_on_with_all_others(before: Steps, between: Steps, after: Steps) -> None:
    live(before, between, after)


@pytest.mark.slow
@given(before=steps, between=steps, after=steps)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_restored_store_goes_on_in_many_histories(before: Steps, between: Steps, after: Steps) -> None:
    live(before, between, after)


def test_a_store_that_is_restored_twice_goes_on_as_two(tmp_path: Path) -> None:
    """A clone beside the original is one store more."""
    clock = Ticking()
    with Store.open(tmp_path / "ours", clock=clock) as ours:
        put(ours, 1, n=1)
        back_up(tmp_path / "ours", tmp_path / "backup", created=1)
        put(ours, 2, n=1)
        for name in ("one", "two"):
            restore(tmp_path / "backup", tmp_path / name, clock=clock)
        with Store.open(tmp_path / "one", clock=clock) as one, Store.open(tmp_path / "two", clock=clock) as two:
            put(one, 3, n=1)
            put(two, 3, n=2)
            for _ in range(2):
                sync(ours, one)
                sync(one, two)
                sync(two, ours)
            assert_equal(ours, one, two)
            assert len({ours.origin, one.origin, two.origin}) == 3


@pytest.mark.parametrize("rewritten", [1, 2, 3])
def test_without_a_new_epoch_it_is_caught(rewritten: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: the old origin goes on, so that its positions are used twice."""
    monkeypatch.setattr(restore_module, "renew_epoch", lambda _batch, head, *_: head.origin)
    again: Steps = [("write", OURS, 0)] * rewritten
    with pytest.raises((ReplicationError, AssertionError)):
        live([("write", OURS, 0)], [("write", OURS, 1), ("write", OURS, 2), ("meet", OURS, 1)], again)
