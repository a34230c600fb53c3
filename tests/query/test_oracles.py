"""Every language finds what its oracle says, over many pairs of a document and a query, through a real store.

Rules: PAIRS a language, mode and place in a normal run; a hundred times as many on demand. Each planted fault must be
found within as many.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.query.harness import LANGUAGES, Mode, open_store, pairs

PAIRS = 100_000
PAIRS_ON_DEMAND = 10_000_000


ON_DEMAND = pytest.param("memory", "plain", PAIRS_ON_DEMAND, marks=[pytest.mark.slow, pytest.mark.timeout(0)])


@pytest.mark.parametrize(
    ("place", "mode", "count"), [("memory", "plain", PAIRS), ("disk", "writes", PAIRS // 4), ON_DEMAND]
)
@pytest.mark.parametrize("name", LANGUAGES)
def test_a_language_finds_what_its_oracle_says(name: str, place: str, mode: Mode, count: int, tmp_path: Path) -> None:
    judged = matched = 0
    with open_store(place, tmp_path) as store:
        for answer in pairs(LANGUAGES[name], store, mode, 0, count):
            assert answer.is_right, answer
            judged += answer.documents
            matched += len(answer.found)
    assert judged >= count
    assert 0.1 < matched / judged < 0.9, "The queries find next to nothing, or nearly everything."
