"""The count of what was done, told at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.histories.rounds import Count


@pytest.fixture(scope="session")
def counted(told: dict[str, str]) -> Iterator[dict[str, Count]]:
    """Where a test leaves what it has done: a harness that silently tests nothing is worse than none."""
    counts: dict[str, Count] = {}
    yield counts
    told.update({f"histories, {name}": str(count) for name, count in counts.items()})
    told["histories, in all"] = str(sum(counts.values(), Count()))
