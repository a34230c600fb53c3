"""The README's two commands are the ones that CI runs and that a newcomer types.

Rules: each stands in a `sh` block after its marker. CI reads the test command out of the README (`.ci/run`),
so it cannot differ; here it is only held to be there and to be whole.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.docs.pages import ROOT, marked_block

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        (
            "test-command",
            ["python3 -m venv .venv", "-e '.[server]'", "--group test", ".venv/bin/python -m pytest"],
        ),
        ("serve-command", ["crdtstore serve"]),
    ],
)
def test_the_command_stands_after_its_marker(marker: str, words: list[str]) -> None:
    command = marked_block(README, marker)
    assert [word for word in words if word not in command] == []


def test_ci_reads_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "<!-- test-command -->" in script
    assert "pytest" not in script


def test_the_readme_says_which_python() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lowest = config["project"]["requires-python"].removeprefix(">=")
    assert re.search(rf"Python {re.escape(lowest)}\b", README)


def test_a_missing_marker_is_found() -> None:
    assert marked_block("# x\n\n<!-- a -->\n```sh\nrun\n```\n", "a") == "run\n"
    assert marked_block("# x\n\n<!-- a -->\n\nprose\n```sh\nrun\n```\n", "a") == ""
    assert marked_block("# x\n", "a") == ""
