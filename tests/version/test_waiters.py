"""Who waits for a transaction: each is called exactly once, in order, however calls, cancels and commits mix."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event, Thread

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from crdtstore.command.command import Upsert
from crdtstore.errors import Overloaded, VersionNotAvailable
from crdtstore.store import Store
from crdtstore.version import waiters
from crdtstore.version.waiters import Waiters
from tests.version.stores import now

txns = st.integers(0, 12)


class Waiting(RuleBasedStateMachine):
    """Waiters against a list of who should have been called."""

    tickets: Bundle[tuple[int, Callable[[], None]]] = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.waiters = self.make()
        self.applied = 0
        self.asked: dict[int, int] = {}
        self.open: set[int] = set()
        self.calls: list[int] = []
        self.expected: list[int] = []

    def make(self) -> Waiters:
        """What is tested."""
        return Waiters(0)

    @rule(target=tickets, txn=txns, fails=st.booleans())
    def notify(self, txn: int, *, fails: bool) -> tuple[int, Callable[[], None]]:
        """Wait for a txn id, with a callback that raises or not."""
        number = len(self.asked)
        self.asked[number] = txn

        def called() -> None:
            self.calls.append(number)
            if fails:
                raise ZeroDivisionError

        if txn <= self.applied:
            self.expected.append(number)
        else:
            self.open.add(number)
        return number, self.waiters.notify(txn, called)

    @rule(ticket=tickets)
    def cancel(self, ticket: tuple[int, Callable[[], None]]) -> None:
        """Cancel, also what was called or cancelled already."""
        self.open.discard(ticket[0])
        ticket[1]()

    @rule(ticket=consumes(tickets))
    def forget(self, ticket: tuple[int, Callable[[], None]]) -> None:
        """Cancel for the last time."""
        self.cancel(ticket)

    @rule(steps=st.integers(0, 4))
    def publish(self, steps: int) -> None:
        """Apply transactions."""
        self.applied += steps
        due = {number for number in self.open if self.asked[number] <= self.applied}
        self.expected += sorted(due, key=lambda number: (self.asked[number], number))
        self.open -= due
        self.waiters.publish(self.applied)

    @invariant()
    def each_was_called_once_in_order(self) -> None:
        """The calls so far are the expected ones, and who still waits is who should."""
        assert self.calls == self.expected
        assert len(self.waiters.waiting) == len(self.open)
        assert self.waiters.applied == self.applied


class LatestFirst(Waiters):
    """A planted bug: who waits for the exact next txn id is forgotten."""

    def publish(self, applied: int) -> None:
        """Wake those before."""
        super().publish(applied - 1)
        self.applied = applied


class Planted(Waiting):
    """The same machine over the planted bug."""

    def make(self) -> Waiters:
        """What must be caught."""
        return LatestFirst(0)


TestWaiting = Waiting.TestCase
TestWaiting.settings = settings(max_examples=60, stateful_step_count=30)


def test_the_machine_catches_a_lost_waiter() -> None:
    """The state machine above fails on a planted bug."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Planted, settings=settings(max_examples=60, phases=[Phase.generate]))


def test_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than WAITERS_MAX is refused; who is called or cancelled makes room; who is ready needs none."""
    monkeypatch.setattr(waiters, "WAITERS_MAX", 3)
    known = Waiters(1)
    called: list[int] = []
    cancels = [known.notify(number, partial(called.append, number)) for number in (2, 3, 4)]
    with pytest.raises(Overloaded) as refused:
        known.notify(5, lambda: called.append(5))
    assert refused.value.data == {"limit": "WAITERS_MAX", "maximum": 3}
    with pytest.raises(Overloaded):
        known.wait(5, 0)
    known.notify(1, lambda: called.append(1))
    cancels[2]()
    known.notify(6, lambda: called.append(6))
    known.publish(2)
    known.notify(7, lambda: called.append(7))
    known.publish(9)
    assert called == [1, 2, 3, 6, 7]


def test_a_callback_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It harms no other, and is seen."""
    known = Waiters(0)
    called: list[int] = []
    known.notify(1, lambda: called.append(1 // 0))
    known.notify(1, lambda: called.append(2))
    known.publish(1)
    assert called == [2]
    assert ["A waiter's callback failed." in record.message for record in caplog.records] == [True]


def test_a_callback_may_wait_again() -> None:
    """Callbacks run outside the lock."""
    known = Waiters(0)
    called: list[int] = []

    def again() -> None:
        known.notify(2, lambda: called.append(2))

    known.notify(1, again)
    known.publish(1)
    assert called == []
    known.publish(2)
    assert called == [2]


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_the_deadline(seconds: float) -> None:
    """Both numbers are told, and nobody is left waiting."""
    known = Waiters(3)
    with pytest.raises(VersionNotAvailable) as error:
        known.wait(5, seconds)
    assert (error.value.data["asked"], error.value.data["applied"]) == (5, 3)
    assert not known.waiting
    assert known.wait(3, 0) == 3
    assert known.wait(0, 0) == 3


def test_a_read_is_woken_by_a_writer_in_another_thread() -> None:
    """Readers that wait are woken by the commit, each reading what it waited for."""
    with Store.in_memory(clock=now) as store:
        woken: list[tuple[int, bool]] = []
        threads = [Thread(target=lambda txn=txn: woken.append(read_at(store, txn))) for txn in (1, 2, 2, 3)]
        for thread in threads:
            thread.start()
        for number in range(3):
            store.write([Upsert("a", {"x": number}, id=number)])
        for thread in threads:
            thread.join(60)
        assert sorted(woken) == [(1, True), (2, True), (2, True), (3, True)]
        assert store.stats().waiting_reads == 0


def read_at(store: Store, txn: int) -> tuple[int, bool]:
    """Wait for a txn id; whether its document can be read then."""
    applied = store.wait(txn, 60)
    return txn, applied >= txn and store.get("a", txn - 1) is not None


def test_store_notify_and_cancel() -> None:
    """The store's own: called once its txn is applied, not when cancelled."""
    with Store.in_memory(clock=now) as store:
        called, other = Event(), Event()
        store.notify(1, called.set)
        store.notify(1, other.set)()
        store.write([Upsert("a", {"x": 1}, id=1)])
        assert called.is_set()
        assert not other.is_set()
        with pytest.raises(VersionNotAvailable):
            store.wait(2, 0)
        with pytest.raises(VersionNotAvailable):
            store.write([Upsert("a", {"x": 2}, id=1)], after=2)
        assert store.write([Upsert("a", {"x": 2}, id=1)], after=1).txn == 2
