"""GET or POST /api/vN/store/live: the documents that a query matches, and then what becomes of them, as events.

Rules: a caller needs the right to read the collection. Who comes back with the transaction of the last event in
`Last-Event-ID` is told all rows again, unless what was told then is still what is: then only what comes.

Not here: how events are written (`source`), what the rows are (`crdtstore.live`).
"""

from __future__ import annotations

from functools import partial

from crdtstore.http.call import Call
from crdtstore.http.event_stream import SERVER_SENT, answer_events, check_streams
from crdtstore.http.headers import last_event_of
from crdtstore.http.respond import Answer
from crdtstore.http.store.find import FORMS, order_text
from crdtstore.http.store.live.arguments import LiveBody, read_arguments
from crdtstore.http.store.live.source import LiveSource
from crdtstore.live.observation import Observation


async def live(call: Call) -> Answer:
    """Answer with the documents that match, and then with what becomes of them, as it happens."""
    asked = await call.decode(LiveBody) if call.request.has_body else read_arguments(call.request)
    seen = last_event_of(call.request)
    await call.until_readable(asked.collection)
    check_streams(call.desk.held)
    observation = await call.in_thread(partial(observe, call, asked))
    if seen is not None:
        observation.resume(seen)
    return answer_events(call, LiveSource(call, observation), SERVER_SENT)


def observe(call: Call, asked: LiveBody) -> Observation:
    """Observe the query; in a thread, since it may have to be run."""
    return call.session.observe(
        asked.collection,
        asked.query,
        language=asked.language,
        args=asked.args,
        order=tuple(map(order_text, asked.sort)),
        limit=asked.limit,
        offset=asked.offset or 0,
        fields=asked.fields,
        form=FORMS[asked.serialized_as],
    )
