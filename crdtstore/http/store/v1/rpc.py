"""POST /api/v1/store: find, findById and write as calls by name.

Rules: each command of a write is a transaction of its own, and they run in order until one fails: what was written
before it stays, and the error says which command it was and what came of those before it. A body that does not fit is
refused before anything runs. `version` in an answer is an older name of `txnId`.

Not here: what a command does (`crdtstore.command`).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Annotated, Any, Literal, TypeAlias, cast

import msgspec

from crdtstore import limits
from crdtstore.auth.session import Session
from crdtstore.command.command import Command
from crdtstore.command.parse import WriteRequest, commands_of
from crdtstore.command.result import Written
from crdtstore.errors import CrdtStoreError
from crdtstore.http.call import Call
from crdtstore.http.faults import PROBLEM, answer_to
from crdtstore.http.headers import at_of, required_actor_of, txn_of
from crdtstore.http.negotiate import choose
from crdtstore.http.request import JSON
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.find import Natural, details_of
from crdtstore.http.store.v1.raw import raw
from crdtstore.http.store.write import describe

Limit: TypeAlias = Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"maximum": limits.FIND_LIMIT_MAX})]
"""The store refuses more, with an error that names the bound; here it is only said."""


class FindParameters(msgspec.Struct, frozen=True):
    """What a find is asked; keys that are not named here are tolerated."""

    collection: str
    query: str
    args: dict[str, Any] | None = None
    limit: Limit = limits.FIND_LIMIT_DEFAULT
    offset: Natural | None = None
    describe: bool = False


class FindByIdParameters(msgspec.Struct, frozen=True):
    """Which document is asked for."""

    collection: str
    id: Any = msgspec.field(name="_id")


class WriteParameters(msgspec.Struct, frozen=True):
    """What is written. What later versions only try out with `dryRun` is refused here, lest it be written."""

    commands: list[Command]
    dry_run: Literal[False] = msgspec.field(default=False, name="dryRun")


class FindCall(msgspec.Struct, frozen=True, tag_field="method", tag="find"):
    """The documents of a collection that a query matches."""

    parameters: FindParameters


class FindByIdCall(msgspec.Struct, frozen=True, tag_field="method", tag="findById"):
    """One document."""

    parameters: FindByIdParameters


class WriteCall(msgspec.Struct, frozen=True, tag_field="method", tag="write"):
    """Commands, each a transaction of its own."""

    parameters: WriteParameters


RpcRequest: TypeAlias = FindCall | FindByIdCall | WriteCall


async def rpc(call: Call) -> Answer:
    """Answer a call."""
    asked = cast("RpcRequest", await call.decode(cast("Any", RpcRequest)))
    match asked:
        case FindCall(parameters):
            return await find(call, parameters)
        case FindByIdCall(parameters):
            return await find_by_id(call, parameters)
        case WriteCall(parameters):
            return await write(call, commands_of(WriteRequest(parameters.commands)))


# --- reads ---


async def find(call: Call, asked: FindParameters) -> Answer:
    """Answer with the documents that match."""
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    if asked.describe:
        return await call.in_thread(lambda: explain(call.session, asked))
    return await call.in_thread(lambda: search(call.session, asked, at))


def search(session: Session, asked: FindParameters, at: int | None) -> Answer:
    """Run the query and write the answer."""
    offset = asked.offset or 0
    found = session.find(asked.collection, asked.query, args=asked.args, limit=asked.limit, offset=offset, at=at)
    return Answer(200, body_of(b'"documents":[%b]' % b",".join(map(raw, found.documents)), found.txn), found.txn)


def explain(session: Session, asked: FindParameters) -> Answer:
    """Say how the documents would be found, as one document."""
    txn = session.applied
    plan = session.explain(asked.collection, asked.query, args=asked.args, limit=asked.limit)
    details = encode({"_id": "query_details", **details_of(plan)})
    return Answer(200, body_of(b'"documents":[%b]' % details, txn), txn)


async def find_by_id(call: Call, asked: FindByIdParameters) -> Answer:
    """Answer with the document, or null."""
    at = at_of(call.request)
    await call.until_readable(asked.collection)
    # Before the read, so that it never names a transaction that the read may have missed.
    txn = call.session.applied if at is None else at
    document = await call.in_thread(lambda: call.session.get(asked.collection, asked.id, at=at))
    return Answer(200, body_of(b'"document":%b' % (b"null" if document is None else raw(document)), txn), txn)


def body_of(what: bytes, txn: int) -> bytes:
    """Write the answer to a read."""
    return b'{%b,"txnId":%d,"version":%d}' % (what, txn, txn)


# --- writes ---


async def write(call: Call, commands: tuple[Command, ...]) -> Answer:
    """Run the commands, and answer once all of them are on disk or one has failed."""
    actor = required_actor_of(call.request)
    pending = call.session.submit_each(commands, actor=actor, after=txn_of(call.request))
    await until_done(pending[-2:])
    return outcome_of(call, pending)


async def until_done(last: list[Future[Written]]) -> None:
    """Wait for the last two, which are done last: the very last was perhaps never queued.

    When this task is cancelled the transactions, which are already on their way, are not.
    """
    if last:
        done, _ = await asyncio.wait(list(map(asyncio.wrap_future, last)))
        for each in done:
            each.exception()  # it is told by the caller


def outcome_of(call: Call, pending: list[Future[Written]]) -> Answer:
    """Write the results, or the first error and the results before it."""
    written: list[Written] = []
    for future in pending:
        error = future.exception()
        if isinstance(error, CrdtStoreError):
            return failed(call, error, written)
        written.append(future.result())
    body: dict[str, Any] = {"results": results_of(call, written)}
    warnings = [warning for each in written for warning in each.warnings]
    if warnings:
        body["warnings"] = warnings
    return Answer(200, encode(body), written[-1].txn if written else None)


def results_of(call: Call, written: list[Written]) -> list[dict[str, Any]]:
    """The result of each command that was run."""
    counts = call.version.all_counts
    return [describe(result, each.txn, all_counts=counts) for each in written for result in each.results]


def failed(call: Call, error: CrdtStoreError, written: list[Written]) -> Answer:
    """Write an error, with the command that it is of, and what stays of those before it."""
    is_problem = choose(call.request.headers.get(b"accept"), (JSON.media_type, PROBLEM)) == PROBLEM
    answer = answer_to(error, "problem" if is_problem else call.route.errors)
    body = msgspec.json.decode(answer.body)
    data = body if is_problem else body["error"]["data"]
    data |= {"command": len(written), "results": results_of(call, written)}
    return answer.but(body=encode(body))
