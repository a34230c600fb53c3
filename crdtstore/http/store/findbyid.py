"""POST or GET /api/vN/store/findbyid: one document.

Rules: a point read is as quick as handing it to a thread, so it stays on the event loop; but one of the past may have
to wait for others that read the same version. `txnId` is a transaction that the document reflects; it may reflect
later ones too. Where there is no such document a version answers null, or 404.

Not here: which ids there can be (`crdtstore.crdt.identifier`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from crdtstore import limits
from crdtstore.errors import NotFound
from crdtstore.http.call import Call
from crdtstore.http.headers import at_of
from crdtstore.http.respond import ENCODER, Answer
from crdtstore.http.store.attachments.shown import typed, with_urls
from crdtstore.http.store.find import FORMS, SerializedAs, join
from crdtstore.query.find import Document

PLAIN_IDS: Final = frozenset({str, int})
"""Types of ids that are read and written as they were given: the shortest way from the store to the wire."""


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
    version = call.version
    kind = FindByIdBody if version.sorts else PlainBody
    asked = call.read(kind) if len(call.body) <= limits.INLINE_BODY_BYTES_MAX else await call.decode(kind)
    at = None
    if not call.at_once:
        at = at_of(call.request)
        await call.until_readable(asked.collection)
    # Before the read, so that it never names a transaction that the read may have missed.
    txn = call.session.applied if at is None else at
    shown = FORMS[asked.serialized_as]
    addressed = version.sorts and asked.format_attachment
    if at is None and shown == "values" and not addressed and asked.id.__class__ in PLAIN_IDS:
        fields = call.session.get_json(asked.collection, asked.id)
        if fields is not None:
            return Answer(200, written(ENCODER.encode(asked.id), fields, txn, inside=version.document_inside), txn)
    form = typed(shown) if addressed else shown
    if at is None:
        document = call.session.get(asked.collection, asked.id, form=form)
    else:
        document = await call.in_thread(lambda: call.session.get(asked.collection, asked.id, form=form, at=at))
    if document is None and version.missing_document == "404":
        raise NotFound(f"Collection {asked.collection} has no document {asked.id!r:.60}.", collection=asked.collection)
    if document is not None and addressed:
        document = with_urls(document, shown, asked.collection, version.name)
    return Answer(200, body_of(document, txn, inside=version.document_inside), txn)


def written(id_: bytes, fields: bytes, txn: int, *, inside: bool) -> bytes:
    """Write the answer of a document that is there, from its parts."""
    if inside:
        return b'{"txnId":%d,"document":{"id":%b,"fields":%b}}' % (txn, id_, fields)
    return b'{"id":%b,"fields":%b,"txnId":%d}' % (id_, fields, txn)


def body_of(document: Document | None, txn: int, *, inside: bool) -> bytes:
    """Write the answer: the document under its own name, or its id and fields beside the transaction."""
    shown = b"null" if document is None else join(document)
    if inside:
        return b'{"txnId":%d,"document":%b}' % (txn, shown)
    return b'%b,"txnId":%d}' % (shown[:-1], txn)
