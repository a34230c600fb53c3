"""A server's process looks for cycles less often, and finds them all the same."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from crdtstore.http.serving.garbage import settle_garbage
from crdtstore.limits import GARBAGE_OBJECTS


class Ring:
    """What refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave the collector as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_cycles_are_collected() -> None:
    settle_garbage()
    alive: weakref.WeakSet[Ring] = weakref.WeakSet()
    for _ in range(4 * GARBAGE_OBJECTS):
        alive.add(Ring())
    assert len(alive) < 2 * GARBAGE_OBJECTS


def test_what_was_there_is_looked_at_no_more() -> None:
    before = gc.get_freeze_count()
    kept = [[] for _ in range(1_000)]  # type: ignore[var-annotated]
    settle_garbage()
    assert gc.get_freeze_count() >= before + len(kept)
    assert gc.get_threshold()[0] == GARBAGE_OBJECTS
