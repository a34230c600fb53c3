"""POST or GET /api/vN/store/count: how many documents of a collection a query matches."""

from __future__ import annotations

from typing import Any

import msgspec

from crdtstore.http.call import Call
from crdtstore.http.headers import at_of
from crdtstore.http.respond import Answer


class CountBody(msgspec.Struct, frozen=True):
    """The body of a request; keys that are not named here are tolerated."""

    collection: str
    query: str
    args: dict[str, Any] | None = None


async def count(call: Call) -> Answer:
    """Answer with the number, and the transaction at which it was counted."""
    asked = await call.decode(CountBody)
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    counted = await call.in_thread(lambda: call.session.count(asked.collection, asked.query, args=asked.args, at=at))
    return Answer(200, b'{"count":%d,"txnId":%d}' % (counted.count, counted.txn), counted.txn)
