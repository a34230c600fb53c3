"""POST /api/v3/store/write: commands in, one result for each out, after the commit.

Rules: all commands are one transaction, applied whole or not at all, so all results carry one transaction id.
`X-DITTO-TXN-ID` is a precondition here: if that transaction is not applied yet, nothing is written.

Not here: what a command does (`crdtstore.command`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from crdtstore.command.parse import WriteRequest, commands_of
from crdtstore.command.result import Removed, Updated, Upserted, Written
from crdtstore.http.call import Call
from crdtstore.http.request import required_actor_of, txn_of
from crdtstore.http.respond import Answer, encode


async def write(call: Call) -> Answer:
    """Apply the commands of the body in one transaction and answer once it is on disk."""
    actor = required_actor_of(call.request)
    after = txn_of(call.request)
    commands = commands_of(await call.decode(WriteRequest))
    pending = asyncio.wrap_future(call.session.submit(commands, actor=actor, after=after))
    # Shielded: when this task is cancelled the transaction, which is already on its way, must not be.
    written = await asyncio.shield(pending)
    return Answer(200, body_of(written), written.txn)


def body_of(written: Written) -> bytes:
    """Write the results as the body of the answer."""
    body: dict[str, Any] = {"results": [describe(result, written.txn) for result in written.results]}
    if written.warnings:
        body["warnings"] = written.warnings
    return encode(body)


def describe(result: Upserted | Updated | Removed, txn: int) -> dict[str, Any]:
    """Write one result with the names that the API gives to its parts.

    No document was left out for an error of the machine or a lacking permission: either refuses the
    transaction.
    """
    if isinstance(result, Updated):
        return {
            "method": "update",
            "transactionId": txn,
            "updated": result.updated,
            "error": result.error,
            "internalError": 0,
            "permissionDenied": 0,
        }
    if isinstance(result, Removed):
        return {
            "method": "remove",
            "transactionId": txn,
            "deleted": result.deleted,
            "internalError": 0,
            "permissionDenied": 0,
        }
    return {"method": "upsert", "transactionId": txn, "id": result.id}
