"""Every state that a power cut may leave of a store with a write-ahead log holds what was acknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.running import run

pytestmark = pytest.mark.crash

PLANTED = [
    "frames_not_flushed",
    "frames_written_later",
    "checkpoints_not_pinned",
    "checkpoints_not_flushed",
    "checkpoint_not_restored",
    "log_not_settled",
]


def cut(folder: Path, variables: dict[str, str], states: int, planted: str = "") -> Any:
    """Open so many states."""
    return run("wal_states", folder, states, 3, *([planted] if planted else []), environment=variables)


def test_no_state_of_1_000_loses_what_was_acknowledged(tmp_path: Path, variables: dict[str, str]) -> None:
    seen = cut(tmp_path, variables, 1_000)
    assert (seen["found"], seen["wrong"]) == ([], 0)
    assert seen["states"] >= 1_000


@pytest.mark.slow
def test_no_state_of_100_000_loses_what_was_acknowledged(tmp_path: Path, variables: dict[str, str]) -> None:
    for seed in range(20):
        seen = run("wal_states", tmp_path, 5_000, seed, environment=variables)
        assert (seen["found"], seen["wrong"]) == ([], 0), seed


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_bug_is_found_among_the_states(tmp_path: Path, variables: dict[str, str], planted: str) -> None:
    # It ends where it finds the first.
    assert cut(tmp_path, variables, 4_000, planted)["wrong"] > 0
