"""Nothing that was acknowledged is lost by a kill, and nothing is there in part."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.running import run

pytestmark = pytest.mark.crash


def test_no_kill_of_500_loses_what_was_acknowledged(tmp_path: Path) -> None:
    seen = run("kills", tmp_path, 500, 1, "")
    assert seen["found"] == []
    assert seen["kills"] == 500
    assert seen["acknowledged"] > 5_000


def test_no_kill_of_100_loses_what_a_write_ahead_log_acknowledged(tmp_path: Path) -> None:
    seen = run("kills", tmp_path, 100, 1, "", "logged")
    assert (seen["found"], seen["kills"]) == ([], 100)
    assert seen["acknowledged"] > 1_000


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2, 22))
def test_no_kill_of_10000_loses_what_was_acknowledged(tmp_path: Path, part: int) -> None:
    seen = run("kills", tmp_path, 500, part, "")
    assert (seen["found"], seen["kills"]) == ([], 500)


def test_an_answer_before_the_commit_is_noticed(tmp_path: Path) -> None:
    seen = run("kills", tmp_path, 500, 1, "acknowledged_before_commit")
    assert "was acknowledged, and" in seen["found"][0]


def test_no_kill_loses_an_attachment(tmp_path: Path) -> None:
    seen = run("kills", tmp_path, 25, 1, "", "attachments")
    assert (seen["found"], seen["kills"]) == ([], 25)
    assert seen["acknowledged"] > 200


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2, 6))
def test_no_kill_of_2000_loses_an_attachment(tmp_path: Path, part: int) -> None:
    seen = run("kills", tmp_path, 500, part, "", "attachments")
    assert (seen["found"], seen["kills"]) == ([], 500)


def test_an_attachment_that_is_acknowledged_too_early_is_noticed(tmp_path: Path) -> None:
    seen = run("kills", tmp_path, 100, 1, "attachments_acknowledged_before_their_row", "attachments")
    assert "was acknowledged, and" in seen["found"][0]
