"""The routes of attachments, in the versions that have them; each under both spellings that are published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crdtstore.errors import (
    MalformedRequest,
    PeerUnreachable,
    RangeNotSatisfiable,
    StoreFull,
    UnknownAttachment,
    UploadConflict,
)
from crdtstore.http.call import Call
from crdtstore.http.described import Described, Kind
from crdtstore.http.request import BYTES, JSON, UPLOAD
from crdtstore.http.respond import Answer
from crdtstore.http.route import Route
from crdtstore.http.store.attachments import answers
from crdtstore.http.store.attachments.download import download
from crdtstore.http.store.attachments.resume import resume
from crdtstore.http.store.attachments.upload import upload
from crdtstore.http.store.version import VERSIONS, Version

SPELLINGS: Final = ("attachments", "attachment")

READING: Final = Kind(("X-DITTO-TXN-ID",), (UnknownAttachment, PeerUnreachable))

UPLOADED: Final = Described(
    answers.UploadForm,
    answers.PutAnswer,
    errors=(MalformedRequest, StoreFull),
    summary="Put a file that a form holds, and answer with its id and length.",
)
READ: Final = Described(
    None,
    None,
    READING,
    answers.AttachmentArguments,
    errors=(RangeNotSatisfiable,),
    summary="Answer with a file, or a range of it, unless the caller has it.",
    headers=("Range", "If-Range", "If-None-Match"),
)
LOOKED_AT: Final = READ._replace(errors=(), summary="Say whether there is a file, and how long it is.")

RESUMED: Final = Described(
    answers.Bytes,
    answers.ReceivedAnswer,
    media_type=JSON.media_type,
    errors=(MalformedRequest, UploadConflict, StoreFull),
    summary="Take a part of a file, and answer how much of it is there.",
    headers=("Content-Range",),
)
METHODS: Final = {"GET": download, "HEAD": download, "PUT": resume}


async def attachment(call: Call) -> Answer:
    """Read a file, or put a part of it."""
    return await METHODS[call.request.method](call)


def attachment_routes(version: Version, spelling: str) -> Iterator[Route]:
    """Those of one version under one spelling."""
    path = f"/api/{version.name}/{spelling}"
    plain = Route(path, ("POST",), upload, streams=True, version=version, errors=version.errors)
    yield plain._replace(path=f"{path}/upload", forms=(UPLOAD,), described=UPLOADED)
    yield plain._replace(
        path=f"{path}/{{id}}",
        methods=tuple(METHODS),
        endpoint=attachment,
        takes_body=False,
        forms=(BYTES,),
        gives=(BYTES.media_type,),
        described={"GET": READ, "HEAD": LOOKED_AT, "PUT": RESUMED},
    )


ATTACHMENT_ROUTES: Final = tuple(
    route for name in ("v4", "v5") for spelling in SPELLINGS for route in attachment_routes(VERSIONS[name], spelling)
)
