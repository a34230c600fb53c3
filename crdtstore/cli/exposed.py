"""A warning where others than its owner may get at a store or a key, with the command that mends it.

Rules: what this package makes is closed to others from the start. What was opened since, or made elsewhere, is used all
the same: it may be meant so, and a store that cannot be opened helps nobody. With `--json` only errors are told.

Not here: who owns a file (`crdtstore doctor`).
"""

from __future__ import annotations

import stat
from os import PathLike
from pathlib import Path
from typing import Final

import click

from crdtstore.cli.group import AS_JSON
from crdtstore.cli.output import note

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def warn_of_others(path: str | PathLike[str]) -> None:
    """Warn if others than its owner may get at a directory or a file; of one that is not there nothing is told."""
    context = click.get_current_context(silent=True)
    if (context is not None and context.meta.get(AS_JSON)) or not Path(path).exists():
        return
    mode = stat.S_IMODE(Path(path).stat().st_mode)
    if mode & OTHERS:
        note(f"Warning: others than its owner may get at {path}, mode {mode:04o}: chmod {mode & ~OTHERS:o} {path}")
