"""Following: what is moved when, what is told, how failures are survived, and that a stop ends everything.

Rules: peers are stores of this process behind a wire that holds questions as a server does, and stores behind real
servers where the network matters. A test waits for what must happen, never for time to pass; pauses are made short.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import Store, Upsert, errors, limits
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.client.exchange import PeerClient
from crdtstore.errors import CrdtStoreError, PeerUnreachable
from crdtstore.http.server import application
from crdtstore.replication.answer import Later, answer
from crdtstore.replication.exchange import Report
from crdtstore.replication.follow import PULL, PUSH, Follower, Logged, Pause, following
from crdtstore.replication.peers import release
from crdtstore.replication.pins import Pins
from tests.http.calling import serving

SECONDS_MAX = 60.0
"""A hang ends here; no working machine comes near."""


class Near:
    """A wire to a store of this process, which holds questions as a server does."""

    def __init__(self, other: Store) -> None:
        self.other = other
        self.pins = Pins()
        self.requests = 0
        self.closed = False
        self.held = threading.Event()
        self.woken = threading.Event()
        self.failures: list[Exception] = []
        self.aborted = False

    def send(self, request: bytes) -> bytes:
        self.requests += 1
        if self.failures:
            raise self.failures.pop(0)
        given = answer(self.other, request, self.pins)
        if isinstance(given, Later):
            cancel = self.other.notify(given.txn, self.woken.set)
            self.held.set()
            self.woken.wait(SECONDS_MAX)
            cancel()
            if not self.aborted:
                self.woken.clear()
                self.held.clear()
            given = answer(self.other, request, self.pins, waited=True)
        if self.aborted:
            raise PeerUnreachable("The exchange was broken off here.")
        assert isinstance(given, bytes)
        return given

    def abort(self) -> None:
        self.aborted = True
        self.woken.set()

    def close(self) -> None:
        self.closed = True
        self.pins.close()


class Told:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.all: queue.Queue[Report | CrdtStoreError | None] = queue.Queue()

    def moved(self, report: Report) -> None:
        self.all.put(report)

    def failed(self, error: CrdtStoreError) -> None:
        self.all.put(error)

    def well(self) -> None:
        self.all.put(None)

    def next(self) -> Report | CrdtStoreError | None:
        return self.all.get(timeout=SECONDS_MAX)

    def until(self, wanted: Callable[[Any], bool]) -> list[Report | CrdtStoreError | None]:
        """What is told up to something."""
        found = [self.next()]
        while not wanted(found[-1]):
            found.append(self.next())
        return found

    def rest(self) -> list[Report | CrdtStoreError | None]:
        return [self.all.get_nowait() for _ in range(self.all.qsize())]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FOLLOW_PAUSE_SECONDS_MIN", 0.001)
    monkeypatch.setattr(limits, "FOLLOW_PAUSE_SECONDS_MAX", 0.01)
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)


@pytest.fixture
def here() -> Iterator[Store]:
    with Store.in_memory() as store:
        yield store


@pytest.fixture
def there() -> Iterator[Store]:
    with Store.in_memory() as store:
        yield store


def near(
    here: Store, there: Store, told: Told, directions: Sequence[str] = (PULL, PUSH)
) -> tuple[Follower, dict[str, Near]]:
    """A follower and its wires."""
    follower = Follower(here, lambda: Near(there), told, directions=directions)
    wires = {direction: wire for direction, wire in follower.wires.items() if isinstance(wire, Near)}
    return follower, wires


def put(store: Store, number: int) -> int:
    return store.write([Upsert("c", {"n": number}, id=number)]).txn


def is_well(event: object) -> bool:
    return event is None


# --- what is moved ---


def test_what_either_writes_the_other_has_at_once(here: Store, there: Store) -> None:
    told = Told()
    put(here, 1)
    put(there, 2)
    follower, wires = near(here, there, told)
    with following([follower]):
        told.until(is_well)
        assert here.digest() == there.digest()
        for number in range(3, 9):
            put(*((here, number) if number % 2 else (there, number)))
            (there if number % 2 else here).wait(number, SECONDS_MAX)
        assert here.digest() == there.digest()
    assert [wire.closed for wire in wires.values()] == [True, True]
    assert not any(isinstance(event, CrdtStoreError) for event in told.rest())


def test_nobody_asks_again_while_nothing_is_new(here: Store, there: Store) -> None:
    """A question that is held is the last one, until something is written; and then few follow."""
    told = Told()
    follower, wires = near(here, there, told)
    with following([follower]):
        told.until(is_well)
        assert wires[PULL].held.wait(SECONDS_MAX)
        before = wires[PULL].requests, wires[PUSH].requests
        assert before == (2, 1), "a first question of each, and one that is held"
        put(there, 1)
        here.wait(1, SECONDS_MAX)
        assert wires[PULL].held.wait(SECONDS_MAX)
        assert wires[PULL].requests <= before[0] + 2
        assert wires[PUSH].requests <= before[1] + 1


def test_a_peer_that_lost_what_it_had_gets_it_again(here: Store, there: Store) -> None:
    """Nothing is written here that would wake the pushing."""
    told = Told()
    put(here, 1)
    follower, wires = near(here, there, told)
    with Store.in_memory() as empty, following([follower]):
        told.until(is_well)
        assert wires[PULL].held.wait(SECONDS_MAX)
        for wire in wires.values():
            wire.other = empty
        wires[PULL].woken.set()
        empty.wait(1, SECONDS_MAX)
        assert empty.digest() == here.digest()


@pytest.mark.parametrize("direction", [PULL, PUSH])
def test_one_direction_leaves_the_other_alone(here: Store, there: Store, direction: str) -> None:
    told = Told()
    put(here, 1)
    put(there, 2)
    follower, _ = near(here, there, told, [direction])
    with following([follower]):
        told.until(is_well)
        taker = here if direction == PULL else there
        taker.wait(2, SECONDS_MAX)
    assert (here.applied, there.applied) == ((2, 1) if direction == PULL else (1, 2))


def test_what_the_other_lacks_for_long_does_not_make_the_pulling_spin(
    here: Store, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may only pull is held as well, although the two are never equal."""
    pauses: list[float] = []
    monkeypatch.setattr(Pause, "take", lambda pause: pauses.append(pause.seconds))
    put(here, 1)
    follower, wires = near(here, there, Told(), [PULL])
    with following([follower]):
        assert wires[PULL].held.wait(SECONDS_MAX)
        put(there, 2)
        here.wait(2, SECONDS_MAX)
    assert len(pauses) <= 1, "only what the end breaks off"
    assert wires[PULL].requests <= 8


