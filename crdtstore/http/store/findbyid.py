"""POST or GET /api/v3/store/findbyid: one document, or null.

Rules: a point read is as quick as handing it to a thread, so it stays on the event loop; but one of the past may have
to wait for others that read the same version. `txnId` is a transaction that the document reflects; it may reflect
later ones too.

Not here: which ids there can be (`crdtstore.crdt.identifier`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crdtstore.http.call import Call
from crdtstore.http.request import at_of
from crdtstore.http.respond import Answer
from crdtstore.http.store.find import join


class FindByIdBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request; keys that are not named here are tolerated."""

    collection: str
    id: Any
    serialized_as: Literal["latestValues"] = "latestValues"


async def findbyid(call: Call) -> Answer:
    """Answer with the document, and a transaction that it reflects."""
    asked = await call.decode(FindByIdBody)
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    # Before the read, so that it never names a transaction that the read may have missed.
    txn = call.session.applied if at is None else at
    if at is None:
        document = call.session.get(asked.collection, asked.id)
    else:
        document = await call.in_thread(lambda: call.session.get(asked.collection, asked.id, at=at))
    shown = b"null" if document is None else join(document)
    return Answer(200, b'{"txnId":%d,"document":%b}' % (txn, shown), txn)
