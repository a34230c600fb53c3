"""POST /api/vN/sync/remote_execute: one SELECT, run by each peer that fulfils a condition.

Rules: the one peer that answers is this store itself: it runs the SELECT if the condition holds for it, else nobody
does. Stores that it exchanges with are asked at their own servers. Who asks must be allowed to read the whole store.
What goes wrong because of what the peer holds is told as that peer's error; what is wrong with the statement is the
caller's.

Not here: how the statement is taken apart (`crdtstore.query.dql.remote`).
"""

from __future__ import annotations

from time import perf_counter
from typing import Any, Final

import msgspec

from crdtstore import limits
from crdtstore.crdt.value import Value
from crdtstore.errors import LimitExceeded, StatementTimeout
from crdtstore.http.call import Call
from crdtstore.http.headers import at_of
from crdtstore.http.respond import Answer, encode
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.remote import parse_remote
from crdtstore.statement.answer import Executed

PEER_KEY: Final = "peerKeyString"
"""The field of a peer that names it."""


class RemoteExecuteBody(msgspec.Struct, frozen=True):
    """The body of a request; keys that are not named here are tolerated."""

    statement: str
    args: dict[str, Any] | None = None


async def remote_execute(call: Call) -> Answer:
    """Answer with the rows of this store, if it is among the peers that are asked."""
    asked = await call.decode(RemoteExecuteBody)
    peer = call.session.as_peer()
    await call.until_readable()
    results = await call.in_thread(lambda: run(call, asked, peer))
    return Answer(200, b'{"result":[%b]}' % b",".join(results))


def run(call: Call, asked: RemoteExecuteBody, peer: dict[str, Value]) -> list[bytes]:
    """Ask the peer, if it is meant; in a thread, since it may take long.

    Raises:
        QuerySyntaxError: It is no statement for peers.
        MalformedRequest: An argument is missing.
    """
    profile = call.version.profile
    remote = parse_remote(asked.statement, profile)
    is_meant = compile_expression(remote.peers, Context(asked.args or {}, profile=profile))
    # Read before, so that a statement that is none is refused whoever is meant.
    call.session.reach([remote.select], profile)
    return [answer_of(call, remote.select, asked.args, str(peer[PEER_KEY]))] if is_meant(peer) is True else []


def answer_of(call: Call, select: str, args: dict[str, Any] | None, name: str) -> bytes:
    """What one peer answers."""
    profile, at = call.version.profile, at_of(call.request)
    begun = perf_counter()
    try:
        done = call.session.execute(select, args, profile=profile, actor=None, after=None, at=at, seconds=None)
        error = b""
    except (LimitExceeded, StatementTimeout) as failed:
        done = Executed(call.session.applied)
        error = b',"error":%b' % encode({"description": failed.message})
    took = round((perf_counter() - begun) * 1_000)
    warnings = [{"description": warning} for warning in done.warnings[: limits.EXECUTE_WARNINGS_MAX]]
    return b'{"peer":%b,"items":[%b],"elapsedMilliseconds":%d%b,"warnings":%b,"totalWarningsCount":%d}' % (
        encode(name),
        b",".join(done.rows_json),
        took,
        error,
        encode(warnings),
        len(done.warnings),
    )
