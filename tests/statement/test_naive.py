"""A store and the naive interpreter give the same for random statements.

Rules: RUNS of statements in a normal run, a share of them in each mode, in memory or on disk; a million on demand. With
indexes, reading one is made to seem cheap, so that these small collections are looked for in them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from crdtstore.query import plan
from crdtstore.storage import index_build
from tests.query.harness import Mode, open_store
from tests.statement.harness import outcomes

RUNS = 30_000
RUNS_ON_DEMAND = 1_000_000
SHARES: list[tuple[Mode, str, float]] = [
    *(("plain", "memory", 0.09),) * 10,
    ("plain", "disk", 0.04),
    ("indexed", "memory", 0.03),
    ("building", "disk", 0.03),
]
"""Several shares, since catalogs grow with the worlds of a store."""

NORMAL = [(mode, place, int(share * RUNS), seed) for seed, (mode, place, share) in enumerate(SHARES)]
ON_DEMAND = [
    pytest.param(mode, place, int(share * RUNS_ON_DEMAND), -1 - seed, marks=[pytest.mark.slow, pytest.mark.timeout(0)])
    for seed, (mode, place, share) in enumerate(SHARES)
]


@pytest.mark.parametrize(("mode", "place", "runs", "seed"), [*NORMAL, *ON_DEMAND])
def test_a_store_gives_what_the_naive_interpreter_gives(
    mode: Mode, place: str, runs: int, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LOOKUP_COST", 0)
    monkeypatch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 7)
    came: Counter[str] = Counter()
    with open_store(place, tmp_path) as store:
        for outcome in outcomes(store, mode, seed, runs):
            assert outcome.difference is None, outcome.difference
            came[outcome.came] += 1
    assert came.total() >= runs
    shares = {name: count / came.total() for name, count in came.items()}
    assert shares["rows"] > 0.3, shares
    assert shares["changes"] > 0.05, shares
    assert 0.01 < shares["refused"] < 0.15, shares
