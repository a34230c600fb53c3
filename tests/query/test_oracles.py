"""Every language finds what its oracle says, over many pairs of a document and a query, through a real store.

Rules: PAIRS a language in a normal run, a share of them in each mode; a hundred times as many on demand.
With indexes, reading one is made to seem cheap, so that these small collections are looked for in them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from crdtstore.query import plan
from crdtstore.storage import index_build
from tests.query.harness import LANGUAGES, WAYS, Mode, open_store, pairs

PAIRS = 100_000
PAIRS_ON_DEMAND = 10_000_000
SHARES: dict[Mode, float] = {"plain": 0.49, "writes": 0.17, "indexed": 0.17, "building": 0.17}
PLACES: dict[Mode, str] = {"plain": "memory", "writes": "disk", "indexed": "disk", "building": "memory"}
ON_DEMAND = [
    pytest.param(mode, int(share * PAIRS_ON_DEMAND), marks=[pytest.mark.slow, pytest.mark.timeout(0)])
    for mode, share in SHARES.items()
]


@pytest.mark.parametrize(
    ("mode", "count"), [*((mode, int(share * PAIRS)) for mode, share in SHARES.items()), *ON_DEMAND]
)
@pytest.mark.parametrize("name", LANGUAGES)
def test_a_language_finds_what_its_oracle_says(
    name: str, mode: Mode, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LOOKUP_COST", 0)
    monkeypatch.setattr(index_build, "INDEX_BUILD_DOCUMENTS", 7)
    judged = matched = 0
    accesses: Counter[str] = Counter()
    ways: Counter[str] = Counter()
    with open_store(PLACES[mode], tmp_path) as store:
        for answer in pairs(LANGUAGES[name], store, mode, 0, count):
            assert answer.is_right, answer
            judged += answer.documents
            matched += len(answer.expected) if answer.way != "counted" else answer.expected[0]
            accesses[answer.access] += 1
            ways[answer.way] += 1
    assert judged >= count
    assert set(ways) == set(WAYS)
    assert 0.05 < matched / judged < 0.9, "The queries find next to nothing, or nearly everything."
    indexed = accesses["index"] / accesses.total()
    assert indexed == 0 if mode in ("plain", "writes") else indexed > 0.05, accesses
