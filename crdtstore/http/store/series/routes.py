"""The routes of time series: events in version 1 of the store API, distinct values in 2, and as 1 spelled them."""

from __future__ import annotations

from typing import Final

from crdtstore.http.request import JSON, JSON_LINES
from crdtstore.http.route import Route
from crdtstore.http.store.series.distinct import distinct
from crdtstore.http.store.series.events import events
from crdtstore.http.store.version import VERSIONS, Version


def distinct_route(version: Version, name: str) -> Route:
    """The distinct values of a series, under one of their names."""
    path = f"/api/{version.name}/timeseries/{{series}}/{name}"
    return Route(path, ("GET", "POST"), distinct, version=version, errors=version.errors)


SERIES_ROUTES: Final = (
    Route(
        "/api/v1/timeseries/{series}/events",
        ("GET", "POST", "DELETE"),
        events,
        takes_body=False,
        forms=(JSON_LINES, JSON),
        version=VERSIONS["v1"],
        errors=VERSIONS["v1"].errors,
    ),
    distinct_route(VERSIONS["v2"], "distinct_values"),
    distinct_route(VERSIONS["v1"], "distinct_values"),
    distinct_route(VERSIONS["v1"], "distinct_value"),
)
