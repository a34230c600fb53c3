"""GET and HEAD /api/vN/attachments/{id}: a file, or a range of it.

Rules: a key that may read the whole store reads every file; any other one names a document that refers to it,
`?collection=C&document=ID`, and is told of a file that it may not read what it is told of one that is not there. Bytes
come from the disk piece by piece, read in threads: a slow reader holds a descriptor and no memory, and not for longer
than TRANSFER_BYTES_A_SECOND_MIN gives it. What is not here is fetched first, where other stores are known, unless the
caller says `local=true`, as those stores do. A file never changes, so caches of the caller's own may keep it.

Not here: what ranges mean (`ranges.py`).
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import BinaryIO, Final, TypeAlias

from crdtstore import limits
from crdtstore.attachments.attachments import Attachments
from crdtstore.errors import Corrupted, UnknownAttachment
from crdtstore.http.call import Call
from crdtstore.http.channel import Disconnected
from crdtstore.http.headers import arguments_of
from crdtstore.http.request import BYTES
from crdtstore.http.respond import Answer
from crdtstore.http.store.attachments.ranges import Span, has_it, span_of, tag_of
from crdtstore.http.store.attachments.upload import begin_transfer

CACHED: Final = b"private, max-age=31536000, immutable"
DISPOSITION: Final = (b"content-disposition", b"attachment")
RANGES: Final = (b"accept-ranges", b"bytes")

Headers: TypeAlias = "tuple[tuple[bytes, bytes], ...]"

logger = logging.getLogger(__name__)


async def download(call: Call) -> Answer:
    """Answer with a file, or a range of it, unless the caller has it."""
    id_, arguments = call.parameters["id"], arguments_of(call.request)
    collection, document = arguments.get("collection"), arguments.get("document", "")
    await call.until_readable(*([] if collection is None or not call.session.may_read(collection) else [collection]))
    attachments, told = await call.in_thread(lambda: call.session.for_attachment(id_, collection, document))
    try:
        file, length = await call.in_thread(lambda: open_file(attachments, id_))
    except (UnknownAttachment, Corrupted):
        if arguments.get("local") == "true" or not attachments.fetcher.sources:
            raise
        # Shielded: others may wait for the same fetch.
        await asyncio.shield(asyncio.wrap_future(attachments.fetcher.submit(id_, told)))
        file, length = await call.in_thread(lambda: open_file(attachments, id_))
    try:
        return answer_with(call, file, id_, length)
    except BaseException:
        file.close()
        raise


def open_file(attachments: Attachments, id_: str) -> tuple[BinaryIO, int]:
    """Open the file, in a thread, and say how long it is."""
    file, attachment = attachments.open_row(id_)
    return file, attachment.length


def answer_with(call: Call, file: BinaryIO, id_: str, length: int) -> Answer:
    """Answer with a file that is open."""
    headers: Headers = (RANGES, DISPOSITION, (b"etag", tag_of(id_)))
    plain = Answer(200, b"", headers=headers, media_type=BYTES.media_type, cached=CACHED)
    if has_it(call.request, id_):
        file.close()
        return plain.but(status=304)
    # Ranges are for GET alone.
    asked = None if call.request.method == "HEAD" else span_of(call.request, id_, length)
    span = asked or Span(0, length)
    headers = (*headers, (b"content-length", b"%d" % (span.end - span.start)))
    if asked is not None:
        headers = (*headers, (b"content-range", b"bytes %d-%d/%d" % (span.start, span.end - 1, length)))
    stream: Nothing | Sending
    if call.request.method == "HEAD":
        file.close()
        stream = Nothing()
    else:
        stream = Sending(call, file, span)
    return plain.but(status=200 if asked is None else 206, headers=headers, stream=stream)


class Nothing:
    """The body of an answer to HEAD, whose length is that of another one."""

    async def piece(self) -> bytes:
        """None."""
        return b""

    def close(self) -> None:
        """Do nothing."""


class Sending:
    """A file on its way out."""

    def __init__(self, call: Call, file: BinaryIO, span: Span) -> None:
        """Begin; nothing is read yet.

        Raises:
            Overloaded: Too many files are on their way.
        """
        begin_transfer(call)
        self.call = call
        self.file = file
        self.at, self.end = span
        self.start = span.start
        self.begun = monotonic()
        self.gone = call.gone()

    async def piece(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            Disconnected: Nobody reads it any more, or too slowly, or the server stops: the connection is to end.
        """
        if self.at == self.end:
            return b""
        allowed = limits.LISTING_SECONDS_MAX + (self.at - self.start) / limits.TRANSFER_BYTES_A_SECOND_MIN
        if self.gone.done() or self.call.desk.held.over or monotonic() - self.begun > allowed:
            raise Disconnected
        piece = await self.call.in_thread(self.read)
        if not piece:
            logger.error("A file of an attachment became shorter while it was sent.")
            raise Disconnected
        self.at += len(piece)
        return piece

    def read(self) -> bytes:
        """Read some bytes, in a thread."""
        self.file.seek(self.at)
        return self.file.read(min(limits.ATTACHMENT_PIECE_BYTES, self.end - self.at))

    def close(self) -> None:
        """Let go of the file."""
        self.gone.cancel()
        self.file.close()
        self.call.desk.transfers.release()
