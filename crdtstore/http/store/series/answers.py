"""What time series take in query strings and answer, as types: for the documents of the API."""

from __future__ import annotations

from typing import Any

import msgspec

from crdtstore import limits
from crdtstore.http.store.answers import Natural


class EventItem(msgspec.Struct):
    """An event: its time as it was given, and its other keys."""

    time: str = msgspec.field(name="_time")
    value: dict[str, Any]


class Planned(msgspec.Struct):
    """How events would be found."""

    range_scan: dict[str, Any]


class EventLine(msgspec.Struct):
    """A line of events."""

    item: EventItem


class PlanLine(msgspec.Struct):
    """The line that says how events would be found."""

    item: Planned


class BrokenLine(msgspec.Struct):
    """The last line of an answer that broke off, and why: `Timeout`, `Stopped` or `Broken`."""

    error: str


class Written(msgspec.Struct):
    """The transaction that was written."""

    txn_id: Natural


class DistinctAnswer(msgspec.Struct):
    """The different values at each path, under the path."""

    item: dict[str, list[Any]]


class SpanArguments(msgspec.Struct):
    """From when, and to before when: date-times."""

    start: str = "1970-01-01T00:00:00Z"
    end: str | msgspec.UnsetType = msgspec.UNSET


class EventArguments(SpanArguments):
    """Which events are read, how, and how long that may take."""

    limit: Natural = limits.FIND_LIMIT_DEFAULT
    filter: str = "true"
    fill_template: str | msgspec.UnsetType = msgspec.UNSET
    timeout_millis: Natural | msgspec.UnsetType = msgspec.UNSET
    describe: bool = False
