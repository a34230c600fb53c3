"""/api/v1/timeseries/{series}/events: events are appended, read and removed.

Rules: a body of JSON Lines is events, one of JSON is a question; so POST does either. The events of one body are one
transaction. Answers of events are lines, by time unless the question says an order, and at most FIND_LIMIT_DEFAULT
unless it says how many.

Not here: the lines of an answer (`crdtstore.http.lines`), what is asked (`body`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from crdtstore import limits
from crdtstore.auth.session import Session
from crdtstore.command.result import Written
from crdtstore.http.call import Call
from crdtstore.http.headers import arguments_of, required_actor_of, txn_of
from crdtstore.http.lines import Lines, answer_lines
from crdtstore.http.request import JSON_LINES
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.series.body import Asked, read_arguments, read_asked, read_events, read_ttl, seconds_of
from crdtstore.http.wait import until_done
from crdtstore.timeseries.event import TIME, Event
from crdtstore.timeseries.fill import fill_events

FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def events(call: Call) -> Answer:
    """Append events to a series, read those of a span, or remove them."""
    if call.request.method == "DELETE":
        return await remove(call)
    if call.request.method == "POST" and call.form is JSON_LINES:
        return await append(call)
    return await find(call)


async def append(call: Call) -> Answer:
    """Append the events of the body in one transaction and answer once it is on disk."""
    actor, after = required_actor_of(call.request), txn_of(call.request)
    ttl_seconds = read_ttl(call.request)
    given = await in_thread_if_long(call, lambda: read_events(call.body))
    series = call.parameters["series"]
    return await written(call.session.append_events(series, given, ttl_seconds, actor=actor, after=after))


async def in_thread_if_long(call: Call, work: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Read a body, off the event loop if it is long."""
    return await call.in_thread(work) if len(call.body) > limits.INLINE_BODY_BYTES_MAX else work()


async def written(pending: Future[Written]) -> Answer:
    """Answer once a transaction is on disk."""
    done = await until_done(pending)
    return Answer(200, encode({"txn_id": done.txn}), done.txn)


async def remove(call: Call) -> Answer:
    """Remove the events of a span in one transaction and answer once it is on disk."""
    asked = read_arguments(arguments_of(call.request))
    actor, after = required_actor_of(call.request), txn_of(call.request)
    series = call.parameters["series"]
    return await written(call.session.remove_events(series, asked.start, asked.end, actor=actor, after=after))


async def find(call: Call) -> Answer:
    """Answer with the events that are asked for, one a line."""
    asked = await read_asked(call)
    series = call.parameters["series"]
    await call.until_readable(series)
    if asked.describe:
        return await call.in_thread(lambda: describe(call.session, series, asked))
    seconds = seconds_of(asked.timeout_millis)
    return await answer_lines(call, listed(call.session, series, asked, seconds), seconds)


@contextmanager
def listed(session: Session, series: str, asked: Asked, seconds: float) -> Iterator[Lines]:
    """The events as lines."""
    limit = limits.FIND_LIMIT_DEFAULT if asked.limit is None else asked.limit
    with session.events(
        series, asked.start, asked.end, query=asked.filter or "", order=asked.order, limit=limit, seconds=seconds
    ) as found:
        filled: Iterable[Event] = found.events
        if asked.fill_template:
            filled = fill_events(found.events, asked.fill_template)
        yield Lines(found.txn, map(line_of, filled))


def line_of(event: Event) -> bytes:
    """An event as a line: its time as it was given, and its other keys."""
    fields = FIELDS.decode(event.json)
    time = fields.pop(TIME)
    return b'{"item":{"_time":%b,"value":%b}}\n' % (time, encode(fields))


def describe(session: Session, series: str, asked: Asked) -> Answer:
    """Say how the events would be found: always by a range of their times."""
    span = session.span_of_events(series, asked.start, asked.end, query=asked.filter or "", order=asked.order)
    line = encode({"item": {"range_scan": {"path": [TIME], "start": span.start, "end": span.end}}})
    return Answer(200, line + b"\n", session.applied, media_type=JSON_LINES.media_type)
