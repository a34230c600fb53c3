"""A signal's handler that raises at any place of a call harms this call alone: the store goes on for everybody else.

Instead of signals, which seldom hit a narrow place, the interpreter's tracing raises where the interpreter looks for
signals: at the beginning of a function, behind a call, and where a loop goes back. In one run it does so at the first
of these places that the main thread comes to, in the next one at the second, up to the last.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from threading import Condition, Event, Thread
from time import sleep
from types import FrameType
from typing import Any

import pytest

from crdtstore import Store, Upsert, bell
from crdtstore.storage import wal
from crdtstore.storage.lasting import Durability
from crdtstore.version import pending, waiters, writer
from crdtstore.version.writer import ALONE_JOBS, in_rounds

Act = Callable[[], object]

SECONDS_MAX = 60
"""Within which a thread that nobody holds up has ended."""

SECONDS_HELD = 1
"""After which one that is held up counts as such, where it should be."""

SEGMENT_BYTES = 8 * 1_024
PLACES_MIN = 5
"""Fewer would mean that nothing was interrupted."""

TRACED = frozenset(module.__file__ for module in (bell, pending, waiters, writer, wal, threading))
"""Where threads meet; what runs between is tested by signals, in `test_committing_here.py`."""


class Interrupted(BaseException):
    """What a handler raises."""


class HeldUp(AssertionError):
    """Somebody else waits for ever."""


LOOKED_AFTER = frozenset({"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"})
"""The instructions after which signals are looked for."""


@contextmanager
def interrupted_at(place: int) -> Iterator[list[int]]:
    """Raise after so many places; gives how many were passed."""
    passed = [0]

    done: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in TRACED:
            return None
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "opcode":
            last = done.get(frame)
            done[frame] = frame.f_lasti
            if last is not None and dis.opname[frame.f_code.co_code[last]] in LOOKED_AFTER:
                passed[0] += 1
                if passed[0] == place:
                    raise Interrupted
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield passed
    finally:
        sys.settrace(before)


def every_place(rounds: Iterable[tuple[Act, Act]]) -> int:
    """Interrupt an act at each of its places in turn, one a round, and check after each; returns how many there are."""
    for place, (act, check) in enumerate(rounds, 1):
        with suppress(Interrupted), interrupted_at(place) as passed:
            act()
        check()
        if passed[0] < place:
            return place - 1
    raise AssertionError("there was no end")


def in_time(act: Act, seconds: float = SECONDS_MAX) -> None:
    """See that an act ends in a thread of its own."""
    thread = Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise HeldUp


@pytest.fixture(params=["none", "wal"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store without a log, or with one that goes round often."""
    monkeypatch.setitem(wal.create_wal.__kwdefaults__ or {}, "segment_bytes", SEGMENT_BYTES)
    monkeypatch.setitem(wal.create_wal.__kwdefaults__ or {}, "zeros_bytes", SEGMENT_BYTES // 4)
    with Store.open(tmp_path / "store", durability=request.param) as made:
        yield made


def test_writes(store: Store) -> None:
    """By the writer's thread, which others keep using, and in the own thread of who is alone."""

    def write(number: int) -> None:
        store.write([Upsert("a", {"n": number}, id=number), Upsert("b", {"n": number}, id=number)])

    def check() -> None:
        in_time(lambda: store.write([Upsert("others", {}, id=0)]))
        assert store.stats().documents % 2 == 1
        assert not store.sequencer.fenced

    assert every_place((partial(write, number), check) for number in count()) > PLACES_MIN


def test_writes_of_one_alone(store: Store) -> None:
    def write() -> None:
        store.write([Upsert("a", {}, id=0)])

    def acts() -> Iterator[tuple[Act, Act]]:
        while True:
            for _ in range(ALONE_JOBS + 1):
                write()
            yield write, lambda: in_time(write)

    assert every_place(acts()) > PLACES_MIN


def test_rounds_of_a_loop(store: Store) -> None:
    """Whoever submitted in the round that was interrupted is told what became of it."""

    def act(told: list[Future[Any]]) -> None:
        ends: list[Act] = []
        with in_rounds(ends.append):
            told.extend(store.submit([Upsert("a", {}, id=number)]) for number in range(3))
            while ends:
                ends.pop(0)()

    def check(told: list[Future[Any]]) -> None:
        in_time(lambda: [future.exception(SECONDS_MAX) for future in told])
        assert all(future.done() for future in told)
        in_time(lambda: store.write([Upsert("others", {}, id=0)]))
        assert not store.sequencer.fenced

    def acts() -> Iterator[tuple[Act, Act]]:
        while True:
            told: list[Future[Any]] = []
            yield partial(act, told), partial(check, told)

    assert every_place(acts()) > PLACES_MIN


def test_waits_for_a_transaction(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="none") as store:

        def write_once_awaited(over: Event) -> None:
            while not (store.waiters.waiting or over.is_set()):
                sleep(0.000_5)
            store.write([Upsert("others", {}, id=0)])

        def check(over: Event, writing: Thread) -> None:
            over.set()
            in_time(writing.join)

        def acts() -> Iterator[tuple[Act, Act]]:
            while True:
                over = Event()
                writing = Thread(target=write_once_awaited, args=(over,))
                writing.start()
                yield partial(store.wait, store.applied + 1, SECONDS_MAX), partial(check, over, writing)

        assert every_place(acts()) > PLACES_MIN


@pytest.mark.parametrize("durability", ["none", "wal"])
def test_ends(durability: Durability, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was interrupted closing a store closes it again, and finds in it what was written."""
    monkeypatch.setitem(wal.create_wal.__kwdefaults__ or {}, "segment_bytes", SEGMENT_BYTES)
    monkeypatch.setitem(wal.create_wal.__kwdefaults__ or {}, "zeros_bytes", SEGMENT_BYTES // 4)

    def check(store: Store, path: Path) -> None:
        in_time(store.close)
        with Store.open(path) as opened:
            assert opened.stats().documents == 1

    def acts() -> Iterator[tuple[Act, Act]]:
        for number in count():
            store = Store.open(tmp_path / str(number), durability=durability)
            store.write([Upsert("a", {}, id=0)])
            yield store.close, partial(check, store, tmp_path / str(number))

    assert every_place(acts()) > PLACES_MIN


@pytest.mark.parametrize("made", [Event, Condition])
def test_the_check_finds_what_stays_locked(made: Callable[[], Any]) -> None:
    """The same with what the standard library offers for this: somebody is held up."""
    shared = made()
    wake = shared.set if isinstance(shared, Event) else partial(notify, shared)
    with pytest.raises(HeldUp):
        every_place((wake, partial(in_time, wake, SECONDS_HELD)) for _ in count())


def notify(condition: Condition) -> None:
    """Wake one."""
    with condition:
        condition.notify()
