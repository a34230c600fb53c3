"""POST /api/vN/store/write: commands in, one result for each out, after the commit.

Rules: all commands are one transaction, applied whole or not at all, so all results carry one transaction id.
`X-DITTO-TXN-ID` is a precondition here: if that transaction is not applied yet, nothing is written. A command says what
it is in `method`, or stands under that name as a key; results always have `method`. With `dryRun` the transaction is
dropped when it could be written: the results are as they would be.

Not here: what a command does (`crdtstore.command`).
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import Any

import msgspec

from crdtstore import limits
from crdtstore.command.command import Command
from crdtstore.command.parse import NamedWriteRequest, WriteRequest, commands_of
from crdtstore.command.result import Removed, Updated, Upserted, Written
from crdtstore.crdt.json_scan import format_place
from crdtstore.errors import CallerError, MalformedJson, MalformedRequest
from crdtstore.http.call import Call
from crdtstore.http.headers import actor_of, required_actor_of, txn_of
from crdtstore.http.respond import ENCODER, Answer, encode
from crdtstore.http.wait import until_done


class Asked(msgspec.Struct, frozen=True):
    """The commands of a body, whether they are only tried out, and whether each stands under its name."""

    commands: tuple[Command, ...]
    dry: bool
    named: bool


async def write(call: Call) -> Answer:
    """Apply the commands of the body in one transaction and answer once it is on disk."""
    version, actor, after = call.version, call.actor, None
    if actor is None:
        actor = required_actor_of(call.request) if version.needs_client_id else actor_of(call.request)
    if not call.at_once:
        after = txn_of(call.request)
    if len(call.body) <= limits.INLINE_BODY_BYTES_MAX:
        asked, pending = begin(call, actor, after)
    else:
        # Submitted there too: what is long is not committed by the event loop itself.
        asked, pending = await call.in_thread(partial(begin, call, actor, after))
    try:
        written = await until_done(pending)
    except CallerError as error:
        raise at_command(error, asked) from None
    return Answer(200, body_of(written, dry=asked.dry, all_counts=version.all_counts), written.txn)


def begin(call: Call, actor: bytes | None, after: int | None) -> tuple[Asked, Future[Written]]:
    """Read the commands and submit them; a long body takes a thread."""
    asked = read_commands(call)
    return asked, call.session.submit(asked.commands, actor=actor, after=after, dry=asked.dry)


def at_command(error: CallerError, asked: Asked) -> CallerError:
    """Say of an error of one command where in the body that stands."""
    number = error.data.get("command")
    if number is not None and "path" not in error.data:
        name = [type(asked.commands[number]).__name__.lower()] if asked.named else []
        error.data["path"] = format_place(["commands", number, *name, *error.data.pop("place", ())])
        error.message = f"At {error.data['path']}: {error.message}"
    return error


def read_commands(call: Call) -> Asked:
    """Read the commands of the body, in either form.

    Raises:
        MalformedRequest: They are in neither; what is said is about the first.
    """
    try:
        plain = call.read(WriteRequest)
    except MalformedJson:
        raise
    except MalformedRequest as error:
        try:
            named = call.read(NamedWriteRequest)
        except MalformedRequest:
            raise error from None
        plain = named.plain()
        return Asked(commands_of(plain), plain.dry_run, named=True)
    return Asked(commands_of(plain), plain.dry_run, named=False)


def body_of(written: Written, *, dry: bool, all_counts: bool) -> bytes:
    """Write the results as the body of the answer; what was only tried out has no transaction."""
    if not dry and len(written.results) == 1 and not written.warnings:
        (result,) = written.results
        if isinstance(result, Upserted):
            upserted = b'{"results":[{"method":"upsert","transactionId":%d,"id":%b}]}'
            return upserted % (written.txn, ENCODER.encode(result.id))
    txn = None if dry else written.txn
    results = [describe(result, txn, all_counts=all_counts) for result in written.results]
    body: dict[str, Any] = {"dryRun": True, "results": results} if dry else {"results": results}
    if written.warnings:
        body["warnings"] = written.warnings
    return encode(body)


def describe(result: Upserted | Updated | Removed, txn: int | None, *, all_counts: bool) -> dict[str, Any]:
    """Write one result with the names that the API gives to its parts.

    No document was left out for an error of the machine: it refuses the transaction.
    """
    said = {} if txn is None else {"transactionId": txn}
    match result:
        case Updated(updated, error, denied):
            return {"method": "update", **said, "updated": updated, "error": error, **counts(denied, all_counts)}
        case Removed(deleted, denied):
            return {"method": "remove", **said, "deleted": deleted, **counts(denied, all_counts)}
        case Upserted(id_):
            return {"method": "upsert", **said, "id": id_}


def counts(denied: int, all_counts: bool) -> dict[str, int]:  # noqa: FBT001  a value, as the version says it
    """How many documents were left out: told always, or where there are some."""
    if all_counts:
        return {"internalError": 0, "permissionDenied": denied}
    return {"permissionDenied": denied} if denied else {}
