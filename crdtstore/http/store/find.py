"""POST or GET /api/v3/store/find: the documents of a collection that a query matches, ordered by id.

Rules: stored documents come out as JSON bytes and are joined, never decoded. The search runs in a thread.

Not here: the query language (`crdtstore.query`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from crdtstore import limits
from crdtstore.auth.session import Session
from crdtstore.finding import Found
from crdtstore.http.call import Call
from crdtstore.http.request import at_of
from crdtstore.http.respond import Answer, encode
from crdtstore.query.find import Document

Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class FindBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request; keys that are not named here are tolerated."""

    collection: str
    query: str
    args: dict[str, Any] | None = None
    limit: Natural = limits.FIND_LIMIT_DEFAULT
    offset: Natural = 0
    serialized_as: Literal["latestValues"] = "latestValues"


async def find(call: Call) -> Answer:
    """Answer with the documents that match, and the transaction that they were read at."""
    asked = await call.decode(FindBody)
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    return await call.in_thread(lambda: search(call.session, asked, at))


def search(session: Session, asked: FindBody, at: int | None) -> Answer:
    """Run the query and write the answer; in a thread, since both may take long."""
    found = session.find(asked.collection, asked.query, args=asked.args, limit=asked.limit, offset=asked.offset, at=at)
    return Answer(200, body_of(found), found.txn)


def body_of(found: Found) -> bytes:
    """Join the documents to the body of the answer."""
    documents = b",".join(map(join, found.documents))
    return b'{"documents":[%b],"txnId":%d}' % (documents, found.txn)


def join(document: Document) -> bytes:
    """Join the id and the fields of a document."""
    return b'{"id":%b,"fields":%b}' % (encode(document.id), document.json)
