"""POST or GET /api/vN/store/findbyid: one document.

Rules: a point read is as quick as handing it to a thread, so it stays on the event loop; but one of the past may have
to wait for others that read the same version. `txnId` is a transaction that the document reflects; it may reflect
later ones too. Where there is no such document a version answers null, or 404.

Not here: which ids there can be (`crdtstore.crdt.identifier`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from crdtstore.errors import NotFound
from crdtstore.http.call import Call
from crdtstore.http.headers import at_of
from crdtstore.http.respond import Answer
from crdtstore.http.store.attachments.shown import typed, with_urls
from crdtstore.http.store.find import FORMS, SerializedAs, join
from crdtstore.query.find import Document


class FindByIdBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request; keys that are not named here are tolerated."""

    collection: str
    id: Any
    serialized_as: SerializedAs = "latestValues"
    format_attachment: bool = False


class PlainBody(FindByIdBody, frozen=True, rename="camel"):
    """The same where `formatAttachment` is a key like any other that is not known."""

    format_attachment: Any = None


async def findbyid(call: Call) -> Answer:
    """Answer with the document, and a transaction that it reflects."""
    asked = await call.decode(FindByIdBody if call.version.sorts else PlainBody)
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    # Before the read, so that it never names a transaction that the read may have missed.
    txn = call.session.applied if at is None else at
    shown = FORMS[asked.serialized_as]
    addressed = call.version.sorts and asked.format_attachment
    form = typed(shown) if addressed else shown
    if at is None:
        document = call.session.get(asked.collection, asked.id, form=form)
    else:
        document = await call.in_thread(lambda: call.session.get(asked.collection, asked.id, form=form, at=at))
    if document is None and call.version.missing_document == "404":
        raise NotFound(f"Collection {asked.collection} has no document {asked.id!r:.60}.", collection=asked.collection)
    if document is not None and addressed:
        document = with_urls(document, shown, asked.collection, call.version.name)
    return Answer(200, body_of(document, txn, inside=call.version.document_inside), txn)


def body_of(document: Document | None, txn: int, *, inside: bool) -> bytes:
    """Write the answer: the document under its own name, or its id and fields beside the transaction."""
    shown = b"null" if document is None else join(document)
    if inside:
        return b'{"txnId":%d,"document":%b}' % (txn, shown)
    return b'%b,"txnId":%d}' % (shown[:-1], txn)
