"""The test of endurance of feeds, in a short form, and what it takes for wrong."""

from __future__ import annotations

from typing import cast

import pytest

from bench.feeds import FeedReader, Load, World, measure
from bench.served import Server

SERVER = cast("Server", None)


@pytest.mark.slow
def test_every_reader_ends_at_the_same_version_with_the_same_events() -> None:
    counts = measure(Load(waiting=100, readers=100, writers=16, seconds=10, pause=0.2))
    assert counts.problems == []
    assert counts.returns >= 10
    assert counts.events >= 100 * counts.writes > 0


def readers_of(world: World, *lines: bytes) -> list[FeedReader]:
    """Two readers: one that was told everything, and one that was told these lines."""
    told = FeedReader(SERVER, world.counts, idle=False)
    told.take(b'{"txnId":1,"a":1}\n{"txnId":2,"a":1}\n')
    other = FeedReader(SERVER, world.counts, idle=False)
    other.take(b"".join(lines))
    world.counts.newest = 2
    return [told, other]


@pytest.mark.parametrize(
    ("lines", "wrong"),
    [
        ((b'{"txnId":1,"a":1}\n', b'\n{"txnId":2,"a":1}\n{"type":"cut","next":2}\n'), False),
        ((b'{"txnId":1,"a":1}\n',), True),
        ((b'{"txnId":2,"a":1}\n',), True),
        ((b'{"txnId":1,"a":2}\n{"txnId":2,"a":1}\n',), True),
    ],
    ids=["same", "behind", "left out", "other"],
)
def test_readers_that_differ_are_told(lines: tuple[bytes, ...], wrong: bool) -> None:  # noqa: FBT001  it is what is expected
    world = World(SERVER, Load())
    assert bool(world.judge(readers_of(world, *lines)).problems) == wrong


def test_too_much_memory_is_told() -> None:
    world = World(SERVER, Load(memory_mebibytes=1))
    readers = readers_of(world, b'{"txnId":1,"a":1}\n{"txnId":2,"a":1}\n')
    world.counts.memory_peak = 3 << 20
    assert "3 MiB" in world.judge(readers).problems[0]
