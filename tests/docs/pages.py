"""The pages that these tests read: the README, the files of docs/, and what stands beside the sources.

Rules: a page is Markdown. Commands that a test runs stand in the fenced block after a marker, a comment line
of its own such as `<!-- test-command -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def pages(root: Path = ROOT) -> list[Path]:
    """List the pages, the README first."""
    return [
        *sorted(root.glob("*.md"), reverse=True),
        *sorted((root / "docs").rglob("*.md")),
        root / "ext" / "README.md",
    ]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return [fence["text"] for fence in FENCE.finditer(text) if fence["language"] == language]


def marked_block(text: str, marker: str) -> str:
    """Return the fenced block that follows a marker, or nothing."""
    _, found, tail = text.partition(f"\n<!-- {marker} -->\n")
    fence = FENCE.match(tail) if found else None
    return fence["text"] if fence else ""


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", text)
