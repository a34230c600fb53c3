"""Reading a series: its events of a span, by time or in an order, counted, or what different values they have.

Rules: a span is read as a range of ids, never more of the series; what an index could say is not asked. What one call
gives is of one version, read piece by piece in bounded memory: nobody gets an event that has expired when the call
begins. An order is asked of at most SORTED_DOCUMENTS_MAX events at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from crdtstore.crdt.identifier import read_id
from crdtstore.errors import InvalidValue, StatementTimeout
from crdtstore.limits import EVENTS_PIECE, FIND_LIMIT_DEFAULT
from crdtstore.query.find import check_sorted
from crdtstore.query.language import read_order
from crdtstore.query.program import Filter, compile_filter
from crdtstore.query.search import search_count, search_json, search_top
from crdtstore.query.source import Source
from crdtstore.query.tree import And
from crdtstore.storage.documents import DOCUMENTS, document_key
from crdtstore.storage.log import last_txn
from crdtstore.timeseries.event import Event, alive
from crdtstore.timeseries.moment import moment_at
from crdtstore.timeseries.series import Span, collection_of, read_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crdtstore.query.order import Order
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Snapshot
    from crdtstore.timeseries.host import Host


@dataclass(frozen=True, slots=True)
class Asked:
    """What is read of a series."""

    collection: str
    span: Span
    filter: Filter
    order: Order
    limit: int
    deadline: float
    """Of the monotonic clock."""


class Scene(NamedTuple):
    """Where it is read: a snapshot, its names, and the series in it."""

    snapshot: Snapshot
    catalog: Catalog
    collection: Collection


class Reading(NamedTuple):
    """Events, while they are read, and the version at which they are."""

    txn: int
    events: Iterator[Event]


def read_events(
    store: Host,
    series: str,
    start: str | None = None,
    end: str | None = None,
    *,
    query: str = "",
    order: Sequence[str] = (),
    limit: int = FIND_LIMIT_DEFAULT,
    seconds: float = inf,
) -> Iterator[Event]:
    """The events of a series from `start` to before `end`, by time, and those of one time as they arrived.

    A snapshot is held until the iterator ends.

    Args:
        store: Where it is.
        series: Its id; one that does not exist is empty.
        start: An RFC 3339 date-time; by default 1970 begins.
        end: The same; by default it is now.
        query: In the legacy language; all events match by default.
        order: Paths, each with a minus before it to come from the greatest; what is equal comes by time.
        limit: At most so many.
        seconds: How long it may take.

    Raises:
        InvalidValue: A time is none, or the limit is negative.
        QuerySyntaxError: The query or a path cannot be parsed.
        StatementTimeout: It took longer, while it is iterated.
    """
    asked = ask(store, series, start, end, query, order, limit, seconds)
    return read_on(store, asked)


def read_on(store: Host, asked: Asked) -> Iterator[Event]:
    """What was asked for, read when it is iterated."""
    with reading(store, asked) as found:
        yield from found.events


@contextmanager
def reading(store: Host, asked: Asked) -> Iterator[Reading]:
    """What was asked for, while it is read, until the block ends."""
    with view(store, asked) as (txn, scene):
        yield Reading(txn, events_of(scene, asked))


def ask(
    store: Host,
    series: str,
    start: str | None,
    end: str | None,
    query: str,
    order: Sequence[str] = (),
    limit: int = 0,
    seconds: float = inf,
) -> Asked:
    """Check what is asked, and hide what has expired: the one place where it is."""
    if limit < 0:
        raise InvalidValue(f"limit is {limit}; it must not be negative.", path="limit")
    now = moment_at(store.clock())
    condition = And((store.read_condition(series, query or "true", "legacy", None), alive(now)))
    sorted_by = read_order(order, "legacy")
    if sorted_by.keys:
        check_sorted(limit)
    span = read_span(start, end, now)
    return Asked(collection_of(series), span, compile_filter(condition), sorted_by, limit, monotonic() + seconds)


@contextmanager
def view(store: Host, asked: Asked) -> Iterator[tuple[int, Scene | None]]:
    """The newest version, and what can be read there, if there is anything."""
    with store.storage.snapshot() as snapshot:
        catalog = store.names(snapshot)
        known = catalog.by_name.get(asked.collection)
        there = known is not None and asked.span.start < asked.span.end
        yield last_txn(snapshot), Scene(snapshot, catalog, known) if known is not None and there else None


def events_of(scene: Scene | None, asked: Asked) -> Iterator[Event]:
    """The events that are asked for."""
    if scene is not None:
        for piece in sorted_pieces(scene, asked) if asked.order.keys else timely_pieces(scene, asked):
            yield from piece


def sorted_pieces(scene: Scene, asked: Asked) -> Iterator[list[Event]]:
    """The first of an order, as one piece."""
    found, _, _ = search_top(
        *scene, source_of(scene, asked.span), asked.filter, asked.order, asked.limit, deadline=asked.deadline
    )
    yield [make_event(encoded, json) for _, encoded, json in found]


def timely_pieces(scene: Scene, asked: Asked) -> Iterator[list[Event]]:
    """By time, EVENTS_PIECE at once: each piece goes on behind the last."""
    place, end = asked.span.keys(scene.collection)
    left = asked.limit
    while left:
        check_deadline(asked)
        wanted = min(left, EVENTS_PIECE)
        source = Source(DOCUMENTS, ((place, end),))
        found, _ = search_json(*scene, source, asked.filter, 0, wanted, asked.deadline)
        yield [make_event(encoded, json) for encoded, json in found]
        if len(found) < wanted:
            return
        left -= wanted
        place = document_key(scene.collection, found[-1][0]) + b"\0"


def check_deadline(asked: Asked) -> None:
    """Stop what takes too long; a search looks at the clock by itself, but not before its first rows."""
    if monotonic() > asked.deadline:
        raise StatementTimeout("Reading the series was stopped at its deadline; a narrower span would help.")


def make_event(encoded: bytes, json: bytes) -> Event:
    """An event as it was found."""
    id_ = read_id(encoded)
    assert isinstance(id_, str), "Only appending writes here."
    return Event(id_, json)


def source_of(scene: Scene, span: Span) -> Source:
    """Where the events of a span lie."""
    return Source(DOCUMENTS, (span.keys(scene.collection),))


def count_events(
    store: Host, series: str, start: str | None = None, end: str | None = None, *, query: str = "", seconds: float = inf
) -> int:
    """How many events of a span a query matches."""
    asked = ask(store, series, start, end, query, seconds=seconds)
    with view(store, asked) as (_, scene):
        if scene is None:
            return 0
        return search_count(*scene, source_of(scene, asked.span), asked.filter, asked.deadline)[0]
