"""A pending is a future as those of the standard library, and tells one caller beside them that it is done, once."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from functools import partial
from threading import Barrier
from typing import Any

import pytest

from crdtstore.version.pending import Pending


def told(future: Future[Any], step: str) -> object:
    """What one step of a life answers."""
    steps: dict[str, Callable[[], object]] = {
        "run": future.set_running_or_notify_cancel,
        "cancel": future.cancel,
        "cancelled": future.cancelled,
        "running": future.running,
        "done": future.done,
        "result": lambda: future.result(0),
        "exception": lambda: str(future.exception(0)),
    }
    try:
        return steps[step]()
    except (CancelledError, TimeoutError, ValueError) as error:
        return type(error)


def life(future: Future[Any], seed: int) -> list[object]:
    """A life as chance has it, and what is seen of it: run or cancelled, well ended or not."""
    chance = random.Random(seed)
    seen: list[object] = []
    future.add_done_callback(lambda _: seen.append("told first"))
    looks = ["cancelled", "running", "done", "result", "exception"]
    before = chance.choices([*looks, "cancel"], [2] * 5 + [1], k=4)
    seen += [told(future, step) for step in before]
    runs = told(future, "run")
    seen.append(runs)
    seen += [told(future, step) for step in chance.choices([*looks, "cancel"], k=4)]
    if runs:
        future.set_result(seed) if seed % 2 else future.set_exception(ValueError(seed))
    future.add_done_callback(lambda _: seen.append("told last"))
    return [*seen, *(told(future, step) for step in [*looks, "cancel"])]


def test_its_life_is_that_of_a_future() -> None:
    for seed in range(300):
        assert life(Pending(), seed) == life(Future(), seed)


def test_who_waits_for_several_is_served() -> None:
    """The functions of the standard library look into their futures."""
    pending = [Pending() for _ in range(6)]

    def settle() -> None:
        for number, each in enumerate(pending[:5]):
            each.set_running_or_notify_cancel()
            each.set_result(number) if number % 2 else each.set_exception(ValueError(number))
        pending[5].cancel()
        pending[5].set_running_or_notify_cancel()

    with ThreadPoolExecutor(1) as pool:
        early = as_completed(pending, 60)
        pool.submit(settle)
        assert set(early) == set(pending)
        assert wait(pending, 60).done == set(pending)


@pytest.mark.parametrize("how", ["result", "cancel"])
def test_it_wakes_once_whoever_is_first(how: str) -> None:
    """The one that asks and the one that settles race; nobody is forgotten, and nobody is woken twice."""
    woken: list[int] = []
    rounds = 400
    pending = [Pending() for _ in range(rounds)]
    barrier = Barrier(3)

    def ask() -> None:
        for number, each in enumerate(pending):
            barrier.wait(60)
            each.when_done(partial(woken.append, number))

    def settle() -> None:
        for each in pending:
            barrier.wait(60)
            each.set_result(None) if how == "result" else each.cancel()

    def block() -> None:
        for each in pending:
            barrier.wait(60)
            told(each, "result")

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(each) for each in (ask, settle, block)]
        for each in done:
            each.result(60)
    assert sorted(woken) == list(range(rounds))


def test_who_blocks_hurries_it() -> None:
    """Whoever blocks may be the one who would have handed the job over."""
    pending = Pending()
    pending.hurry = lambda: pending.set_result(7)
    assert not pending.done()
    assert pending.result(0) == 7
    failed = Pending()
    failed.hurry = lambda: failed.set_exception(ValueError())
    assert isinstance(failed.exception(0), ValueError)


def test_who_looks_in_vain_again_and_again_leaves_nothing_behind() -> None:
    pending = Pending()
    for _ in range(1_000):
        with pytest.raises(TimeoutError):
            pending.result(0)
    assert sum(len(kept) for kept in vars(pending).values() if isinstance(kept, list)) == 0


def test_all_who_block_are_released_while_others_give_up() -> None:
    """Who gives up leaves at the moment at which the rest are told."""
    for number in range(50):
        pending = Pending()
        pending.set_running_or_notify_cancel()
        start = Barrier(9)

        def block(seconds: float, pending: Pending = pending, start: Barrier = start) -> object:
            start.wait(60)
            try:
                return pending.result(seconds)
            except TimeoutError:
                return None

        with ThreadPoolExecutor(8) as threads:
            told = [threads.submit(block, 60) for _ in range(4)]
            gone = [threads.submit(block, 0.000_1 * (number % 10)) for _ in range(4)]
            start.wait(60)
            pending.set_result(number)
            assert [each.result(60) for each in told] == [number] * 4
            assert {each.result(60) for each in gone} <= {None, number}
