"""GET /api/vN/collections/{collection}/documents/{id}/history: what was done to a document, the newest first.

Rules: `limit` transactions at most, those before `before` only. `oldest` says how far the log was looked through, and
goes on as `before`; `complete` says whether that is all there ever was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crdtstore import limits
from crdtstore.crdt.actor import format_actor
from crdtstore.crdt.operation_json import show_operation
from crdtstore.crdt.timestamp import format_timestamp
from crdtstore.errors import LimitExceeded, MalformedRequest
from crdtstore.http.call import Call
from crdtstore.http.headers import arguments_of
from crdtstore.http.respond import Answer, encode
from crdtstore.storage.history import Touched


async def history(call: Call) -> Answer:
    """Answer with the transactions that touched the document; one that never was has none."""
    arguments = arguments_of(call.request)
    before = number_of(arguments, "before", None)
    limit = number_of(arguments, "limit", limits.HISTORY_LIMIT_DEFAULT)
    assert limit is not None
    if not 0 < limit <= limits.HISTORY_LIMIT_MAX:
        message = f"`limit` is a number from 1 to {limits.HISTORY_LIMIT_MAX}."
        raise LimitExceeded(message, limit="HISTORY_LIMIT_MAX", value=limit, maximum=limits.HISTORY_LIMIT_MAX)
    collection, id_ = call.parameters["collection"], call.parameters["id"]
    await call.until_readable(collection)
    return await call.in_thread(lambda: answer(call, collection, id_, before, limit))


def answer(call: Call, collection: str, id_: str, before: int | None, limit: int) -> Answer:
    """Read the history and write it; in a thread, since both may take long."""
    found = call.session.history(collection, id_, before=before, limit=limit)
    body = {
        "transactions": [show(transaction) for transaction in found.transactions],
        "oldest": found.oldest,
        "complete": found.whole,
        "txnId": found.txn,
    }
    return Answer(200, encode(body), found.txn)


def number_of(arguments: Mapping[str, str], name: str, default: int | None) -> int | None:
    """A number of the query string.

    Raises:
        MalformedRequest: It is not a natural number.
    """
    text = arguments.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < len(str(limits.INT_MAX))):
        raise MalformedRequest(f"`{name}` is a number from 0, in decimal digits.", argument=name)
    return int(text)


def show(transaction: Touched) -> dict[str, Any]:
    """One transaction."""
    stamp = transaction.stamp
    return {
        "transactionId": transaction.txn,
        "timestamp": format_timestamp(stamp.timestamp),
        "actor": format_actor(stamp.actor),
        "origin": format_actor(stamp.origin),
        "operations": [show_operation(operation) for operation in transaction.operations],
    }
