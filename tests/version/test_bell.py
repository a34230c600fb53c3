"""A bell: rung before, while or after somebody waits, it is heard once, and never lost."""

from __future__ import annotations

from threading import Thread
from time import monotonic

from crdtstore.bell import Bell

ROUNDS = 2_000


def test_a_ring_before_the_wait_is_heard() -> None:
    bell = Bell()
    bell.ring()
    assert bell.wait(0)


def test_several_rings_are_one() -> None:
    bell = Bell()
    for _ in range(10):
        bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_what_is_forgotten_is_not_heard() -> None:
    bell = Bell()
    bell.ring()
    bell.quiet()
    assert not bell.wait(0)


def test_who_waits_in_vain_ends() -> None:
    bell, begun = Bell(), monotonic()
    assert not bell.wait(0.01)
    assert not bell.wait(-1)
    assert monotonic() - begun >= 0.01


def test_none_is_lost_between_threads() -> None:
    """Each side waits until the other one rang: one lost ring would hold both."""
    here, there = Bell(), Bell()

    def answer() -> None:
        for _ in range(ROUNDS):
            assert here.wait(60)
            there.ring()

    thread = Thread(target=answer)
    thread.start()
    for _ in range(ROUNDS):
        here.ring()
        assert there.wait(60)
    thread.join(60)
    assert not thread.is_alive()
