"""The top level of the project holds what the design lists, and nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.tidy.project import ROOT, lay, walk

TOP = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "bench",
    "crdtstore",
    "docs",
    "ext",
    "pyproject.toml",
    "setup.py",
    "tests",
}


def strays(root: Path) -> set[str]:
    """Find files and folders at the top that the design does not list."""
    return {path.relative_to(root).parts[0] for path in walk(root)} - TOP


def test_the_top_level_holds_nothing_else() -> None:
    assert strays(ROOT) == set()


def test_a_stray_is_found(tmp_path: Path) -> None:
    root = lay(tmp_path, {"README.md": "", "scratch.py": "", "tools/x.py": "", "build/x.py": "", ".cache/x": ""})
    assert strays(root) == {"scratch.py", "tools"}
