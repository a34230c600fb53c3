"""Distinct values at several paths: against a plain reading of each document, and within the bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import InvalidQuery, LimitExceeded
from crdtstore.limits import DISTINCT_BYTES_MAX, DISTINCT_PATHS_MAX, DISTINCT_VALUES_MAX
from crdtstore.query.distinct_paths import distinct_paths, read_steps

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-1, 1).map(round) | st.sampled_from(["", "a", "b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), max_size=6)
PATHS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "[*]", "[*][*]"])).map("".join), min_size=1, max_size=3
).map(".".join)


def every_path(value: Any) -> Iterator[tuple[str, Any]]:
    """Write down each value with the path that leads to it."""
    yield "", value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ((f".{key}{rest}", found) for rest, found in every_path(inner))
    if isinstance(value, list):
        for inner in value:
            yield from ((f"[*]{rest}", found) for rest, found in every_path(inner))


def told(value: Any) -> Any:
    """What a value is told as."""
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else (repr(value),)


@given(DOCUMENTS, st.lists(PATHS, max_size=4))
def test_it_finds_what_a_plain_reading_finds(documents: list[dict[str, Any]], paths: list[str]) -> None:
    found = distinct_paths(documents, paths)
    assert set(found) == set(paths)
    for path, values in found.items():
        plain = {told(value) for document in documents for place, value in every_path(document) if place == f".{path}"}
        assert sorted(map(repr, map(told, values))) == sorted(map(repr, plain))
        assert all(value in ({}, []) for value in values if isinstance(value, dict | list))


@given(DOCUMENTS, PATHS, st.randoms())
def test_the_order_of_documents_does_not_matter(documents: list[dict[str, Any]], path: str, random: Any) -> None:
    before = distinct_paths(documents, [path])
    random.shuffle(documents)
    assert distinct_paths(documents, [path]) == before


def test_equal_numbers_are_one_value_and_a_boolean_is_none() -> None:
    assert len(distinct_paths([{"a": 1}, {"a": 1.0}, {"a": True}], ["a"])["a"]) == 2


def test_dates_are_told_apart_by_their_text() -> None:
    dates = ["2021-01-01T00:00:00Z", "2021-01-01T00:00:00.0Z"]
    assert len(distinct_paths([{"a": date} for date in dates], ["a"])["a"]) == 2


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[0]", "a[", "a[*", "[*]", "a[*]b", "a['b']", "a[*].", "a]"]
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        distinct_paths([], [path])
    assert caught.value.data["path"] == path


def test_a_name_may_hold_what_means_nothing_here() -> None:
    assert read_steps("street-line.é x[*]") == ("street-line", "é x", None)


@pytest.mark.parametrize(
    ("limit", "documents", "paths"),
    [
        ("DISTINCT_VALUES_MAX", [{"a": list(range(DISTINCT_VALUES_MAX + 1))}], ["a[*]"]),
        ("DISTINCT_VALUES_MAX", [{"a": list(range(DISTINCT_VALUES_MAX)), "b": 1}], ["a[*]", "b"]),
        ("DISTINCT_BYTES_MAX", [{"a": "x" * DISTINCT_BYTES_MAX}, {"a": "y"}], ["a"]),
        ("DISTINCT_PATHS_MAX", [], [f"a{number}" for number in range(DISTINCT_PATHS_MAX + 1)]),
    ],
)
def test_what_an_answer_may_hold_is_bounded(limit: str, documents: list[dict[str, Any]], paths: list[str]) -> None:
    with pytest.raises(LimitExceeded) as caught:
        distinct_paths(documents, paths)
    assert caught.value.data["limit"] == limit


def test_as_much_as_may_be_is_answered() -> None:
    document = {"a": list(range(DISTINCT_VALUES_MAX))}
    assert len(distinct_paths([document, document], ["a[*]", "a[*]"])["a[*]"]) == DISTINCT_VALUES_MAX
