"""Wherever a backup, a restoring or a compacting is killed or fails, there is a whole result or none, and the store.

Rules: see `interrupted`. After each fault the operation is run again, and then comes through.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, Upsert
from crdtstore.storage.backup import back_up

ROOT = Path(__file__).parents[2]
PLACES_MIN = 10
"""Each operation makes at least so many calls: else nothing was counted."""


@pytest.fixture
def start(tmp_path: Path) -> str:
    """A store and its backup; what the store holds."""
    data = tmp_path / "start" / "data"
    data.parent.mkdir()
    with Store.open(data) as store:
        for number in range(20):
            store.write([Upsert("c", {"n": number, "text": "x" * 500}, id=number % 5)])
        expected = f"{store.applied} {store.digest().hex()}"
    back_up(data, data.with_name("backup"), created=1)
    return expected


def places(folder: Path, operation: str, fault: str) -> list[Any]:
    """What is seen after a fault at each place."""
    command = [sys.executable, "-m", "tests.storage.interrupted", str(folder), operation, fault]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, timeout=600, check=True)
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.crash
@pytest.mark.parametrize("fault", ["kill", "fail"])
@pytest.mark.parametrize("operation", ["backup", "restore", "compact"])
def test_there_is_a_whole_result_or_none(start: str, tmp_path: Path, operation: str, fault: str) -> None:
    found = places(tmp_path, operation, fault)
    assert len(found) > PLACES_MIN
    for place, (first, kept, then) in enumerate(found):
        assert first in ("absent", start), (place, first)
        assert (place, kept, then) == (place, start, start)
    assert found[-1][0] == start


@pytest.mark.crash
def test_a_backup_that_is_built_in_place_is_caught(start: str, tmp_path: Path) -> None:
    """The positive control."""
    found = places(tmp_path, "unsafe", "kill")
    assert any(first not in ("absent", start) for first, _, _ in found)
