"""Templates fill what events lack, and leave alone what they have."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdtstore.timeseries.append import append_events
from crdtstore.timeseries.fill import fill, fill_events
from crdtstore.timeseries.read import read_events
from tests.timeseries.scene import LATE, SERIES, Scene, written

KEYS = st.sampled_from("abc")
LEAVES = st.none() | st.integers(-3, 3)
FIELDS = st.dictionaries(
    KEYS, st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6), max_size=3
)
TEMPLATES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES | st.just("$PREVIOUS"), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6),
    max_size=3,
)


# "Worked example: raw `{c:1}`, `{b:0,n:{a:0,c:1}}`, `{a:0}`, `{a:0,n:null}` with template `{a:-1,n:{c:"$PREVIOUS"}}` →
# `{a:-1,c:1,n:{c:null}}`, `{a:-1,b:0,n:{a:0,c:1}}`, `{a:0,n:{c:1}}`, `{a:0,n:null}`."
def test_the_worked_example() -> None:
    raw: list[dict[str, Any]] = [{"c": 1}, {"b": 0, "n": {"a": 0, "c": 1}}, {"a": 0}, {"a": 0, "n": None}]
    store = Scene().store()
    append_events(store, SERIES, [{"_time": written(number), **each} for number, each in enumerate(raw)])
    template = {"a": -1, "n": {"c": "$PREVIOUS"}}
    filled = [event.fields for event in fill_events(read_events(store, SERIES, end=LATE), template)]
    for number, each in enumerate(filled):
        assert each.pop("_time") == written(number)
    assert filled == [
        {"a": -1, "c": 1, "n": {"c": None}},
        {"a": -1, "b": 0, "n": {"a": 0, "c": 1}},
        {"a": 0, "n": {"c": 1}},
        {"a": 0, "n": None},
    ]


@given(TEMPLATES, FIELDS, FIELDS)
def test_what_is_filled_needs_no_more_filling(template: Any, fields: Any, before: Any) -> None:
    once = fill(template, fields, before)
    assert fill(template, once, {"a": 9, "b": 9, "c": 9}) == once


def kept(fields: Any, filled: Any) -> bool:
    """Whether all that was there is there."""
    if not isinstance(fields, dict):
        return bool(fields == filled)
    return isinstance(filled, dict) and all(key in filled and kept(fields[key], filled[key]) for key in fields)


@given(TEMPLATES, FIELDS, FIELDS)
def test_what_is_there_stays(template: Any, fields: Any, before: Any) -> None:
    assert kept(fields, fill(template, fields, before))
    assert set(fill(template, fields, before)) == set(fields) | set(template)


def test_previous_is_the_result_before_and_not_the_event_before() -> None:
    template = {"a": "$PREVIOUS"}
    first = fill(template, {"a": 1}, {})
    second = fill(template, {}, first)
    assert fill(template, {}, second) == {"a": 1}
