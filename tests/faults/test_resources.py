"""Short of disk, descriptors or reader slots: a typed error, reads go on where they can, nothing is there in part.

Rules: what needs a file system of its own needs root, and is left out with the reason where there is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.faults.mounts import NAMESPACE, need
from tests.faults.running import run

pytestmark = pytest.mark.crash


def seen_in(folder: Path, case: str, *, mounts: bool = False) -> Any:
    """Run a case; returns what was seen."""
    if mounts:
        need()
    return run("resources", folder, case, before=NAMESPACE if mounts else [])


def test_a_full_file_system_is_read_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "full_memory", mounts=True)
    assert (seen["seen"], seen["found"]) == (["store-full", "done", "done", "done"], [])
    assert seen["written"] > 50


@pytest.mark.slow
def test_so_does_a_full_disk(tmp_path: Path) -> None:
    need("losetup", "mkfs.ext4")
    seen = seen_in(tmp_path, "full_ext4", mounts=True)
    assert (seen["seen"], seen["found"]) == (["store-full", "done", "done", "done"], [])


def test_a_full_map_is_opened_larger(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "full_map")
    assert (seen["seen"], seen["found"]) == (["store-full", "done"], [])
    assert seen["written"] > 50


def test_a_read_only_file_system_is_read(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "read_only_disk", mounts=True)
    assert (seen["seen"], seen["found"]) == (["store", "store", "store-read-only", "done"], [])


@pytest.mark.slow
def test_a_disk_that_refuses_everything_fences_an_open_store(tmp_path: Path) -> None:
    need("losetup", "mkfs.ext4")
    seen = seen_in(tmp_path, "shut_down_disk", mounts=True)
    assert seen["seen"] == ["store-fenced", "done", "store-fenced", "done", "store", "done"]
    assert seen["found"] == []


def test_an_open_store_needs_no_more_descriptors(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "no_descriptors")
    assert set(seen["seen"]) == {"done"}
    assert seen["refused"][:2] == ["store", "store"]
    assert set(seen["refused"]) == {"store", "done"}
    assert (seen["left"], seen["found"]) == (0, [])


def test_without_reader_slots_writes_go_on(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "no_reader_slots")
    assert seen["seen"] == ["done"] * 5 + ["overloaded", "done"]
    assert (seen["taken"], seen["found"]) == (5, [])


def test_a_reader_that_died_keeps_no_pages(tmp_path: Path) -> None:
    """Beside one that lives, which keeps every page that is replaced: so the measure sees it."""
    bytes_beside = seen_in(tmp_path, "readers")
    assert bytes_beside["lives"] > 5 * bytes_beside["dies"]


def test_timestamps_increase_whatever_the_clock_does(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "jumping_clock")
    assert set(seen["seen"]) == {"done", "clock-behind"}
    assert seen["seen"]["done"] > 50
    assert (seen["increasing"], seen["found"]) == (True, [])


def test_a_forked_child_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "fork_while_open")
    assert seen["code"] == 0
    assert seen["seen"] == ["forked-process"] * 8 + ["done", "store-locked", "done"]
    assert seen["found"] == []


def test_a_write_without_memory_fails_alone(tmp_path: Path) -> None:
    seen = seen_in(tmp_path, "no_address_space")
    assert set(seen["seen"]) <= {"done", "store", "MemoryError"}
    assert set(seen["seen"][0::3]) - {"done"}, "no write went without"
    assert set(seen["seen"][1::3]) == {"done"}
    assert set(seen["seen"][2::3]) == {"store"}
    assert (seen["goes_on"], seen["found"]) == ("done", [])