# --- what fails ---


def test_what_is_the_matter_is_told_once_and_when_it_is_over(here: Store, there: Store) -> None:
    told = Told()
    follower, wires = near(here, there, told)
    for wire in wires.values():
        wire.failures = [PeerUnreachable("No.") for _ in range(5)] + [errors.Overloaded("Full.")] * 2
    put(there, 1)
    with following([follower]):
        events = told.until(is_well)
        here.wait(1, SECONDS_MAX)
        kinds = [type(event) for event in events if isinstance(event, CrdtStoreError)]
        assert kinds[0] is PeerUnreachable
        assert set(kinds) == {PeerUnreachable, errors.Overloaded}
        assert len(kinds) <= 4, "once for each direction at most, of fourteen failures"
        assert sum(wire.requests for wire in wires.values()) >= 14


def test_an_error_that_nobody_foresaw_is_survived_too(
    here: Store, there: Store, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    follower, wires = near(here, there, told, [PULL])
    wires[PULL].failures = [ZeroDivisionError("secret detail")] * 3
    put(there, 1)
    with following([follower]):
        first = told.next()
        here.wait(1, SECONDS_MAX)
    assert isinstance(first, CrdtStoreError)
    assert "secret" not in first.message
    Logged("http://a").failed(first)
    assert "secret detail" in caplog.text, "the log has the traceback"


def test_a_follower_whose_store_takes_no_more_waiters_goes_on(here: Store, there: Store) -> None:
    told = Told()
    full = threading.Event()
    notify = here.notify

    def refuse(txn: int, callback: Any) -> Any:
        if not full.is_set():
            full.set()
            raise errors.Overloaded("Too many wait.")
        return notify(txn, callback)

    here.notify = refuse  # type: ignore[method-assign]
    follower, _ = near(here, there, told, [PUSH])
    with following([follower]):
        assert full.wait(SECONDS_MAX)
        put(here, 1)
        there.wait(1, SECONDS_MAX)


def test_a_quarantine_is_told_once_and_its_end_is_noticed(here: Store, there: Store) -> None:
    with Store.in_memory(origin=there.origin) as copy:
        put(copy, 7)
        here.apply(entry.record for entry in copy.changes())
    put(there, 8)
    told = Told()
    follower, wires = near(here, there, told, [PULL])
    with following([follower]):
        first, second = told.next(), told.next()
        assert isinstance(first, errors.Divergence)
        assert isinstance(second, errors.Quarantined)
        seen = wires[PULL].requests
        release(here, there.origin)
        release(there, here.origin)
        assert isinstance(told.next(), errors.Divergence), "it was compared anew"
        assert wires[PULL].requests > seen


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 29))
def test_pauses_double_up_to_a_bound_and_a_random_part_is_taken_off(draws: list[float], reset_at: int) -> None:
    waited: list[float] = []

    class Never(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout or 0.0)
            return False

    left = iter(draws)
    pause = Pause(Never(), lambda: next(left))
    whole = 0.0
    for number in range(len(draws)):
        if number == reset_at:
            pause.reset()
            whole = 0.0
        pause.take()
        whole = min(max(2 * whole, limits.FOLLOW_PAUSE_SECONDS_MIN), limits.FOLLOW_PAUSE_SECONDS_MAX)
        assert whole / 2 <= waited[-1] <= whole


# --- how it ends ---


def ended(follower: Follower) -> bool:
    return not any(thread.is_alive() for thread in follower.threads)


