"""Running a line of the matrix: every request by every caller, and what is wrong with the answers.

Rules:

- Who is not known is refused 401, and who is known and not allowed 403; the store is as it was then.
- Who is allowed gets what he would get if he could do everything in a store that holds only what he has to do with; and
  whoever he is, allowed or not, he gets what he would get himself in that store.
- Nothing that is hidden from a caller stands in any answer to him.
- What differs between two stores that hold the same are transactions, and what hangs on them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from crdtstore.http.route import Route
from crdtstore.storage.attachments import format_id, make_id
from tests.http.calling import Answered
from tests.matrix.oracle import CALLERS, FILLED, MARKS, MINE, SOME, Held, Need, is_allowed, sees
from tests.matrix.requests import PIECE, Asked, encode, line_of
from tests.matrix.world import World

TRANSACTIONS: Final = b"txnId|txnID|transactionId|txn_id|next|committed|applied|stable|oldestReadable|version"
NUMBERS: Final = re.compile(rb'("(?:%b)": ?)\d+|^id: \d+' % TRANSACTIONS, re.MULTILINE)
CURSOR: Final = re.compile(rb'("(?:cursor|nextCursor|next_cursor)": ?)"[^"]*"')
VARYING: Final = frozenset({"x-ditto-txn-id", "content-length", "etag"})
OLDER: Final = re.compile(r"/api/v[234]/")
"""Versions of which the fifth has all routes."""

EVERYBODY: Final = CALLERS[-1]
"""Who may do everything."""

NO_FILE: Final = format_id(make_id(sha256(PIECE).digest()))

Request = tuple[str, str, bytes, str]


class Matrix:
    """The stores of a run, by kind; one that was written to is made anew."""

    def __init__(self, callers: Sequence[Held] = CALLERS) -> None:
        self.callers = callers
        self.loop = asyncio.new_event_loop()
        self.worlds: dict[frozenset[str], World] = {}
        self.cases = 0
        self.last = Answered(0, {}, b"")

    def close(self) -> None:
        """Let go of everything."""
        for kind in list(self.worlds):
            self.worlds.pop(kind).close()
        self.loop.close()

    def world(self, filled: frozenset[str]) -> World:
        """The store with something in these collections."""
        if filled not in self.worlds:
            self.worlds[filled] = World.make(filled)
        return self.worlds[filled]

    def ask(self, filled: frozenset[str], held: Held, request: Request, *, writes: bool) -> Answered:
        """Send a request to the store with something in these collections."""
        answered = self.world(filled).ask(self.loop, held, request)
        if writes:
            self.worlds.pop(filled).close()
        return answered

    def problems(self, route: Route, method: str) -> Iterator[str]:
        """What is wrong with a route."""
        line = line_of(route, method)
        if line is None:
            yield f"{method} {route.path} has no line in the table: say there what it needs"
            return
        good = False
        for asked in line():
            for held in callers_of(route, self.callers):
                self.cases += 1
                where = f"{method} {route.path} {asked.scope} {asked.query} {asked.body!r:.80} as {held.name!r}"
                yield from (f"{where}: {problem}" for problem in self.judge(route, method, asked, held))
                good = good or self.last.status < 300
        if not good and (method, route.path) not in NEVER_GOOD:
            yield f"{method} {route.path}: nothing was answered well, so nothing was tried"

    def judge(self, route: Route, method: str, asked: Asked, held: Held) -> Iterator[str]:
        """What is wrong with the answer to one caller."""
        request = self.request(route, method, asked)
        allowed, hidden_file = is_allowed_here(held, asked)
        changes = allowed and asked.writes
        world = self.world(FILLED)
        world.let_in(held)
        before = None if changes else world.state
        answered = self.last = self.ask(FILLED, held, request, writes=changes)
        if not held.known:
            allowed = False
        yield from wrong_status(answered, held, allowed=allowed, hidden_file=hidden_file)
        if before is not None and world.state != before:
            yield "it changed the store"
        seen = sees(held, touches=asked.writes and not asked.chooses)
        if seen == FILLED or not held.known:
            return
        sent = request[1].encode() + request[2]
        for mark in (mark.encode() for collection, mark in MARKS.items() if collection not in seen):
            if mark in answered.body and mark not in sent:
                yield f"it tells what is hidden: {answered.body!r:.300}"
        for other in compared_with(held, asked, allowed=allowed):
            same = self.ask(seen, other, request, writes=changes)
            if told(answered, writes=asked.writes) != told(same, writes=asked.writes):
                yield f"{other.name!r} in a store without what is hidden gets another answer: {answered} {same}"

    def request(self, route: Route, method: str, asked: Asked) -> Request:
        """Write a request."""
        path = route.path
        for name, value in asked.parameters.items():
            path = path.replace(f"{{{name}}}", self.file(value) if value.startswith("FILE:") else value)
        if method == "GET" and path.endswith("/store/live") and isinstance(asked.body, dict):
            query = "&".join(f"{name}={value}" for name, value in asked.body.items())
            return method, f"{path}?{query}", b"", asked.content_type
        return method, f"{path}?{asked.query}" if asked.query else path, encode(asked.body), asked.content_type

    def file(self, name: str) -> str:
        """The id of a file of a collection."""
        return self.world(FILLED).files.get(name.removeprefix("FILE:"), NO_FILE)


def callers_of(route: Route, callers: Sequence[Held]) -> Sequence[Held]:
    """Who asks: of the versions that share a line every caller asks one, and every third caller the others."""
    return callers[1::3] if OLDER.match(route.path) else callers


def compared_with(held: Held, asked: Asked, *, allowed: bool) -> tuple[Held, ...]:
    """Who gets the same answer in a store that holds only what somebody has to do with."""
    if not asked.compared:
        return ()
    # Who sees more than he may write is told how much of it he did not.
    counts = asked.chooses and SOME in held.write and MINE in held.read
    return (held, EVERYBODY) if allowed and not counts else (held,)


def is_allowed_here(held: Held, asked: Asked) -> tuple[bool, bool]:
    """Whether somebody may send a request; and whether it is for a file, which is then not to be found."""
    files = [need for need in asked.needs if need.what == "file"]
    if not files:
        return held.known and is_allowed(held, asked.needs), False
    return held.known and is_allowed(held, tuple(Need("read", need.collection) for need in files)), True


def wrong_status(answered: Answered, held: Held, *, allowed: bool, hidden_file: bool) -> Iterator[str]:
    """What is wrong with a status."""
    status = answered.status
    if not held.known:
        if status != 401:
            yield f"{status} for who is not known"
    elif not allowed and status != (404 if hidden_file else 403):
        yield f"{status} for who is not allowed: {answered.body!r:.200}"
    elif allowed and status in {401, 403}:
        yield f"{status} for who is allowed: {answered.body!r:.200}"


def told(answered: Answered, *, writes: bool) -> tuple[int, dict[str, str], bytes]:
    """What an answer tells, without what hangs on transactions."""
    body = CURSOR.sub(rb'\1""', NUMBERS.sub(rb"\1 0", answered.body))
    varying = VARYING if writes else VARYING - {"etag"}
    return answered.status, {name: value for name, value in answered.headers.items() if name not in varying}, body


NEVER_GOOD: Final = frozenset(
    {
        ("GET", "/admin/backup"),  # a store in memory has no backup
        ("GET", "/admin/keys/{prefix}"),  # there is no such key
        ("DELETE", "/admin/keys/{prefix}"),
        ("POST", "/admin/keys/{prefix}/explain"),
        ("POST", "/admin/keys/{prefix}/rotate"),
        ("DELETE", "/admin/accounts/{name}"),  # there is no such account
        ("POST", "/admin/keys/{prefix}/explain"),
    }
)
"""What is not answered well even to who may do everything."""
