"""POST /api/vN/attachments/upload: one file, the field `file` of a form, put while it comes.

Rules: the body goes to the disk piece by piece and is never whole in memory. The answer is given when the file is on
disk with its row. What breaks off leaves nothing.

Not here: files that come in several requests (`resume.py`).
"""

from __future__ import annotations

from functools import partial
from typing import Final

import multipart

from crdtstore import limits
from crdtstore.errors import LimitExceeded, MalformedRequest, Overloaded
from crdtstore.http.call import Call
from crdtstore.http.request import UPLOAD
from crdtstore.http.respond import Answer, encode

FIELD: Final = "file"


async def upload(call: Call) -> Answer:
    """Put a file that a form holds, and answer with its id and length."""
    attachments = call.session.for_putting()
    form = Form(call.request.headers[b"content-type"])
    begin_transfer(call)
    try:
        with await call.in_thread(attachments.incoming) as incoming:
            waiting = bytearray()
            async for part in call.content.pieces(UPLOAD, call.desk.body_seconds):
                waiting += form.take(part)
                if len(waiting) >= limits.ATTACHMENT_PIECE_BYTES:
                    await call.in_thread(partial(attachments.write, incoming, bytes(waiting)))
                    waiting.clear()
            form.end()
            await call.in_thread(partial(attachments.write, incoming, bytes(waiting)))
            put = await call.in_thread(partial(attachments.keep, incoming))
    finally:
        call.desk.transfers.release()
    return Answer(200, encode({"id": put.id, "len": put.len}))


def begin_transfer(call: Call) -> None:
    """Count a file that is on its way; whoever calls this releases `call.desk.transfers` in the end.

    Raises:
        Overloaded: There are TRANSFERS_MAX.
    """
    if not call.desk.transfers.acquire(blocking=False):
        message = f"{limits.TRANSFERS_MAX} files are on their way now: that is as many as may be."
        raise Overloaded(message, limit="TRANSFERS_MAX", maximum=limits.TRANSFERS_MAX)


class Form:
    """A form that is read as it comes, for the bytes of its one file."""

    def __init__(self, content_type: bytes) -> None:
        """Read the form that a header announces.

        Raises:
            MalformedRequest: It names no boundary, or none that can be.
        """
        _, options = multipart.parse_options_header(content_type.decode("latin-1"))
        boundary = options.get("boundary", "")
        try:
            # Not strictly: what stands behind the last boundary, mostly a line's end, may come in a part of its own.
            self.parser = multipart.PushMultipartParser(boundary, max_segment_count=limits.UPLOAD_FIELDS_MAX)
        except multipart.MultipartError as error:
            raise malformed(error) from None
        self.inside = self.found = False

    def take(self, part: bytes) -> bytes:
        """Read on; returns what belongs to the file.

        Raises:
            MalformedRequest: It is no form, or has two files.
            LimitExceeded: It has too many fields.
        """
        if not part:
            return b""
        taken = []
        try:
            for event in self.parser.parse(part):
                if isinstance(event, multipart.MultipartSegment):
                    self.inside = event.name == FIELD
                    if self.inside and self.found:
                        raise MalformedRequest(f"The form has two fields {FIELD!r}: send one file.")
                    self.found |= self.inside
                elif event is not None and self.inside:
                    taken.append(event)
        except multipart.ParserLimitReached as error:
            message = f"The form is refused: {error}; it has at most {limits.UPLOAD_FIELDS_MAX} fields, one the file."
            maximum = limits.UPLOAD_FIELDS_MAX
            raise LimitExceeded(message, limit="UPLOAD_FIELDS_MAX", value=maximum + 1, maximum=maximum) from None
        except multipart.MultipartError as error:
            raise malformed(error) from None
        return b"".join(taken)

    def end(self) -> None:
        """See that the form was whole.

        Raises:
            MalformedRequest: It was not, or had no file.
        """
        try:
            self.parser.close()
        except multipart.MultipartError as error:
            raise malformed(error) from None
        if not self.found:
            raise MalformedRequest(f"The form has no field {FIELD!r}, which is the file.")


def malformed(error: multipart.MultipartError) -> MalformedRequest:
    """Say what is the matter with a form."""
    return MalformedRequest(f"The body is no form of multipart/form-data: {str(error).rstrip('.')}.")
