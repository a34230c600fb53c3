"""No damage to a data file escapes verification: rows that are altered, rows that are hidden, pages that went round.

The controls take checks away and must then miss something. A thousand files in the normal run, ten thousand on demand.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtstore.storage import verify as verification
from tests.storage.verified import build

ROOT = Path(__file__).parents[2]
FILES, FILES_ON_DEMAND, FILES_OF_CONTROL = 1_000, 10_000, 400
SECONDS_MAX = 1_800


def damage(directory: Path, first: int, last: int, *without: str) -> Any:
    """Damage copies of a store in a process of its own, and let it verify them."""
    store = build(directory / "store")
    command = [sys.executable, "-m", "tests.storage.damaged_stores", str(store), str(first), str(last), *without]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=SECONDS_MAX, check=True)
    return json.loads(done.stdout)


def test_no_damaged_file_is_taken_for_whole(tmp_path: Path) -> None:
    outcome = damage(tmp_path, 0, FILES)
    assert outcome["missed"] == 0
    assert outcome["damaged"] > FILES // 5
    assert outcome["codes"].keys() >= {"structure", "pages", "rows", "seal", "file", "counts", "head"}


@pytest.mark.slow
@pytest.mark.timeout(SECONDS_MAX)
def test_no_damaged_file_is_taken_for_whole_on_demand(tmp_path: Path) -> None:
    assert damage(tmp_path, FILES, FILES_ON_DEMAND)["missed"] == 0


@pytest.mark.parametrize(
    "left",
    [
        {"check_structure"},
        {"check_meta", "check_keys", "check_peers"},
        {"check_collections", "check_paths", "check_replicas", "check_documents", "check_counts", "check_count"},
    ],
    ids=["structure", "small tables", "documents"],
)
def test_some_checks_alone_miss_damage(tmp_path: Path, left: set[str]) -> None:
    every = {check.__name__ for check in verification.CHECKS} | {"check_structure", "check_count"}
    assert damage(tmp_path, 0, FILES_OF_CONTROL, *sorted(every - left))["missed"] > 0
