"""PUT /api/vN/attachments/{id}: a file whose id its sender knows, in as many requests as it takes.

Rules: `Content-Range: bytes FIRST-LAST/LENGTH` says which part of the file the body is, and `bytes */LENGTH` only asks
how far the file is. Every answer says how many bytes were `received`; with as many as the file has it is put. A
connection that breaks keeps what came before, and the next request goes on from there.

Not here: what is kept of it (`crdtstore/attachments/uploads.py`).
"""

from __future__ import annotations

import re
from functools import partial
from typing import Final, NamedTuple

from crdtstore import limits
from crdtstore.attachments.uploads import Upload
from crdtstore.errors import MalformedRequest
from crdtstore.http.call import Call
from crdtstore.http.request import BYTES, Request
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.attachments.upload import begin_transfer

CONTENT_RANGE: Final = re.compile(rb"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18})")


class Part(NamedTuple):
    """Which part of a file a body is: where it begins, None for none; how long it is; how long the file is."""

    start: int | None
    size: int
    length: int


async def resume(call: Call) -> Answer:
    """Take a part of a file, and answer how much of it is there; the whole file is put."""
    attachments = call.session.for_putting()
    part = part_of(call.request)
    owner = call.who.encode()
    begin_transfer(call)
    try:
        upload = await call.in_thread(
            partial(attachments.uploads.begin, call.parameters["id"], owner, part.start, part.length)
        )
        try:
            await receive(call, upload, part.size)
            if upload.received == part.length:
                await call.in_thread(partial(attachments.uploads.finish, upload))
        finally:
            upload.close()
    finally:
        call.desk.transfers.release()
    return Answer(200, encode({"id": call.parameters["id"], "len": part.length, "received": upload.received}))


async def receive(call: Call, upload: Upload, size: int) -> None:
    """Write the body as it comes.

    Raises:
        MalformedRequest: It is longer than the range says.
    """
    waiting = bytearray()
    async for piece in call.content.pieces(BYTES, call.desk.body_seconds):
        waiting += piece
        size -= len(piece)
        if size < 0:
            raise MalformedRequest("The body is longer than its Content-Range.")
        if len(waiting) >= limits.ATTACHMENT_PIECE_BYTES:
            await call.in_thread(partial(upload.write, bytes(waiting)))
            waiting.clear()
    await call.in_thread(partial(upload.write, bytes(waiting)))


def part_of(request: Request) -> Part:
    """Read `Content-Range`.

    Raises:
        MalformedRequest: It is missing, or says nothing that can be.
    """
    found = CONTENT_RANGE.fullmatch(request.headers.get(b"content-range", b"").strip())
    if found is None:
        raise MalformedRequest("A part of a file has `Content-Range: bytes FIRST-LAST/LENGTH`, or `bytes */LENGTH`.")
    if found[1] is None:
        return Part(None, 0, int(found[3]))
    start, last, length = (int(number) for number in found.groups())
    if not start <= last < length:
        raise MalformedRequest(f"Content-Range names bytes {start} to {last} of {length}: there are none such.")
    return Part(start, last + 1 - start, length)
