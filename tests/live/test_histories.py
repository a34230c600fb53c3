"""A live query gives what a find does, whatever happens: random histories, and none differs.

Rules: 10,000 histories in a normal run, a quarter in each language: most on LMDB, whose searches are compiled, the
others in memory. A hundred times as many on demand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.histories import histories
from tests.query.harness import LANGUAGES

HISTORIES = {"disk": 2_000, "memory": 500}
ON_DEMAND = [
    pytest.param(place, 100 * least, marks=[pytest.mark.slow, pytest.mark.timeout(0)])
    for place, least in HISTORIES.items()
]


@pytest.mark.parametrize(("place", "least"), [*HISTORIES.items(), *ON_DEMAND])
@pytest.mark.parametrize("name", LANGUAGES)
def test_a_live_query_gives_what_a_find_does(name: str, place: str, least: int, tmp_path: Path) -> None:
    played = changes = rows = 0
    for outcome in histories((name,), 1, least, tmp_path if place == "disk" else None):
        assert outcome.right, outcome.asked
        played += 1
        changes += outcome.changes
        rows += len(outcome.rows)
    assert played >= least
    assert changes > 1.5 * played, "Next to nothing changes."
    assert rows > played, "The queries find next to nothing."
