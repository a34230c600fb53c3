"""What was typed in sessions before, in a file for its user alone.

Rules: the file is `crdtstore/history` in the user's directory of state, $XDG_STATE_HOME or `~/.local/state`; nobody
else can read it. It is cut to its newer half when it has grown beyond a bound. Where it cannot be kept, the session
goes on without it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from crdtstore.cli.output import note

HISTORY_BYTES: Final = 1_048_576
"""Thousands of statements, and read in no time when a session begins."""

ENTRY: Final = b"\n# "
"""What an entry begins with."""


class KeptHistory(FileHistory):
    """A file of what was typed; it may become unwritable at any time."""

    def store_string(self, string: str) -> None:
        """Add an entry, if that is possible."""
        with suppress(OSError):
            super().store_string(string)


def open_history() -> History:
    """The history of this user's sessions."""
    path = history_path()
    try:
        prepare(path)
    except OSError as error:
        note(f"What is typed is not kept: {path}: {error.strerror}.")
        return InMemoryHistory()
    return KeptHistory(str(path))


def history_path() -> Path:
    """Where it is; as the rules for such directories want it, only an absolute path counts."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    state = named if named.is_absolute() else Path.home() / ".local" / "state"
    return state / "crdtstore" / "history"


def prepare(path: Path) -> None:
    """Make the file, for its user alone, and shorten it.

    Raises:
        OSError: It cannot be read or written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        os.fchmod(file.fileno(), 0o600)
        written = file.read()
        if len(written) > HISTORY_BYTES:
            begin = written.find(ENTRY, len(written) - HISTORY_BYTES // 2)
            file.seek(0)
            file.write(written[begin:] if begin >= 0 else b"")
            file.truncate()