@pytest.mark.parametrize("state", ["held", "pausing", "fresh"])
def test_a_stop_ends_both_threads_whatever_they_do(
    here: Store, there: Store, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    told = Told()
    follower, wires = near(here, there, told)
    if state == "pausing":
        monkeypatch.setattr(limits, "FOLLOW_PAUSE_SECONDS_MIN", 3_600.0)
        monkeypatch.setattr(limits, "FOLLOW_PAUSE_SECONDS_MAX", 3_600.0)
        for wire in wires.values():
            wire.failures = [PeerUnreachable("No.")]
    with following([follower]):
        if state == "held":
            assert wires[PULL].held.wait(SECONDS_MAX)
        elif state == "pausing":
            assert isinstance(told.next(), PeerUnreachable)
    assert ended(follower)
    told.rest()
    put(there, 1)
    assert here.applied == 0


def test_what_a_stop_breaks_off_is_not_told(here: Store, there: Store) -> None:
    told = Told()
    follower, wires = near(here, there, told)
    with following([follower]):
        told.until(is_well)
        assert wires[PULL].held.wait(SECONDS_MAX)
    assert told.rest() == []


def test_a_thread_that_does_not_end_is_told_of(
    here: Store, there: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go, stuck = threading.Event(), threading.Event()

    def send(request: bytes) -> bytes:
        stuck.set()
        go.wait(SECONDS_MAX)
        raise PeerUnreachable("Late.")

    follower, wires = near(here, there, Told(), [PULL])
    wires[PULL].send = send  # type: ignore[method-assign]
    monkeypatch.setattr(limits, "STOP_SECONDS_MAX", 0)
    with following([follower]):
        assert stuck.wait(SECONDS_MAX)
    assert "did not end" in caplog.text
    go.set()
    follower.threads[0].join(SECONDS_MAX)
    assert ended(follower)


@pytest.mark.parametrize(
    ("error", "level"),
    [(PeerUnreachable("No."), logging.WARNING), (errors.Quarantined("No.", peer="a"), logging.ERROR)],
)
def test_the_log_says_how_bad_it_is(error: CrdtStoreError, level: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        watcher = Logged("http://a")
        watcher.failed(error)
        watcher.well()
        watcher.moved(Report(bytes(16), equal=False, pulled=1, pushed=0, joined=0, sent=1, received=1, requests=1))
    assert [record.levelno for record in caplog.records] == [level, logging.INFO, logging.DEBUG]
    assert all("http://a" in record.getMessage() for record in caplog.records)


# --- over the network ---


@contextmanager
def served(store: Store) -> Iterator[Callable[[], PeerClient]]:
    """Serve a store; gives what connects to it."""
    keyring = KeyRing(store)
    key = keyring.create("peer", Permission.full())
    with serving(application(store, keyring)) as (host, port):
        yield lambda: PeerClient(f"http://{host}:{port}", key, seconds=600)


def test_a_chain_of_stores_relays_both_ways() -> None:
    """A follows B, and B follows C: what A writes is at C, and the other way round."""
    with ExitStack() as stack:
        a, b, c = (stack.enter_context(Store.in_memory()) for _ in range(3))
        to_b, to_c = stack.enter_context(served(b)), stack.enter_context(served(c))
        stack.enter_context(following([Follower(a, to_b, Told()), Follower(b, to_c, Told())]))
        for number in range(1, 7):
            writer, reader = (a, c) if number % 2 else (c, a)
            put(writer, number)
            reader.wait(number, SECONDS_MAX)
            document = reader.get("c", number)
            assert document is not None
            assert document.fields == {"n": number}
        b.wait(6, SECONDS_MAX)
        assert a.digest() == b.digest() == c.digest()


def test_a_server_that_is_followed_stops_at_once_and_so_does_its_follower() -> None:
    """Its question is held for half a minute otherwise, and the connection for as long."""
    with Store.in_memory() as here, Store.in_memory() as there:
        told = Told()
        with ExitStack() as stack:
            connect = stack.enter_context(served(there))
            held = stirred(there)
            follower = Follower(here, connect, told)
            with following([follower]):
                told.until(is_well)
                assert held.wait(SECONDS_MAX)
                stack.close()
                assert any(isinstance(event, PeerUnreachable) for event in told.until(is_unreachable))
        assert ended(follower)


def is_unreachable(event: object) -> bool:
    return isinstance(event, PeerUnreachable)


def stirred(store: Store) -> threading.Event:
    """An event that is set when something waits for a transaction."""
    event = threading.Event()
    notify = store.notify

    def tell(txn: int, callback: Any) -> Any:
        cancel = notify(txn, callback)
        event.set()
        return cancel

    store.notify = tell  # type: ignore[method-assign]
    return event


def test_a_held_question_is_broken_off_when_the_following_ends() -> None:
    with Store.in_memory() as here, Store.in_memory() as there, served(there) as connect:
        held = stirred(there)
        follower = Follower(here, connect, Told())
        with following([follower]):
            assert held.wait(SECONDS_MAX)
        assert ended(follower)
