"""POST /api/vN/store/execute: one statement of DQL, or several as one transaction.

Rules: the answer has one shape whatever came of it. `statements`, a list, is run as one transaction, all or none, and
answers a list of such objects; it is an extension. What a statement reads and writes is asked of the permission before
it runs. At most EXECUTE_WARNINGS_MAX warnings are told, and how many there were. With `dryRun` what would be written is
dropped. Who wants lines gets the rows of a SELECT, one a line, while they are found; all else is answered as ever.

Not here: what statements mean (`crdtstore.statement`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from crdtstore import limits
from crdtstore.crdt.value import Value
from crdtstore.errors import LimitExceeded, MalformedRequest
from crdtstore.http.call import Call
from crdtstore.http.headers import actor_of, at_of, txn_of
from crdtstore.http.lines import Lines, answer_lines
from crdtstore.http.request import LINES
from crdtstore.http.respond import Answer, encode
from crdtstore.query.dql.statement import Select
from crdtstore.statement.answer import Executed
from crdtstore.statement.run import parse_kept


class ExecuteBody(msgspec.Struct, frozen=True):
    """The body of a request; keys that are not named here are tolerated."""

    statement: str | None = None
    args: dict[str, Any] | None = None
    statements: tuple[str, ...] | None = None
    dry_run: bool = msgspec.field(default=False, name="dryRun")


async def execute(call: Call) -> Answer:
    """Run what is asked, in a thread, and answer when it is on disk."""
    asked = await call.decode(ExecuteBody)
    texts = statements_of(asked)
    if not call.session.reach(texts, call.version.profile).writes:
        # For what writes the transaction is a precondition, which is checked with the write.
        await call.until_readable()
        if call.preferred in LINES and is_select(call, asked):
            return await answer_lines(call, listed(call, asked, texts[0]), limits.LISTING_SECONDS_MAX, call.preferred)
    # Shielded: when this task is cancelled a transaction, which is already on its way, must not be.
    done = await asyncio.shield(asyncio.ensure_future(call.in_thread(lambda: run(call, asked, texts))))
    bodies = [body_of(executed, dry=asked.dry_run) for executed in done]
    body = b'{"results":[%b]}' % b",".join(bodies) if asked.statement is None else bodies[0]
    return Answer(200, body, max((executed.txn for executed in done), default=None))


def is_select(call: Call, asked: ExecuteBody) -> bool:
    """Whether one statement is to be run, and is a SELECT."""
    return asked.statement is not None and isinstance(parse_kept(asked.statement, call.version.profile), Select)


@contextmanager
def listed(call: Call, asked: ExecuteBody, text: str) -> Iterator[Lines]:
    """Run a SELECT, and give its rows as lines."""
    with call.session.stream(
        text, asked.args, profile=call.version.profile, at=at_of(call.request), seconds=None
    ) as found:
        yield Lines(found.txn, (row + b"\n" for row in found.rows))


def statements_of(asked: ExecuteBody) -> tuple[str, ...]:
    """The statements of a body.

    Raises:
        MalformedRequest: There are none, in either form, or in both.
        LimitExceeded: There are too many.
    """
    if (asked.statement is None) == (asked.statements is None):
        raise MalformedRequest("Give `statement`, or `statements` for several in one transaction.", path="$.statement")
    texts = (asked.statement,) if asked.statement is not None else asked.statements or ()
    if len(texts) > limits.COMMANDS_MAX:
        message = f"A request holds {len(texts)} statements; at most {limits.COMMANDS_MAX} are allowed."
        raise LimitExceeded(message, limit="COMMANDS_MAX", value=len(texts), maximum=limits.COMMANDS_MAX)
    return texts


def run(call: Call, asked: ExecuteBody, texts: tuple[str, ...]) -> tuple[Executed, ...]:
    """Run one statement, or several together."""
    session, profile, actor = call.session, call.version.profile, actor_of(call.request)
    after = txn_of(call.request)
    # As long as the store lets statements run.
    seconds, dry = None, asked.dry_run
    if asked.statement is None:
        return session.execute_together(
            texts, asked.args, profile=profile, actor=actor, after=after, seconds=seconds, dry=dry
        )
    at = at_of(call.request)
    return (
        session.execute(
            texts[0], asked.args, profile=profile, actor=actor, after=after, at=at, seconds=seconds, dry=dry
        ),
    )


def body_of(executed: Executed, *, dry: bool) -> bytes:
    """Write one answer; rows are joined as they are. What was only tried out has no transaction."""
    warnings = [{"description": warning} for warning in executed.warnings[: limits.EXECUTE_WARNINGS_MAX]]
    kind = "mutation" if executed.is_mutation else "select"
    return (
        b'{%b,"queryType":"%b","items":[%b],"mutatedDocumentIds":%b,"error":{},"warnings":%b,"totalWarningsCount":%d}'
    ) % (
        b'"dryRun":true' if dry and executed.is_mutation else b'"transactionId":%d' % executed.txn,
        kind.encode(),
        b",".join(executed.rows_json),
        encode(ids_of(executed)),
        encode(warnings),
        len(executed.warnings),
    )


def ids_of(executed: Executed) -> list[Value]:
    """The ids of the documents that were changed."""
    return list(executed.mutated)
