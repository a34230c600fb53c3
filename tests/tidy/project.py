"""What the checks of this folder read: the files of the project, their syntax trees, their imports.

Rules: every function takes the root, so that a check can be tried on a small bad project (its positive
control). Only what belongs to the project is seen: no environments, builds or caches.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]

NOT_OURS = {".git", ".venv", "venv", "build", "dist", "__pycache__"}
"""Folders that hold no file of the project; caches of tools are the other folders that begin with a dot."""

KEPT_HIDDEN = {".ci", ".gitignore"}

CODE = (".py", ".pyi", ".pyx", ".pxi")
TEXT = (*CODE, ".md", ".toml", ".in", ".js", ".css", ".html", "run", ".gitignore")


def files(root: Path, *suffixes: str, under: str = ".") -> list[Path]:
    """List the project's files below a folder whose names end in one of the suffixes, in order."""
    return sorted(path for path in walk(root / under) if path.name.endswith(suffixes))


def walk(folder: Path) -> Iterator[Path]:
    """Yield the project's files below a folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        hidden = path.name.startswith(".") and path.name not in KEPT_HIDDEN
        if hidden or path.name in NOT_OURS or path.name.endswith(".egg-info"):
            continue
        if path.is_dir():
            yield from walk(path)
        else:
            yield path


def lay(root: Path, texts: Mapping[str, str]) -> Path:
    """Write a small project for a positive control: path -> text."""
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def tree(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(root: Path, path: Path) -> str:
    """Return the dotted name of a module, a package's for its `__init__.py`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of each absolute import, wherever it is; `from a import b` gives `a.b`.

    `import_module("a.b")` is one too.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named = [name.value for name in node.args[:1] if isinstance(name, ast.Constant)]
            yield from ((node.lineno, name) for name in named if isinstance(name, str))


def place(root: Path, path: Path, line: int = 1) -> str:
    """Name a place in a file as every tool does: `path:line`."""
    return f"{path.relative_to(root)}:{line}"
