"""Files of the operator that may hold what is secret: how they are read, and where they may lie.

Rules: who holds a secret is readable by its owner only, and lies outside of every data directory, since backups hold
those. It is looked at through the file that is read, so that nothing is put in its place in between.

Not here: what is in them (`token_keys`, `http/login/providers.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crdtstore.errors import CallerError

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_bounded(file: Path, bytes_max: int) -> tuple[bytes, int]:
    """Read a file, and who may do so.

    Raises:
        CallerError: It is too long.
        OSError: It cannot be read.
    """
    with file.open("rb") as opened:
        mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
        data = opened.read(bytes_max + 1)
    if len(data) > bytes_max:
        raise CallerError(f"{file} is longer than {bytes_max} bytes.")
    return data, mode


def check_place(file: Path, mode: int, directories: Sequence[Path]) -> None:
    """Refuse a file of secrets that others can read, or that goes into backups.

    Args:
        file: The file.
        mode: Who may read it.
        directories: The data directories.

    Raises:
        CallerError: It is so.
    """
    if mode & OTHERS:
        raise CallerError(
            f"{file} holds a secret, and others than its owner may get at it: chmod {mode & ~OTHERS:o} {file}"
        )
    inside = next((each for each in directories if file.resolve().is_relative_to(each.resolve())), None)
    if inside is not None:
        raise CallerError(f"{file} holds a secret, and lies in the data directory {inside}: put it elsewhere.")
