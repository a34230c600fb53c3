"""Every Python example of every page runs.

Rules: the `python` blocks of a page are one program, run from top to bottom in an empty folder; a line that
ends in `# -> text` states what the expression on it gives. Examples in other languages are not run here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks, pages

RESULT = re.compile(r"^(?P<expression>\S.*?)  # -> (?P<result>.*)$", re.MULTILINE)


def with_results_checked(program: str) -> str:
    """Turn `expression  # -> result` into a check, on one line so that line numbers stay."""
    return RESULT.sub(lambda line: f"check(({line['expression']}), {line['result']!r})", program)


def run(program: str, name: str) -> int:
    """Run a program whose results are checked, and return how many were."""
    checked = 0

    def check(value: Any, result: str) -> None:
        nonlocal checked
        checked += 1
        assert repr(value) == result

    exec(compile(with_results_checked(program), name, "exec"), {"check": check})
    return checked


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run("\n".join(blocks(page.read_text(encoding="utf-8"), "python")), page.name)


def test_a_wrong_result_is_found() -> None:
    assert run("x = [1]\nx + [2]  # -> [1, 2]\n1, 2  # -> (1, 2)\n", "good") == 2
    with pytest.raises(AssertionError):
        run("x = [1]\nx + [2]  # -> [1, 3]\n", "bad")
