"""A live query as the source of an answer that goes on.

Rules: the first event is `rows`, then come `diff`s; the id of each is its transaction. Events are written of documents
that were printed already, once for all who are told the same, and given a piece at a time: for a slow reader nothing is
kept but the event that it is reading. The last event, `cut`, says that the server stops, or what broke.

Not here: what the rows are (`crdtstore.live`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

from crdtstore import limits
from crdtstore.errors import CrdtStoreError
from crdtstore.http.call import Call
from crdtstore.http.event_stream import NO_EVENT, message
from crdtstore.http.respond import encode
from crdtstore.http.store.find import join
from crdtstore.http.wait import Callback
from crdtstore.live.difference import Difference, Placed
from crdtstore.live.observation import Observation
from crdtstore.live.query import Change

INLINE_ROWS_MAX: Final = 100
"""So many rows are written on the event loop, more in a thread."""

WRITTEN: Final[WeakKeyDictionary[Change, bytes]] = WeakKeyDictionary()
"""Events as they are written, as long as anybody may be told them."""


class LiveSource:
    """What an observer over HTTP reads."""

    def __init__(self, call: Call, observation: Observation) -> None:
        """Nothing was told yet."""
        self.call = call
        self.observation = observation
        self.txn = observation.query.txn
        self.rest = memoryview(b"")
        """What is left of an event."""
        self.ended = False

    def listen(self, wake: Callback) -> Callback:
        """Be woken by the live query."""
        return self.observation.listen(wake)

    async def take(self) -> bytes:
        """A piece of the event that is told, or of the next one; empty where there is none yet."""
        if not self.rest and not self.ended:
            self.rest = memoryview(await self.next_event())
        piece, self.rest = self.rest[: limits.LINES_PIECE_BYTES], self.rest[limits.LINES_PIECE_BYTES :]
        return bytes(piece)

    async def next_event(self) -> bytes:
        """The next event; empty where there is none yet."""
        # What came before the end is there when the end is seen.
        over = self.observation.ended
        try:
            change = self.observation.take()
        except CrdtStoreError as error:
            self.ended = True
            return self.cut({"code": error.code, "message": error.message})
        if change is None:
            self.ended = over
            return self.farewell() if over else b""
        self.txn = change.txn
        if len(change.kept) > INLINE_ROWS_MAX and change not in WRITTEN:
            return await self.call.in_thread(partial(written, change))
        return written(change)

    def heartbeat(self) -> bytes:
        """Say that it goes on."""
        return NO_EVENT

    def farewell(self) -> bytes:
        """Say that the server stops."""
        return self.cut({})

    def cut(self, why: dict[str, str]) -> bytes:
        """The last event."""
        return message(encode({"txnId": self.txn, **why}), b"cut")

    def close(self) -> None:
        """Let go of the observation, in a thread: a round may be going on."""
        try:
            self.call.threads.submit(self.observation.close)
        except RuntimeError:  # the server has stopped its threads
            self.observation.close()


def written(change: Change) -> bytes:
    """A change as an event."""
    event = WRITTEN.get(change)
    if event is None:
        name = b"rows" if change.difference is None else b"diff"
        event = WRITTEN[change] = message(data_of(change), name, b"%d" % change.txn)
    return event


def data_of(change: Change) -> bytes:
    """What an event says."""
    if change.difference is not None:
        return b'{%b,"txnId":%d}' % (parts_of(change.difference), change.txn)
    return b'{"documents":[%b],"txnId":%d}' % (b",".join(map(join, change.rows)), change.txn)


def parts_of(difference: Difference) -> bytes:
    """The members of a difference."""
    return b'"deletions":%b,"insertions":[%b],"updates":[%b],"moves":[%b]' % (
        encode(difference.deletions),
        join_placed(difference.insertions),
        join_placed(difference.updates),
        b",".join(b'{"from":%d,"to":%d}' % move for move in difference.moves),
    )


def join_placed(rows: Iterable[Placed]) -> bytes:
    """Documents with their places."""
    return b",".join(b'{"index":%d,"document":%b}' % (row.place, join(row.document)) for row in rows)
