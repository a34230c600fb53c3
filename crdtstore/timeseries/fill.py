"""Filling: what events lack is taken from a template, and where it says so from the event before.

    fill({"a": -1, "n": {"c": "$PREVIOUS"}}, {"c": 1}, {})  # {"c": 1, "a": -1, "n": {"c": None}}

Rules: only keys that are not there are filled, at every depth at which both the template and the event have an object.
What is there stays, null too. `$PREVIOUS` is what the result before has at that place, else null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from crdtstore.timeseries.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from crdtstore.crdt.value import Value

PREVIOUS: Final = "$PREVIOUS"


def fill_events(events: Iterable[Event], template: Mapping[str, Value]) -> Iterator[Event]:
    """The events with what they lack, each by the one before it in this order."""
    before: Mapping[str, Value] = {}
    for event in events:
        before = fill(template, event.fields, before)
        yield Event(event.id, msgspec.json.encode(before))


def fill(template: Mapping[str, Value], fields: Mapping[str, Value], before: Value) -> dict[str, Value]:
    """Fields with what they lack, by the result before."""
    filled = dict(fields)
    for key, given in template.items():
        there = at(before, key)
        if key not in filled:
            filled[key] = made_of(given, there)
        elif isinstance(given, dict) and isinstance(filled[key], dict):
            filled[key] = fill(given, filled[key], there)
    return filled


def made_of(given: Value, before: Value) -> Value:
    """What a template gives where nothing is."""
    if isinstance(given, dict):
        return {key: made_of(part, at(before, key)) for key, part in given.items()}
    return before if given == PREVIOUS else given


def at(value: Any, key: str) -> Value:
    """What a value has under a key; null where it is no object or has nothing there."""
    return value.get(key) if isinstance(value, dict) else None
