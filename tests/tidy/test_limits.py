"""Every bound of `crdtstore/limits.py` has its reason beside it and is enforced somewhere.

Rules: a docstring follows the bound or the group of bounds that shares it; the name occurs in another module
of the package or in the compiled core.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.tidy.project import ROOT, files, lay, tree

LIMITS = "crdtstore/limits.py"


def bounds(root: Path) -> dict[str, bool]:
    """Return each bound's name and whether a docstring follows its group."""
    found: dict[str, bool] = {}
    group: list[str] = []
    for node in tree(root / LIMITS).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            group.append(node.target.id)
            continue
        reason = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        found |= dict.fromkeys(group, reason)
        group = []
    return found | dict.fromkeys(group, False)


def idle_bounds(root: Path) -> list[str]:
    """Find bounds that no other file of the package or of the core names."""
    sources = [*files(root, ".py", under="crdtstore"), *files(root, ".pyx", ".pxi", under="ext")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path != root / LIMITS)
    return sorted(set(bounds(root)) - set(re.findall(r"\w+", text)))


def test_every_bound_has_a_reason() -> None:
    assert [name for name, reason in bounds(ROOT).items() if not reason] == []


def test_every_bound_is_enforced() -> None:
    assert idle_bounds(ROOT) == []


def test_a_bound_without_reason_or_use_is_found(tmp_path: Path) -> None:
    text = '"""Bounds."""\nA: int = 1\nB: int = 2\n"""Both."""\nC: int = 3\nD: int = 4\n"""Two."""\nE: int = 5\n'
    root = lay(tmp_path, {LIMITS: text, "crdtstore/a.py": "limits.A + limits.CC", "ext/b.pxi": "if x > B:"})
    assert bounds(root) == {"A": True, "B": True, "C": True, "D": True, "E": False}
    assert idle_bounds(root) == ["C", "D", "E"]
