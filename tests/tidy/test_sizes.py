"""Files and functions stay small enough to be read at once.

Rules: a file has at most 500 lines, a function at most 60, docstring included; far less is usual. What is
longer for a reason stands in `EXCEPTIONS` with that reason, and leaves the table when it has become shorter.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.tidy.project import CODE, ROOT, files, lay, place, tree

FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

EXCEPTIONS: Mapping[str, str] = {
    "crdtstore/errors.py": "the one table of errors, each with its meaning: it is looked up, never read through",
    "crdtstore/limits.py": "the one table of bounds, each with its reason: it is looked up, never read through",
}
"""`path` or `path name` -> why it is one piece all the same."""

FRAGMENT_FUNCTION = re.compile(
    r"^( *)(?:async )?(?:def|cdef|cpdef)\b(?! *(?:class|struct|union|enum|extern)\b)[^=]*?(\w+)\("
)


def long_pieces(root: Path) -> dict[str, str]:
    """Find files and functions over the bounds: `path` or `path name` -> where and how long."""
    found = {}
    for path in files(root, *CODE, ".js"):
        name = str(path.relative_to(root))
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) > FILE_LINES_MAX:
            found[name] = f"{place(root, path)} has {len(lines)} lines"
        functions = fragment_functions(lines) if path.suffix in {".pyx", ".pxi"} else python_functions(path)
        for line, function, length in functions:
            if length > FUNCTION_LINES_MAX:
                found[f"{name} {function}"] = f"{place(root, path, line)} {function} has {length} lines"
    return found


def python_functions(path: Path) -> Iterator[tuple[int, str, int]]:
    """Yield (line, name, lines) of each function of a Python file."""
    if path.suffix == ".py":
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.lineno, node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def fragment_functions(lines: list[str]) -> Iterator[tuple[int, str, int]]:
    """Yield (line, name, lines) of each function of a Cython file, judged by indentation."""
    for start, line in enumerate(lines):
        head = FRAGMENT_FUNCTION.match(line)
        if head is None:
            continue
        end = last = start
        for end in range(start + 1, len(lines)):
            text = lines[end].strip()
            if text and not lines[end].startswith(head[1] + " ") and not text.startswith(")"):
                break
            last = end if text else last
        yield start + 1, head[2], last - start + 1


def test_nothing_is_too_long() -> None:
    found = long_pieces(ROOT)
    assert [text for name, text in found.items() if name not in EXCEPTIONS] == []
    assert set(EXCEPTIONS) <= set(found), "An exception is not needed any more."


def test_long_pieces_are_found(tmp_path: Path) -> None:
    body = "    x = 1\n" * 60
    wide = "cdef class A(B):\n    int x\n\ncdef int tall(\n    int a,\n) except -1:\n"
    root = lay(
        tmp_path,
        {
            "crdtstore/long.py": "x = 1\n" * 501,
            "crdtstore/short.py": f"def short() -> None:\n{body[:-10]}\nx = 1\n",
            "crdtstore/tall.py": f"class A:\n    x = 1\n\n\ndef tall() -> None:\n{body}",
            "ext/tall.pxi": f"{wide}{body}\nx = 1\n",
        },
    )
    assert list(long_pieces(root).values()) == [
        "crdtstore/long.py:1 has 501 lines",
        "crdtstore/tall.py:5 tall has 61 lines",
        "ext/tall.pxi:4 tall has 63 lines",
    ]
