"""The changelog has a place for what comes, and its newest release is not ahead of the package."""

from __future__ import annotations

import re

from packaging.version import Version

from crdtstore._version import __version__
from tests.docs.pages import ROOT

HEADINGS = {"Safety", "Features", "Changes", "Internals"}


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[([^]]+)\]", text, re.MULTILINE)
    assert releases[0] == "Unreleased"
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= HEADINGS
    numbers = [Version(release) for release in releases[1:]]
    assert numbers == sorted(numbers, reverse=True)
    assert all(number <= Version(__version__) for number in numbers)
