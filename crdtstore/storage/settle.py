"""Settling a store's file: what an opening shows is on disk first.

Rules: LMDB shows what the page cache holds, and the disk may hold something else. A process that was killed while it
wrote a meta page leaves it in the cache only. A flush that failed leaves it there too, and the kernel takes it for
clean: flushing again does nothing. Or the disk has it, and the cache was put back. Were such a commit shown, and the
power went, its position would be given again to another transaction, which other stores would have to refuse.

So whoever opens a store to write rewrites both meta pages with what the cache says, and flushes; only then is anything
read. What a meta page points to was flushed before the page was written. So the commit whose outcome was unknown is
then on disk or gone, and as nobody saw it before, no new epoch is needed. The names are brought to disk as well: a
creation may have been killed just after its renaming.

Not here: opening (`environment`), commits that fail (`version/sequencer.py`).
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

META_BYTES = 512
"""Rewritten of a meta page: the sector that holds all that LMDB writes of it, so that no power cut can halve it."""


def settle(path: Path, page_bytes: int) -> None:
    """Make disk and page cache agree about a store's file; the caller holds the writer's lock.

    Args:
        path: The data file.
        page_bytes: Of its pages: where the second meta page begins.

    Raises:
        OSError: The disk refuses; what it holds is as unknown as before.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        for offset in (0, page_bytes):
            rewrite(descriptor, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_path(path.parent)
    # Whoever may not list the parent could not have created the store there.
    with suppress(PermissionError):
        sync_path(path.parent.parent)


def rewrite(descriptor: int, offset: int) -> None:
    """Write what is there, so that it counts as changed and is brought to disk."""
    if os.pwrite(descriptor, os.pread(descriptor, META_BYTES, offset), offset) != META_BYTES:
        raise OSError(errno.EIO, "a meta page was written in part")


def sync_path(path: Path) -> None:
    """Bring a file's bytes, or a directory's names, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
