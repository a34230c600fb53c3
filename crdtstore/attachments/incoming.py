"""A file on its way in: written, hashed and counted, and nowhere to be seen before it is whole.

Rules: at most ATTACHMENT_BYTES_MAX, or what its sender announced. What is left of one by a crash is removed when the
store is opened the next time.

Not here: what becomes of a whole one (`attachments.py`), files that come in several requests (`uploads.py`).
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from crdtstore import limits
from crdtstore.errors import LimitExceeded
from crdtstore.storage.attachment_files import INCOMING_NAME, create, make_folder, sync_file
from crdtstore.storage.attachments import make_id

if TYPE_CHECKING:
    from pathlib import Path


class Incoming:
    """One such file. Whoever made it ends it: with `finish`, and then by moving it, or with `discard`."""

    def __init__(self, folder: Path, bytes_max: int | None = None) -> None:
        """Begin one.

        Args:
            folder: Of the store's files.
            bytes_max: How long it may become; by default as long as any.
        """
        make_folder(folder)
        self.bytes_max = limits.ATTACHMENT_BYTES_MAX if bytes_max is None else bytes_max
        self.path = folder / INCOMING_NAME / f"{secrets.token_hex(16)}.part"
        self.file = create(self.path)
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, piece: bytes) -> None:
        """Take the bytes that come next.

        Raises:
            LimitExceeded: It becomes too long.
            OSError: The disk is full, or failed.
        """
        self.bytes += len(piece)
        check_bytes(self.bytes, self.bytes_max)
        self.digest.update(piece)
        self.file.write(piece)

    def finish(self) -> bytes:
        """Bring it to disk; returns its id."""
        with self.file:
            sync_file(self.file)
        return make_id(self.digest.digest())

    def discard(self) -> None:
        """Remove what is left of it; again does nothing."""
        with suppress(OSError):
            self.file.close()
        with suppress(FileNotFoundError):
            self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()


def check_bytes(size: int, bytes_max: int | None = None) -> None:
    """Refuse a file that is too long.

    Raises:
        LimitExceeded: It is.
    """
    maximum = limits.ATTACHMENT_BYTES_MAX if bytes_max is None else bytes_max
    if size > maximum:
        message = f"An attachment takes at most {maximum} bytes here; this has {size} or more."
        raise LimitExceeded(message, limit="ATTACHMENT_BYTES_MAX", value=size, maximum=maximum)
