"""GET /admin/backup: a copy of the whole store, of one moment, for a key that may do everything.

Rules: the body is a stream of blocks, of which the last says that it is whole: a body without it is none, however the
connection ended. It is made while it is sent, by a process that reads the store, so it takes no room on the server's
disk and constant memory. The process goes on as fast as the reader takes what it writes, and ends with the reader. The
snapshot that it reads keeps pages for so long, so only BACKUPS_AT_ONCE_MAX are sent at a time.

Not here: the copy (`crdtstore/storage/backup.py`), who fetches it (`crdtstore/client/backup.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Final

from crdtstore import limits
from crdtstore.errors import CrdtStoreError, Overloaded
from crdtstore.http.call import Call
from crdtstore.http.respond import Answer
from crdtstore.storage.backup import file_of, sent

MEDIA_TYPE: Final = b"application/octet-stream"

logger = logging.getLogger(__name__)


async def backup(call: Call) -> Answer:
    """Answer with a copy of the store.

    Raises:
        Forbidden: The key may not do everything.
        NotFound: The store is in memory.
        Overloaded: Others fetch backups now.
    """
    storage = call.session.for_backup().storage
    file = file_of(storage)
    if not call.desk.backups.acquire(blocking=False):
        raise Overloaded(f"{limits.BACKUPS_AT_ONCE_MAX} backups are being fetched now: that is as many as may be.")
    return Answer(200, b"", media_type=MEDIA_TYPE, stream=Download(call, sent(storage, file)))


class Download:
    """A copy on its way: read in a thread, one piece after the other."""

    def __init__(self, call: Call, pieces: Iterator[bytes]) -> None:
        """Begin; nothing is read yet."""
        self.call = call
        self.pieces = pieces
        self.gone = call.gone()

    async def piece(self) -> bytes:
        """The next piece; empty at the end, also where the copy fails or its reader is gone: then it lacks its end."""
        if self.gone.done() or self.call.desk.held.over:
            return b""
        try:
            return await self.call.in_thread(lambda: next(self.pieces, b""))
        except (CrdtStoreError, OSError) as error:
            logger.error("A backup broke off: %s", error)  # noqa: TRY400  the sentence says it
            return b""

    def close(self) -> None:
        """End the process, if it goes on, and let the next one begin."""
        self.gone.cancel()
        self.call.desk.backups.release()
        # A thread that is in it just now lets go of it when its piece is read.
        with suppress(ValueError):
            assert isinstance(self.pieces, Generator), "Its end is what ends the process."
            self.pieces.close()
