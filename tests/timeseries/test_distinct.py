"""Different values of a series: each once, through arrays where a path says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.crdt.value import Value
from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import DISTINCT_VALUES_MAX
from crdtstore.timeseries.append import append_events
from crdtstore.timeseries.distinct import distinct_values, read_steps
from crdtstore.timeseries.read import read_events
from tests.timeseries.scene import LATE, SERIES, Scene, written

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b"])


def found_at(values: list[Value], *paths: str) -> list[list[Value]]:
    store = Scene().store()
    append_events(store, SERIES, [{"_time": written(0), "v": value} for value in values])
    return distinct_values(read_events(store, SERIES, end=LATE, limit=len(values) + 1), list(map(read_steps, paths)))


@given(st.lists(SCALARS, max_size=10))
def test_each_value_is_there_once(values: list[Value]) -> None:
    [found] = found_at(values, "v")
    assert {(type(value), value) for value in found} == {(type(value), value) for value in values}
    assert len(found) == len({(type(value), value) for value in values})


def test_paths_lead_through_keys_and_items() -> None:
    values: list[Value] = [{"tags": ["x"], "in": [{"c": 1}, {"c": 2}]}, {"tags": ["x", "y"], "in": [{"c": 1}, 3]}, 7]
    assert found_at(values, "v.tags[*]", "v.in[*].c", "v.tags", "v", "w", "v.in[*]") == [
        ["x", "y"],
        [1, 2],
        [[]],
        [7, {}],
        [],
        [3, {}],
    ]


def test_equal_numbers_are_one_value() -> None:
    assert found_at([1, 1.0, 2], "v") == [[1, 2]]


@pytest.mark.parametrize("path", ["", ".", "a.", "a[0]", "a[*", "[*]", "a[*]b", "a..b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidValue, match="not read"):
        read_steps(path)


def test_too_many_different_values_are_refused() -> None:
    values: list[Value] = [list(range(DISTINCT_VALUES_MAX + 1))]
    with pytest.raises(LimitExceeded, match=str(DISTINCT_VALUES_MAX)):
        found_at(values, "v[*]")
