"""The routes of time series: events in version 1 of the store API, distinct values in 2, and as 1 spelled them."""

from __future__ import annotations

from typing import Any, Final

from crdtstore.http.described import READING, STATEMENTS, WRITING, Described
from crdtstore.http.request import JSON, JSON_LINES
from crdtstore.http.route import Route
from crdtstore.http.store.series.answers import (
    BrokenLine,
    DistinctAnswer,
    EventArguments,
    EventLine,
    PlanLine,
    SpanArguments,
    Written,
)
from crdtstore.http.store.series.body import Asked, AskedValues
from crdtstore.http.store.series.distinct import distinct
from crdtstore.http.store.series.events import events
from crdtstore.http.store.version import VERSIONS, Version

LINES: Final = (EventLine, PlanLine, BrokenLine)
EVENTS: Final = {
    "GET": Described(
        Asked,
        LINES,
        READING,
        arguments=EventArguments,
        example={"filter": "temp > 20", "order_by": [["temp", -1]]},
        summary="Read the events of a span.",
    ),
    "POST": Described(
        (dict[str, Any], Asked),
        (Written, *LINES),
        STATEMENTS,
        example={"_time": "2021-04-20T12:34:56.123456789Z", "temp": 30},
        summary="Append events, one a line, or read those of a span.",
        headers=("X-EVENT-TTL-SECONDS",),
    ),
    "DELETE": Described(gives=Written, kind=WRITING, arguments=SpanArguments, summary="Remove the events of a span."),
}
VALUES: Final = Described(AskedValues, DistinctAnswer, READING, example={"paths": ["temp"]})


def distinct_route(version: Version, name: str) -> Route:
    """The distinct values of a series, under one of their names."""
    path = f"/api/{version.name}/timeseries/{{series}}/{name}"
    return Route(path, ("GET", "POST"), distinct, version=version, errors=version.errors, described=VALUES)


SERIES_ROUTES: Final = (
    Route(
        "/api/v1/timeseries/{series}/events",
        ("GET", "POST", "DELETE"),
        events,
        takes_body=False,
        forms=(JSON_LINES, JSON),
        gives=(JSON_LINES.media_type, JSON.media_type),
        version=VERSIONS["v1"],
        errors=VERSIONS["v1"].errors,
        described=EVENTS,
    ),
    distinct_route(VERSIONS["v2"], "distinct_values"),
    distinct_route(VERSIONS["v1"], "distinct_values"),
    distinct_route(VERSIONS["v1"], "distinct_value"),
)
