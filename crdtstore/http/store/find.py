"""POST or GET /api/vN/store/find: the documents of a collection that a query matches.

Rules: stored documents come out as JSON bytes and are joined, never decoded. The search runs in a thread. Without an
order, and in versions that know none, documents come in the order of their ids. `describe` answers how they would be
found instead, as one document. A page that is not the last has a `nextCursor`, which a call with the same query and
order takes as `cursor`. Who wants lines gets every document that matches, one a line, while they are found.

Not here: the query language (`crdtstore.query`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from crdtstore import limits
from crdtstore.crdt.json_output import write_json
from crdtstore.crdt.value import Value
from crdtstore.errors import MalformedRequest
from crdtstore.finding import Found
from crdtstore.http.call import Call
from crdtstore.http.headers import at_of
from crdtstore.http.lines import Lines, answer_lines
from crdtstore.http.request import LINES
from crdtstore.http.respond import ENCODER, Answer, encode
from crdtstore.http.store.attachments.shown import typed, with_urls
from crdtstore.query.find import Document, Form

Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
SerializedAs: TypeAlias = Literal["latestValues", "latestValuesAndTypes", "full"]

FORMS: Final[dict[SerializedAs, Form]] = {"latestValues": "values", "latestValuesAndTypes": "types", "full": "full"}


class SortKey(msgspec.Struct, frozen=True):
    """One key of an order."""

    property: str
    direction: Literal["asc", "desc"]


class FindBody(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request; keys that are not named here are tolerated."""

    collection: str
    query: str
    args: dict[str, Any] | None = None
    limit: Natural | msgspec.UnsetType = msgspec.UNSET
    offset: Natural | None = None
    describe: bool = False
    serialized_as: SerializedAs = "latestValues"
    sort: tuple[SortKey, ...] = ()
    cursor: str | None = None
    format_attachment: bool = False


class UnsortedBody(FindBody, frozen=True, rename="camel"):
    """The same where `sort`, `cursor` and `formatAttachment` are keys like any other that is not known."""

    sort: Any = ()
    cursor: Any = None
    format_attachment: Any = None


async def find(call: Call) -> Answer:
    """Answer with the documents that match, and the transaction that they were read at."""
    asked = await call.decode(FindBody if call.version.sorts else UnsortedBody)
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    order = tuple(map(order_text, asked.sort)) if call.version.sorts else ()
    if call.preferred in LINES and not asked.describe:
        if call.version.sorts and asked.format_attachment:
            raise MalformedRequest("`formatAttachment` is for answers in JSON, not for lines: leave it out.")
        found = listed(call, asked, order, at)
        return await answer_lines(call, found, limits.LISTING_SECONDS_MAX, call.preferred)
    run = describe if asked.describe else search
    return await call.in_thread(lambda: run(call, asked, order, at))


@contextmanager
def listed(call: Call, asked: FindBody, order: tuple[str, ...], at: int | None) -> Iterator[Lines]:
    """Run the query, and give its documents as lines."""
    with call.session.find_json_lines(
        asked.collection,
        asked.query,
        args=asked.args,
        order=order,
        limit=None if asked.limit is msgspec.UNSET else asked.limit,
        offset=asked.offset or 0,
        cursor=asked.cursor if call.version.sorts else None,
        form=FORMS[asked.serialized_as],
        at=at,
        seconds=limits.LISTING_SECONDS_MAX,
    ) as found:
        yield Lines(found.txn, found.pieces)


def limit_of(asked: FindBody) -> int:
    """How many documents a page has at most."""
    return limits.FIND_LIMIT_DEFAULT if asked.limit is msgspec.UNSET else asked.limit


def order_text(key: SortKey) -> str:
    """A key of an order as the store takes it."""
    return f"-{key.property}" if key.direction == "desc" else key.property


def search(call: Call, asked: FindBody, order: tuple[str, ...], at: int | None) -> Answer:
    """Run the query and write the answer; in a thread, since both may take long."""
    pages = call.version.sorts
    form = FORMS[asked.serialized_as]
    addressed = pages and asked.format_attachment
    found = call.session.find(
        asked.collection,
        asked.query,
        args=asked.args,
        order=order,
        limit=limit_of(asked),
        offset=asked.offset or 0,
        cursor=asked.cursor if pages else None,
        form=typed(form) if addressed else form,
        at=at,
    )
    if addressed:
        shown = (with_urls(each, form, asked.collection, call.version.name) for each in found.documents)
        found = found._replace(documents=tuple(shown))
    return Answer(200, body_of(found, found.cursor if pages else None), found.txn)


def describe(call: Call, asked: FindBody, order: tuple[str, ...], at: int | None) -> Answer:  # noqa: ARG001  a plan is of now
    """Say how the documents would be found: by an index, and of which paths, or by reading all."""
    txn = call.session.applied
    plan = call.session.explain(asked.collection, asked.query, args=asked.args, order=order, limit=limit_of(asked))
    return Answer(200, encode({"documents": [{"id": "query_details", "fields": details_of(plan)}], "txnId": txn}), txn)


def details_of(plan: dict[str, Any]) -> dict[str, Any]:
    """A plan as this API writes it: the path of the index as its keys, those of several one after the other."""
    if "index" in plan:
        return {"index_scan": {"path": [key for path in plan["index"]["paths"] for key in path]}}
    return {"id_lookup": {}} if plan["access"] == "ids" else {"full_scan": {}}


def body_of(found: Found, cursor: str | None) -> bytes:
    """Join the documents to the body of the answer."""
    documents = b",".join(map(join, found.documents))
    behind = b"" if cursor is None else b',"nextCursor":"%b"' % cursor.encode()
    return b'{"documents":[%b],"txnId":%d%b}' % (documents, found.txn, behind)


def join(document: Document) -> bytes:
    """Join the id and the fields of a document."""
    return b'{"id":%b,"fields":%b}' % (print_id(document.id), document.json)


def print_id(id_: Value) -> bytes:
    """An id as JSON, as the store prints it: the common ones the quick way."""
    return ENCODER.encode(id_) if isinstance(id_, str | int) else write_json(id_)
