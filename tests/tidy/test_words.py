"""Words that must not stand in the project.

Rules: no vendor is named outside the names of HTTP headers and one path, nothing is marked as unfinished or skipped,
and nothing depends on one machine or one package host. The patterns are spelled so that they do not match themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tidy.project import CODE, ROOT, TEXT, files, lay, place

EVERYWHERE: Mapping[str, str] = {
    r"(?i)(?<!x[-_])(?<!/_)ditt[o](?![-_]?mark)": "a vendor's name outside a header's or the path of logins",
    r"(?i)big[ -]?pee[r]\b": "a vendor's word for a server",
    r"(?i)cumulocit[y]|\bc8[y]\b": "a vendor's name",
    r"/wor[k]/|/far[m]/|/roo[t]/|/tmp/ven[v]": "a path of one machine",
    r"https?://[a-z.]*(?:[p]ypi|[p]ythonhosted|[n]pmjs|[d]ebian)\.": "a package host",
    r"(?i)\bissue[s]? *#?\d": "the number of an issue",
}
IN_CODE: Mapping[str, str] = {
    r"\b(?:TOD[O]|FIXM[E]|XX[X])\b": "unfinished work",
    r"\bNotImplementedErro[r]\b": "unfinished work",
    r"pragma: no cove[r]|mark\.ski[p]|mark\.xfai[l]|pytest\.ski[p]": "a test or line that is left out",
}


def banned_words(root: Path) -> list[str]:
    """Find lines that hold a banned word."""
    found = []
    for path in files(root, *TEXT):
        patterns = {**EVERYWHERE, **IN_CODE} if path.name.endswith(CODE) else EVERYWHERE
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found += [f"{place(root, path, number)} {why}" for word, why in patterns.items() if re.search(word, line)]
    return found


def test_no_banned_word_stands_anywhere() -> None:
    assert banned_words(ROOT) == []


@pytest.mark.parametrize(
    "line",
    [
        "as in Ditt" + "o's API",
        "DITT" + "O_STORE = 1",
        "the Big Pee" + "r",
        "see /wor" + "k/main",
        "https://files.pythonhoste" + "d.org/",
        "from issu" + "e #12",
        "# TOD" + "O: later",
        "@pytest.mark.ski" + "p",
        "raise NotImplementedErro" + "r",
    ],
)
def test_a_banned_word_is_found(tmp_path: Path, line: str) -> None:
    assert len(banned_words(lay(tmp_path, {"crdtstore/bad.py": f"x = 1\n{line}\n"}))) == 1


@pytest.mark.parametrize("line", ["X-DITTO-CLIENT-ID", "x_ditto_txn_id = 1", "three issues are open", "XXXL"])
def test_an_innocent_line_is_not_found(tmp_path: Path, line: str) -> None:
    assert banned_words(lay(tmp_path, {"crdtstore/good.py": line})) == []
