"""GET /api/vN/store/changes: what became of documents, transaction by transaction.

Rules: `normal` answers a page at once, `longpoll` a page as soon as there is an event, `continuous` goes on. A page
holds whole transactions, and says in `next` where to go on, which is as far as the feed had told everything. Whoever
waits is counted among the answers that go on. Reading takes the right to read the collections, all where none is named.

Not here: the events themselves (`crdtstore.feed`).
"""

from __future__ import annotations

from functools import partial
from time import monotonic

from crdtstore import limits
from crdtstore.feed.event import Event
from crdtstore.feed.reader import Reader
from crdtstore.feed.ring import Chunk
from crdtstore.http.call import Call
from crdtstore.http.event_stream import LINES, SERVER_SENT, answer_events, check_streams
from crdtstore.http.headers import wait_of
from crdtstore.http.respond import Answer
from crdtstore.http.store.changes.arguments import Asked, read_asked
from crdtstore.http.store.changes.source import ChangesSource
from crdtstore.http.wait import until_woken


async def changes(call: Call) -> Answer:
    """Answer with what became of documents since a transaction, or as it happens."""
    asked = read_asked(call)
    await call.until_readable(*(asked.collections or ()))
    if asked.feed != "normal":
        check_streams(call.desk.held)
    reader = await call.in_thread(partial(open_reader, call, asked))
    source = ChangesSource(call, reader, asked)
    if asked.feed == "continuous":
        return answer_events(call, source, SERVER_SENT if asked.server_sent else LINES)
    try:
        return await page(call, reader, asked)
    finally:
        source.close()


def open_reader(call: Call, asked: Asked) -> Reader:
    """Begin to read; in a thread, since the feed may have to start."""
    return call.session.follow(asked.collections, asked.query, asked.language, asked.since, images=asked.original)


async def page(call: Call, reader: Reader, asked: Asked) -> Answer:
    """Answer with a page; a long poll waits where it would be empty."""
    found = await call.in_thread(partial(read_page, reader, asked))
    if not found.events and asked.feed == "longpoll" and not reader.is_past:
        call.desk.held.streams += 1
        try:
            await until_woken(reader.listen, wait_of(call.request, call.desk.wait_seconds), call.gone, call.desk.held)
        finally:
            call.desk.held.streams -= 1
        found = await call.in_thread(partial(read_page, reader, asked))
    events = b",".join(event.json for event in found.events)
    txn = max(call.session.applied, found.txn)
    return Answer(200, b'{"changes":[%b],"txnId":%d,"next":%d}' % (events, txn, found.txn), txn)


def read_page(reader: Reader, asked: Asked) -> Chunk:
    """The events that there are, up to the limit; what takes long to find is left to the next page."""
    left = limits.FIND_LIMIT_DEFAULT if asked.limit is None else asked.limit
    found: list[Event] = []
    size, txn = 0, reader.txn
    until = monotonic() + limits.FEED_PAGE_SECONDS_MAX
    while left > 0 and size < limits.FEED_PAGE_BYTES_MAX:
        chunk = reader.take()
        if chunk is None:
            return Chunk(found, reader.txn)
        chunk = chunk.first(left)
        found += chunk.events
        left -= len(chunk.events)
        size += sum(len(event.json) for event in chunk.events)
        txn = chunk.txn
        if monotonic() > until:
            break
    return Chunk(found, txn)
