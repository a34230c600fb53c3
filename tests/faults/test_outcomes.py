"""What a store showed after a commit whose outcome was unknown is on disk: its position is never given again.

Rules: the disk is a model (`shim.c`): a flush that fails leaves pages in the cache that the kernel takes for clean.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.running import run

pytestmark = pytest.mark.crash

OFTEN = ["unflushed-from-then-on", "killed"]
RARE = ["unflushed", "flushed", "flushed-then-failing", "full"]


def found(folder: Path, variables: dict[str, str], planted: str, *faults: str) -> dict[str, list[str]]:
    seen = run("outcomes", folder, planted, *faults, environment=variables)
    assert all(seen[fault]["cases"] > 50 for fault in faults)
    return {fault: seen[fault]["found"] for fault in faults}


def test_what_was_shown_after_a_failed_commit_survives_a_power_cut(tmp_path: Path, variables: dict[str, str]) -> None:
    assert found(tmp_path, variables, "", *OFTEN) == {fault: [] for fault in OFTEN}


@pytest.mark.slow
def test_so_it_does_after_rarer_faults(tmp_path: Path, variables: dict[str, str]) -> None:
    assert found(tmp_path, variables, "", *RARE) == {fault: [] for fault in RARE}


def test_a_page_cache_that_is_believed_is_noticed(tmp_path: Path, variables: dict[str, str]) -> None:
    seen = found(tmp_path, variables, "opened_without_settling", "unflushed-from-then-on", "killed")
    assert all("was shown, and is gone" in wrong[0] for wrong in seen.values())


def test_a_store_that_ran_without_durability_has_another_origin(tmp_path: Path, variables: dict[str, str]) -> None:
    """However little of what it showed is left."""
    assert run("outcomes", tmp_path, "", environment=variables)["volatile"]["found"] == []


def test_a_volatile_store_that_says_so_too_late_is_noticed(tmp_path: Path, variables: dict[str, str]) -> None:
    seen = run("outcomes", tmp_path, "volatile_store_says_so_later", environment=variables)
    assert seen["volatile"]["found"] == ["what was shown is gone, and the store has its old origin"]
