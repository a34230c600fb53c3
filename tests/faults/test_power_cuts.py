"""Nothing that was acknowledged is lost by a power cut, on real file systems.

Rules: as root, where there are loop devices and the file system can be made. A hundred cuts on each under a store as it
opens, and its controls, are in every run; the rest is on demand: `pytest -m slow tests/faults/test_power_cuts.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest

from tests.faults.mounts import NAMESPACE, need
from tests.faults.running import run

pytestmark = pytest.mark.crash
on_demand = pytest.mark.slow

SYSTEMS = ["ext4", "xfs"]


def cut(folder: Path, system: str, cuts: int, planted: str = "", subject: str = "transactions") -> Any:
    """Cut the power so many times; left out, with the reason, where that cannot be done."""
    need("losetup", f"mkfs.{system}")
    if not Path("/dev/loop-control").exists():
        raise SkipTest("not there: loop devices")
    return run("power_cuts", folder, system, cuts, 1, planted, subject, before=NAMESPACE)


@on_demand
@pytest.mark.parametrize("system", SYSTEMS)
def test_no_power_cut_of_100_loses_what_was_acknowledged(tmp_path: Path, system: str) -> None:
    seen = cut(tmp_path, system, 100)
    assert (seen["found"], seen["lost"], seen["cuts"]) == ([], 0, 100)
    assert seen["acknowledged"] > 1_000


@on_demand
@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("planted", ["commits_not_flushed", "meta_page_not_flushed"])
def test_commits_that_are_not_flushed_are_lost(tmp_path: Path, system: str, planted: str) -> None:
    seen = cut(tmp_path, system, 100, planted)
    assert seen["lost"] > 0


@on_demand
@pytest.mark.parametrize("system", SYSTEMS)
def test_no_power_cut_loses_an_attachment(tmp_path: Path, system: str) -> None:
    seen = cut(tmp_path, system, 50, subject="attachments")
    assert (seen["found"], seen["lost"], seen["cuts"]) == ([], 0, 50)
    assert seen["acknowledged"] > 100


@on_demand
@pytest.mark.parametrize("system", SYSTEMS)
def test_attachments_that_are_not_flushed_are_lost(tmp_path: Path, system: str) -> None:
    seen = cut(tmp_path, system, 50, "attachments_not_flushed", "attachments")
    assert seen["lost"] > 0


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("cuts", [100, pytest.param(500, marks=on_demand)])
def test_no_power_cut_loses_what_a_write_ahead_log_acknowledged(tmp_path: Path, system: str, cuts: int) -> None:
    seen = cut(tmp_path, system, cuts, subject="logged")
    assert (seen["found"], seen["lost"], seen["cuts"]) == ([], 0, cuts)
    assert seen["acknowledged"] > 10 * cuts


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("planted", ["frames_not_flushed", "checkpoints_not_flushed"])
@pytest.mark.parametrize("cuts", [25, pytest.param(100, marks=on_demand)])
def test_a_write_ahead_log_without_one_of_its_flushes_loses(
    tmp_path: Path, system: str, planted: str, cuts: int
) -> None:
    seen = cut(tmp_path, system, cuts, planted, "logged")
    assert seen["lost"] > 0
