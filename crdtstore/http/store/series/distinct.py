"""/api/v2/timeseries/{series}/distinct_values, and its older spellings: the different values of a series at some paths.

Rules: a path is a text such as `nested.tags[*]`, or a list of keys; the answer's keys are the paths as they were given,
lists as their JSON.

Not here: what is told apart (`crdtstore.query.distinct_paths`).
"""

from __future__ import annotations

from crdtstore import limits
from crdtstore.auth.session import Session
from crdtstore.http.call import Call
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.series.body import AskedValues, seconds_of
from crdtstore.query.distinct_paths import distinct_steps, read_steps


async def distinct(call: Call) -> Answer:
    """Answer with the different values that the events of a span have at each path."""
    asked = await call.decode(AskedValues)
    series = call.parameters["series"]
    await call.until_readable(series)
    return await call.in_thread(lambda: search(call.session, series, asked))


def search(session: Session, series: str, asked: AskedValues) -> Answer:
    """Read the events and write the answer; in a thread."""
    steps = {name_of(path): read_steps(path) if isinstance(path, str) else path for path in asked.paths}
    seconds = seconds_of(asked.timeout_millis, limits.DISTINCT_SECONDS_DEFAULT)
    with session.events(series, asked.start, asked.end, limit=limits.INT_MAX, seconds=seconds) as found:
        values = distinct_steps((event.fields for event in found.events), steps)
        return Answer(200, encode({"item": values}), found.txn)


def name_of(path: str | tuple[str, ...]) -> str:
    """A path as a key of the answer."""
    return path if isinstance(path, str) else encode(path).decode()
