"""An event: a time, what its keys say, and perhaps when it expires.

Rules: `_time` is kept as it was given, `_expiration` as a moment, so that it sorts. An event has no `_id` of its own.
Expired is what expires now or earlier. Where `alive` is asked, and it is asked in every read, an expired event is not
there, removed or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import COMMANDS_MAX, EVENT_TTL_SECONDS_MAX
from crdtstore.query.tree import RQL, Compare, Field, Literal, Not
from crdtstore.timeseries.moment import MOMENT_BYTES, read_moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crdtstore.crdt.value import Value
    from crdtstore.query.tree import Node

ID: Final = "_id"
TIME: Final = "_time"
EXPIRATION: Final = "_expiration"


class Event(NamedTuple):
    """An event as it was read: its id, and all its keys as a JSON object in UTF-8, `_time` too."""

    id: str
    json: bytes

    @property
    def moment(self) -> str:
        """Its time, in UTC."""
        return self.id[:MOMENT_BYTES]

    @property
    def fields(self) -> dict[str, Value]:
        """All its keys, decoded; binary values are Base64 text, as in JSON."""
        fields: dict[str, Value] = msgspec.json.decode(self.json)
        return fields


class Given(NamedTuple):
    """An event that is to be appended: its moment, when it expires if it says so, and what is stored."""

    moment: str
    expiration: str | None
    fields: Mapping[str, Value]


def check_events(events: Sequence[Mapping[str, Value]]) -> list[Given]:
    """Read what is to be appended.

    Raises:
        InvalidValue: A time is missing or none; names the event and the key.
        LimitExceeded: More than COMMANDS_MAX events.
    """
    if len(events) > COMMANDS_MAX:
        message = f"{len(events)} events were given; one transaction takes at most {COMMANDS_MAX}."
        raise LimitExceeded(message, limit="COMMANDS_MAX", value=len(events), maximum=COMMANDS_MAX)
    return [check_event(event, f"$[{number}]") for number, event in enumerate(events)]


def check_event(event: Mapping[str, Value], place: str) -> Given:
    """Read one event."""
    if TIME not in event:
        raise InvalidValue(f"The event {place} has no {TIME}.", path=f"{place}.{TIME}")
    if ID in event:
        raise InvalidValue(f"The event {place} has an {ID}, which events are given by the store.", path=f"{place}.{ID}")
    moment = read_moment(event[TIME], f"{place}.{TIME}")
    if EXPIRATION not in event:
        return Given(moment, None, event)
    expiration = read_moment(event[EXPIRATION], f"{place}.{EXPIRATION}")
    return Given(moment, expiration, {**event, EXPIRATION: expiration})


def check_ttl(seconds: Any, place: str) -> int:
    """Read how long events live.

    Raises:
        InvalidValue: It is no whole number of seconds from 0 to EVENT_TTL_SECONDS_MAX.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= EVENT_TTL_SECONDS_MAX:
        message = f"{place} is {seconds!r:.60}; it is a whole number of seconds from 0 to {EVENT_TTL_SECONDS_MAX}."
        raise InvalidValue(message, path=place)
    return seconds


def alive(now: str) -> Node:
    """The condition that an event has not expired: what hides those that have, in every read."""
    return Not(Compare("<=", Field((EXPIRATION,)), Literal(now), RQL))
