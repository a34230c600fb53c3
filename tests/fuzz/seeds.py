"""Well-formed values of the strategies that the other tests have, as seeds; the same in every run."""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

T = TypeVar("T")


def collect(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """So many values of a strategy, small ones among them."""
    found: list[T] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def note(value: Any) -> None:
        found.append(value)

    note()
    return found


def different(pieces: list[bytes], bytes_max: int = 2_048) -> list[bytes]:
    """Each piece once, without those that are too long to be altered often."""
    return list(dict.fromkeys(piece for piece in pieces if len(piece) <= bytes_max))
