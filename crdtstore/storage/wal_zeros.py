"""The zeros of a write-ahead log: how far each of its segments was written before frames go there.

Rules: the blocks of the whole file are reserved when it is made, so that no frame lacks room on the disk. A block that
was written once takes a frame without a change of the file's extents, which costs a third less to flush. So zeros are
written a *step* at a time ahead of the frames, by the thread that makes checkpoints, and frames go no further than they
do: nothing is written under a frame. Commits bring them to disk by and by. Where they cannot be written, frames go
without.

Not here: when there are too few (`wal`).
"""

from __future__ import annotations

import errno
import logging
import os
from threading import Lock
from typing import TYPE_CHECKING, Final

from crdtstore.storage.wal_file import HEADERS_BYTES, segment_at, write_all

if TYPE_CHECKING:
    from crdtstore.storage.wal_file import Header

logger = logging.getLogger(__name__)

PIECE_BYTES: Final = 1 << 20
"""Written at a time: a frame that is written meanwhile waits for no more."""


class Zeros:
    """How far the segments of a log were written."""

    def __init__(self, descriptor: int, header: Header, step_bytes: int) -> None:
        """Take the descriptor of a log of which nothing was written but headers."""
        self.descriptor = descriptor
        self.header = header
        self.step_bytes = step_bytes
        self.filled = [0, 0]
        """Of each segment, so many bytes were written."""

        self.filling = Lock()

    def are_whole(self, segment: int) -> bool:
        """Whether there is nothing to write in a segment."""
        return self.filled[segment] >= self.header.segment_bytes

    def few_at(self, segment: int) -> int:
        """The place from where on there are few of them ahead of a frame: half of a step."""
        return segment_at(self.header, segment) + self.filled[segment] - self.step_bytes // 2

    def fill(self, segment: int, size: int) -> None:
        """Write a segment up to a size."""
        start = segment_at(self.header, segment)
        with self.filling:
            end = max(self.filled[segment], min(size, self.header.segment_bytes))
            try:
                for at in range(self.filled[segment], end, PIECE_BYTES):
                    write_all(self.descriptor, bytes(min(PIECE_BYTES, end - at)), start + at)
            except (OSError, MemoryError):
                logger.warning("The write-ahead log cannot be written ahead: commits take longer.", exc_info=True)
                end = self.header.segment_bytes
            self.filled[segment] = end

    def forgo(self, segment: int) -> None:
        """Write none in a segment: a frame goes there that is greater."""
        with self.filling:
            self.filled[segment] = self.header.segment_bytes


def reserve(descriptor: int, segment_bytes: int) -> bool:
    """Give a file that was just made its length, and its blocks; False where it has to be written for that."""
    size = HEADERS_BYTES + 2 * segment_bytes
    os.ftruncate(descriptor, size)
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}:
            raise
        return False
    return True
