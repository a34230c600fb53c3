"""The shim: built when it is needed, loaded into a process of its own, armed from there.

Rules: `build` is called by tests, everything else by a process that was started with what `environment` says. What it
counts is what that process and its forked children do below the folder that it watches.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from enum import IntEnum
from pathlib import Path
from unittest import SkipTest

SOURCE = Path(__file__).with_name("shim.c")


class Kind(IntEnum):
    """What happens to the call: the numbers are those of shim.c."""

    PASS = 0
    FAIL = 1
    """It does nothing and fails."""
    SHORT = 2
    """It writes half and says so; what is no write fails."""
    UNFLUSHED = 3
    """It gets as far as the page cache, is taken for clean there, and fails."""
    FLUSHED = 4
    """It gets to the disk, and fails."""
    STOP = 5
    """The process ends before it."""
    STOP_CACHED = 6
    """The process ends when it is in the page cache."""


STOPPED = 77
"""The exit code of a process that the shim ended."""


def build(folder: Path) -> Path:
    """Compile the shim; returns the library.

    Raises:
        SkipTest: There is no C compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise SkipTest("not installed: cc")
    library = folder / "shim.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    return library


def environment(library: Path) -> dict[str, str]:
    """Variables of a process that loads it."""
    return {"LD_PRELOAD": str(library)}


def watch(folder: Path) -> None:
    """Count calls on what lies below a folder."""
    ctypes.CDLL(None).fault_watch(os.fsencode(folder))


def arm(at: int, kind: Kind = Kind.PASS, code: int = 0, *, sticky: bool = False) -> None:
    """Begin to count at 0, and let the call of this number fail; 0: none. `sticky`: all after it fail too."""
    ctypes.CDLL(None).fault_arm(at, int(kind), code, int(sticky))


def disarm() -> None:
    """Let every call pass, and go on counting."""
    ctypes.CDLL(None).fault_disarm()


def calls() -> int:
    """Calls since it was armed."""
    return int(ctypes.CDLL(None).fault_calls())


def fired() -> bool:
    """Whether the call that was to fail came."""
    return bool(ctypes.CDLL(None).fault_fired())


def record(file: Path | None) -> None:
    """From now on record in a file what is done below the folder that is watched; None: no more."""
    ctypes.CDLL(None).fault_record(os.fsencode(file) if file else b"")


def hurry() -> None:
    """From now on record flushes, and do none: nothing depends on the disk but the time it takes."""
    ctypes.CDLL(None).fault_hurry()


def note(text: str) -> None:
    """Record a note."""
    ctypes.CDLL(None).fault_note(text.encode())


def model_disk(file: Path, copy: Path) -> None:
    """From now on keep in a copy what a power cut would leave of a file, which is on disk as it stands."""
    shutil.copyfile(file, copy)
    ctypes.CDLL(None).fault_disk(os.fsencode(file), os.fsencode(copy))
