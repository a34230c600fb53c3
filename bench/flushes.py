"""What a disk alone takes: writes behind each other in a file whose blocks are written, a flush for each of some.

Rules: a write is as long as the frame of one document in the write-ahead log. Nothing else is done, so this is what
commits in groups can come to, and what they save beside a flush for each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.measure import Side, wall_microseconds

FRAME_BYTES = 900
FILE_BYTES = 16 << 20


@contextmanager
def flushing(folder: str) -> Iterator[int]:
    """The descriptor of such a file."""
    descriptor = os.open(Path(folder) / "flushes", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, bytes(FILE_BYTES))
        os.fsync(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


def side_of(descriptor: int, writes: int, group: int) -> Side:
    """Writes in groups that share a flush."""
    data = os.urandom(FRAME_BYTES * group)

    def run(_number: int) -> float:
        return wall_microseconds(write, writes)

    def write() -> None:
        at = 0
        for _ in range(0, writes, group):
            os.pwrite(descriptor, data, at)
            os.fdatasync(descriptor)
            at = (at + len(data)) % (FILE_BYTES - len(data))

    return run
