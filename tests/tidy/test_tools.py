"""The checks that others wrote, run over this project with the settings of `pyproject.toml`.

Rules: each is one command that a person may type as well, run in the project's root; what it prints is what a
failure shows. A tool whose settings could silence it has a positive control: a small bad sample under the
same settings.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.project import ROOT, lay

STUBTEST = [
    "python",
    "-m",
    "mypy.stubtest",
    "--ignore-disjoint-bases",
    "--mypy-config-file",
    "pyproject.toml",
]
COMMANDS = {
    "types": ["mypy"],
    "style": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "layers": ["lint-imports", "--no-cache"],
    "cython": ["cython-lint", "ext"],
    "spelling": ["codespell"],
    "stub": [*STUBTEST, "--allowlist", "tests/tidy/stubtest_allowlist.txt", "crdtstore._core"],
}

NAMED = [
    f"crdtstore/{name}.py"
    for name in (
        *(
            "__init__",
            "bell",
            "limits",
            "errors",
            "_version",
            "store",
            "writing",
            "reading",
            "prepared",
            "http/__init__",
        ),
        *("http/call", "http/store/__init__", "http/admin/__init__", "http/login/__init__"),
    )
]
"""Modules that contracts about layers name one by one: a project without them is refused for that."""


def run(root: Path, command: list[str]) -> tuple[int, str]:
    """Run a tool that is installed beside this Python and return its exit code and what it printed."""
    beside = str(Path(sys.executable).parent)
    tool = shutil.which(command[0], path=beside)
    assert tool is not None, f"{command[0]} is not installed: install the dependency group `test`."
    # Tools call each other by name.
    environment = {**os.environ, "PATH": os.pathsep.join((beside, os.environ["PATH"]))}
    done = subprocess.run([tool, *command[1:]], cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_tool_finds_nothing(name: str) -> None:
    code, output = run(ROOT, COMMANDS[name])
    assert code == 0, output


@pytest.mark.parametrize(
    ("name", "sample", "finding"),
    [
        ("types", {"crdtstore/a.py": "def f(x): return x\n"}, "no-untyped-def"),
        ("style", {"crdtstore/a.py": '"""A module."""\n\nimport os\n'}, "F401"),
        ("format", {"crdtstore/a.py": "x = {  }\n"}, "would be reformatted"),
        (
            "layers",
            {
                "crdtstore/__init__.py": "",
                "crdtstore/crdt.py": "",
                "crdtstore/errors.py": "import crdtstore.crdt\n",
            },
            "errors is not allowed to import crdtstore.crdt",
        ),
        (
            "layers",
            {"crdtstore/__init__.py": "", "crdtstore/crdt.py": "", "crdtstore/unplaced.py": ""},
            "unplaced",
        ),
        (
            "layers",
            {"crdtstore/crdt.py": "", "crdtstore/http/store/__init__.py": "import crdtstore.store\n"},
            "crdtstore.http.store is not allowed to import crdtstore.store",
        ),
        ("cython", {"ext/a.pyx": "from libc.stdint cimport uint8_t\n"}, "imported but unused"),
        ("spelling", {"docs/a.md": "It is seper" + "ate.\n"}, "separate"),
    ],
)
def test_the_tool_finds_a_planted_fault(tmp_path: Path, name: str, sample: dict[str, str], finding: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    root = lay(tmp_path, {**(dict.fromkeys(NAMED, "") if name == "layers" else {}), **sample})
    code, output = run(root, COMMANDS[name])
    assert code != 0, output
    assert finding in output


def test_the_stub_stands_beside_a_core() -> None:
    """Without a stub, or without a compiled core, stubtest would have nothing to compare."""
    assert (ROOT / "crdtstore" / "_core.pyi").exists()
    assert importlib.util.find_spec("crdtstore._core") is not None


def test_stubtest_finds_a_wrong_stub(tmp_path: Path) -> None:
    root = lay(tmp_path, {"sample.py": "def f(x): return x\n", "sample.pyi": "def f(y: int) -> int: ...\n"})
    shutil.copy(ROOT / "pyproject.toml", root)
    code, output = run(root, [*STUBTEST, "sample"])
    assert code != 0
    assert "is inconsistent" in output
