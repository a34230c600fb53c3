"""`python -m tests.sanitize`: build the core with gcc's sanitizers somewhere else, and run tests on it there.

    python -m tests.sanitize                       the control, then all of SUITES
    python -m tests.sanitize tests/core -x         the control, then what is named, with pytest's options

Rules: everything happens in a copy of the project in a temporary folder, so the core that is in use stays. First the
control: a module with an access out of bounds and a shift too far, built by the same `setup.py` in the same mode,
must be stopped. Python's own allocator is switched off, since it hides bounds; leaks are not looked at, because
Python leaves memory to the end of the process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PARTS = ("crdtstore", "docs", "ext", "tests", "bench", "setup.py", "pyproject.toml", "README.md", "LICENSE")
SUITES = (
    "tests/core",
    "tests/unit",
    "tests/laws/test_fold.py",
    "tests/laws/test_joins.py",
    "tests/laws/test_small_histories.py",
    "tests/storage",
    "tests/fuzz",
)

PLANTED = """# Faults that a sanitizer must stop.
from libc.stdlib cimport free, malloc


def read_at(Py_ssize_t at):
    cdef unsigned char *block = <unsigned char *>malloc(16)
    cdef int read
    try:
        for index in range(16):
            block[index] = index
        read = block[at]
        return read
    finally:
        free(block)


def shift(int by):
    cdef int one = 1
    return one << by
"""
CONTROLS = {
    "read_at(15)": "",
    "shift(3)": "",
    "read_at(16)": "heap-buffer-overflow|insufficient space",
    "read_at(-1)": "heap-buffer-overflow|insufficient space",
    "shift(40)": "shift exponent 40 is too large",
}
"""What is called, and what must be said; nothing where nothing is wrong. Both sanitizers see a bound."""


def environment() -> dict[str, str]:
    """What a process needs to run code that was built so."""
    library = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    return {
        **os.environ,
        "LD_PRELOAD": library.stdout.strip(),
        # A test that must see SIGBUS sees it itself; an allocation that is too large fails as it does elsewhere.
        "ASAN_OPTIONS": "detect_leaks=0:handle_sigbus=0:allocator_may_return_null=1:max_allocation_size_mb=4096",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def copy_project(folder: Path) -> None:
    """Copy what is needed to build and to test."""
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(source, folder / part)


def build(folder: Path) -> None:
    """Build the core of a copy, sanitized."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "CRDTSTORE_BUILD": "sanitize"})


def control(folder: Path) -> list[str]:
    """Build faults in the place of the core; returns those that were not stopped, or what was stopped wrongly."""
    copy_project(folder)
    (folder / "ext" / "_core.pyx").write_text(PLANTED, encoding="ascii")
    build(folder)
    wrong = []
    for call, words in CONTROLS.items():
        # By its file: the package around it would look for the whole core.
        script = f"import sys; sys.path[:0] = ['crdtstore']; import _core; _core.{call}"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, check=False, capture_output=True, text=True, env=environment()
        )
        if (done.returncode == 0) != (words == "") or not re.search(words, done.stderr):
            wrong.append(f"{call}: code {done.returncode}, {done.stderr[-500:]}")
    return wrong


def main(arguments: list[str]) -> int:
    """Run the control, then the tests; the exit code."""
    with tempfile.TemporaryDirectory() as first:
        wrong = control(Path(first))
    if wrong:
        print("The control failed:", *wrong, sep="\n")  # noqa: T201  this is a command
        return 1
    print(f"The control passed: {len(CONTROLS)} calls.", flush=True)  # noqa: T201  this is a command
    with tempfile.TemporaryDirectory() as second:
        copy_project(Path(second))
        build(Path(second))
        # The sanitizers report crashes in their own way, and have memory of their own.
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not crash"]
        command += arguments or SUITES
        return subprocess.run(command, cwd=second, check=False, env=environment()).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
