"""The tree in the docstring of `crdtstore/errors.py` is the tree of its classes.

Rules: every class stands in the tree under its base and the other way round; codes are unique slugs.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.tidy.project import ROOT, lay, tree

ERRORS = "crdtstore/errors.py"
ROOT_CLASS = "CrdtStoreError"
BRANCH = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+) ")
SLUG = re.compile(r"[a-z]+(-[a-z]+)*")


def drawn_tree(docstring: str) -> dict[str, str]:
    """Read the drawing: class -> its base, by how far its name is indented."""
    bases: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.partition("```")[2].partition("```")[0].splitlines():
        branch = BRANCH.match(line)
        if branch:
            depth = len(branch["indent"])
            above = [entry for entry in above if entry[0] < depth]
            bases[branch["name"]] = above[-1][1] if above else "Exception"
            above.append((depth, branch["name"]))
    return bases


def written_tree(module: ast.Module) -> dict[str, str]:
    """Read the classes: class -> its base."""
    return {node.name: ast.unparse(node.bases[0]) for node in module.body if isinstance(node, ast.ClassDef)}


def codes(module: ast.Module) -> list[str]:
    """List the codes that the classes carry."""
    return [
        statement.value.value
        for node in module.body
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        and ast.unparse(statement.targets[0] if isinstance(statement, ast.Assign) else statement.target) == "code"
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ]


def differences(root: Path) -> list[str]:
    """Name classes whose place differs between drawing and code."""
    module = tree(root / ERRORS)
    drawn, written = drawn_tree(ast.get_docstring(module) or ""), written_tree(module)
    return [
        f"{name} is drawn under {drawn.get(name)} and derived from {written.get(name)}"
        for name in sorted(drawn.keys() | written.keys())
        if drawn.get(name) != written.get(name)
    ]


def test_the_drawing_is_the_tree() -> None:
    assert differences(ROOT) == []
    assert next(iter(written_tree(tree(ROOT / ERRORS)).items())) == (ROOT_CLASS, "Exception")


def test_codes_are_unique_slugs() -> None:
    module = tree(ROOT / ERRORS)
    found = codes(module)
    assert len(found) == len(written_tree(module)), "A class without its own code reads as its base."
    assert len(set(found)) == len(found)
    assert [code for code in found if not SLUG.fullmatch(code)] == []


def test_a_difference_is_found(tmp_path: Path) -> None:
    text = '''"""Errors.

```
CrdtStoreError      root
├─ CallerError      mine
│  └─ Missing       drawn only
└─ Moved            drawn here
```
"""
class CrdtStoreError(Exception): code = "error"
class CallerError(CrdtStoreError): code: str = "caller"
class Moved(CallerError): code = "caller"
class Silent(CallerError): pass
'''
    root = lay(tmp_path, {ERRORS: text})
    assert differences(root) == [
        "Missing is drawn under CallerError and derived from None",
        "Moved is drawn under CrdtStoreError and derived from CallerError",
        "Silent is drawn under None and derived from CallerError",
    ]
    assert codes(tree(root / ERRORS)) == ["error", "caller", "caller"]
