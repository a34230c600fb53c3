"""What is declared in `pyproject.toml` is what is imported.

Rules: the package imports only what it declares, and every declared dependency is imported; tests import what
the group `test` installs besides, benches the group `bench`.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.tidy.project import ROOT, files, imports, lay, tree

IMPORTED_AS = {"google-re2": "re2", "import-linter": "importlinter", "pytest-timeout": "pytest_timeout"}

OURS = {"crdtstore", "tests", "bench", "setup"}

OF_CPYTHON = {"_testcapi"}
"""Comes with CPython, and does not stand in its list of modules."""


def import_names(requirements: Iterable[str]) -> set[str]:
    """Return the names under which requirements are imported."""
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
    return {IMPORTED_AS.get(name, name.lower().replace("-", "_")) for name in names}


def group(table: dict[str, list[Any]], name: str) -> set[str]:
    """Return the requirements of a dependency group and of those that it includes."""
    return {
        requirement
        for entry in table[name]
        for requirement in ([entry] if isinstance(entry, str) else group(table, entry["include-group"]))
    }


def third_party(root: Path, folder: str) -> dict[str, str]:
    """Return what the files of a folder import from others: top-level name -> one file."""
    return {
        name.partition(".")[0]: str(path.relative_to(root))
        for path in files(root, ".py", under=folder)
        for _, name in imports(tree(path))
        if name.partition(".")[0] not in sys.stdlib_module_names | OURS | OF_CPYTHON
    }


def findings(root: Path) -> list[str]:
    """Find imports that are not declared and declarations that are not imported."""
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    extras = [entry for extra in config["project"].get("optional-dependencies", {}).values() for entry in extra]
    package = import_names([*config["project"]["dependencies"], *extras])
    groups = config["dependency-groups"]
    found = []
    for folder, known in (
        ("crdtstore", package),
        ("tests", package | import_names(group(groups, "test") | set(groups.get("fuzz", [])))),
        ("bench", package | import_names(group(groups, "bench"))),
    ):
        used = third_party(root, folder)
        found += [f"{path} imports {name}, which is not declared" for name, path in used.items() if name not in known]
    idle = package - set(third_party(root, "crdtstore"))
    return found + [f"{name} is declared and never imported" for name in sorted(idle)]


def test_declared_is_imported() -> None:
    assert findings(ROOT) == []


def test_a_difference_is_found(tmp_path: Path) -> None:
    config = """
[project]
dependencies = ["lmdb>=3,<4", "msgpack>=1.2"]
[project.optional-dependencies]
server = ["google-re2"]
[dependency-groups]
test = ["pytest>=9"]
bench = ["pycrdt", { include-group = "test" }]
"""
    root = lay(
        tmp_path,
        {
            "pyproject.toml": config,
            "crdtstore/a.py": "import os\nfrom lmdb import Environment\nimport yaml.loader\n",
            "tests/test_a.py": "import pytest\nimport pycrdt\nfrom tests.b import c\n",
            "bench/b.py": "import pytest\nimport pycrdt\n",
        },
    )
    assert findings(root) == [
        "crdtstore/a.py imports yaml, which is not declared",
        "tests/test_a.py imports pycrdt, which is not declared",
        "msgpack is declared and never imported",
        "re2 is declared and never imported",
    ]
