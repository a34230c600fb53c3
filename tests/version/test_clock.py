"""The clock that does not leap, and what a store does that is behind what it has seen."""

from __future__ import annotations

import pytest

from crdtstore.command.command import Upsert
from crdtstore.crdt.record import decode_record
from crdtstore.crdt.timestamp import from_milliseconds, to_milliseconds
from crdtstore.errors import ClockBehind
from crdtstore.limits import CLOCK_AHEAD_SECONDS_MAX
from crdtstore.store import Store
from crdtstore.version.clock import steady_clock
from tests.version.stores import NOW, log

AHEAD = CLOCK_AHEAD_SECONDS_MAX * 1_000


class Hands:
    """A wall clock and a monotonic one that a test turns."""

    def __init__(self) -> None:
        self.wall = NOW
        self.monotonic = 500

    def turn(self, milliseconds: int) -> None:
        """Let time pass."""
        self.wall += milliseconds
        self.monotonic += milliseconds


def test_it_follows_the_wall_clock(caplog: pytest.LogCaptureFixture) -> None:
    """As time passes, when it is corrected a little, and when it falls back."""
    hands = Hands()
    clock = steady_clock(lambda: hands.wall, lambda: hands.monotonic)
    assert clock() == NOW
    hands.turn(10**9)
    assert clock() == NOW + 10**9
    hands.wall += AHEAD
    assert clock() == NOW + 10**9 + AHEAD
    hands.wall = NOW - 10**12
    assert clock() == NOW - 10**12
    assert not caplog.records


def test_a_leap_is_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    """It goes on from where it was, warns once, and follows again when the wall clock is set right."""
    hands = Hands()
    clock = steady_clock(lambda: hands.wall, lambda: hands.monotonic)
    hands.wall += AHEAD + 1
    assert clock() == NOW
    hands.turn(1_000)
    assert clock() == NOW + 1_000
    hands.wall = NOW + 2_000
    assert clock() == NOW + 2_000
    hands.wall += 10**12
    assert clock() == NOW + 1_000
    assert ["leapt" in record.message for record in caplog.records] == [True]


def test_the_machines_own_clock() -> None:
    """By default it is the machine's, in milliseconds; it tells a time after this was written."""
    assert steady_clock()() > NOW


def test_timestamps_increase_while_the_clock_falls() -> None:
    """A store whose clock falls back stamps later all the same."""
    clock = iter([NOW, NOW, NOW - 10, NOW - 1_000, NOW + 5])
    with Store.in_memory(clock=lambda: next(clock)) as store:
        for number in range(5):
            store.write([Upsert("a", {"x": number}, id=1)])
        stamps = [decode_record(record).timestamp for record in log(store)]
    assert stamps == [from_milliseconds(NOW) + logical for logical in range(4)] + [from_milliseconds(NOW + 5)]


@pytest.mark.parametrize("behind", [AHEAD, AHEAD + 1])
def test_a_store_behind_what_it_has_seen_refuses_writes(behind: int) -> None:
    """Up to the bound it writes on, beyond it refuses, leaves nothing, and writes again once the clock is set."""
    times = [NOW]
    with Store.in_memory(clock=lambda: times[0]) as store:
        store.write([Upsert("a", {"x": 1}, id=1)])
        times[0] = NOW - behind
        if behind == AHEAD:
            assert store.write([Upsert("a", {"x": 2}, id=1)]).txn == 2
            return
        with pytest.raises(ClockBehind) as refused:
            store.write([Upsert("new", {"x": 2}, id=1)], actor=b"\x05" * 16)
        assert refused.value.data["seconds"] == behind // 1_000
        assert (store.applied, store.collections()) == (1, ("a",))
        assert len(store.sequencer.catalog.replicas.texts) == 1
        times[0] = NOW
        assert store.write([Upsert("new", {"x": 2}, id=1)]).txn == 2


def test_a_delivered_timestamp_moves_the_clock_of_what_follows() -> None:
    """What a store writes after a delivery is stamped later than what came."""
    with Store.in_memory(clock=lambda: NOW + AHEAD) as ahead, Store.in_memory(clock=lambda: NOW) as store:
        ahead.write([Upsert("a", {"x": 1}, id=1)])
        store.apply(log(ahead))
        store.write([Upsert("a", {"x": 2}, id=1)])
        first, second = (decode_record(record).timestamp for record in log(store))
        assert second == first + 1
        assert to_milliseconds(second) == NOW + AHEAD
        document = store.get("a", 1)
        assert document is not None
        assert document.fields == {"x": 2}
        assert store.conflicts("a", 1) == {}
