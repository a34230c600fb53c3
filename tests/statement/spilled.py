"""The files that sorting keeps open, which have no name.

Rules: other files are not counted. They may be closed at any time, by the garbage of other tests.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

NAMELESS: Final = re.compile(r"(/#\d+|/crdtstore-spill-\w+) \(deleted\)")
"""What the system calls a file that never had a name, or was removed at once."""


def spilled_files() -> int:
    """How many of them this process has open."""
    return sum(NAMELESS.search(target_of(each)) is not None for each in Path("/proc/self/fd").iterdir())


def target_of(descriptor: Path) -> str:
    """What a descriptor stands for; empty where it was closed meanwhile."""
    try:
        return os.readlink(descriptor)  # noqa: PTH115  what is named is no path
    except FileNotFoundError:
        return ""
