"""Every relative link of a page leads to a file, and its anchor to a heading.

Rules: links into the web are not followed: a test must not depend on it.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.pages import ROOT, pages, prose

LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that a forge makes of a page's headings."""
    headings = HEADING.findall(prose(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Find links of a page that lead nowhere."""
    found = []
    for target, anchor in LINK.findall(prose(page.read_text(encoding="utf-8"))):
        aim = page.parent / target if target else page
        if not aim.exists() or (anchor and anchor not in anchors(aim)):
            found.append(f"{page.name}: {target}{'#' + anchor if anchor else ''}")
    return found


def test_no_link_is_broken() -> None:
    assert [link for page in pages() for link in broken_links(page)] == []
    assert pages()[0] == ROOT / "README.md"


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title, `with` code\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](gone.md) [c](other.md#a-title-with-code) [d](other.md#gone) [e](https://example.org/x)\n"
        "```\n[f](code.md)\n```\n",
        encoding="utf-8",
    )
    assert broken_links(page) == ["page.md: gone.md", "page.md: other.md#gone"]
