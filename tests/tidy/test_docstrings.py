"""Each module says first what it is.

Rules: every Python file has a docstring whose first line ends with a period; every fragment of the compiled
core names its plain twin in line 1: a file that exists, or a package. Docstrings of functions are ruff's.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.tidy.project import ROOT, files, lay, place, tree

TWIN = re.compile(r"crdtstore/[a-z0-9_/]+\.py")
TWIN_PACKAGES = ("the msgpack package",)


def silent_modules(root: Path) -> list[str]:
    """Find Python files without a docstring whose first line is a sentence."""
    return [
        f"{place(root, path)} has no docstring whose first line ends with a period"
        for path in files(root, ".py", ".pyi")
        if not (ast.get_docstring(tree(path)) or "").partition("\n")[0].endswith(".")
    ]


def fragments_without_twin(root: Path) -> list[str]:
    """Find fragments of the core whose first line does not name a plain twin that exists."""
    found = []
    for path in files(root, ".pxi", under="ext"):
        first = path.read_text(encoding="utf-8").partition("\n")[0]
        twins = TWIN.findall(first)
        named = bool(twins) or any(package in first for package in TWIN_PACKAGES)
        if not named or not all((root / twin).exists() for twin in twins):
            found.append(f"{place(root, path)} names no plain twin: {first!r}")
    return found


def test_every_module_says_what_it_is() -> None:
    assert silent_modules(ROOT) == []


def test_a_silent_module_is_found(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "crdtstore/good.py": '"""A sentence.\n\nMore.\n"""\n',
            "crdtstore/none.py": "x = 1\n",
            "crdtstore/title.py": '"""A title without an end\n\nMore.\n"""\n',
        },
    )
    assert [line.partition(" ")[0] for line in silent_modules(root)] == [
        "crdtstore/none.py:1",
        "crdtstore/title.py:1",
    ]


def test_every_fragment_names_its_twin() -> None:
    assert fragments_without_twin(ROOT) == []


def test_a_fragment_without_twin_is_found(tmp_path: Path) -> None:
    root = lay(
        tmp_path,
        {
            "crdtstore/crdt/merge.py": "",
            "ext/gone.pxi": "# The twin of crdtstore/crdt/gone.py.\n",
            "ext/merge.pxi": "# The twin of crdtstore/crdt/merge.py.\n",
            "ext/mute.pxi": "cdef int x\n",
        },
    )
    found = [line.partition(" ")[0] for line in fragments_without_twin(root)]
    assert found == ["ext/gone.pxi:1", "ext/mute.pxi:1"]
