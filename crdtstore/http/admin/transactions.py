"""GET /txn: how far the store is, and how far back it can be read.

Rules: on a store that is one node all three are one. Every key may ask: each answer says as much.
"""

from __future__ import annotations

import msgspec

from crdtstore.http.call import Call
from crdtstore.http.respond import Answer, encode


class TransactionsAnswer(msgspec.Struct, rename="camel"):
    """How far the store is, and how far back it can be read."""

    committed: int
    applied: int
    stable: int
    oldest_readable: int


async def transactions(call: Call) -> Answer:
    """Answer with the newest transaction, and the oldest that is still readable."""
    txn = call.session.applied
    oldest = call.session.oldest_readable
    body = {"committed": txn, "applied": txn, "stable": txn, "oldestReadable": txn if oldest is None else oldest}
    return Answer(200, encode(body), txn)
