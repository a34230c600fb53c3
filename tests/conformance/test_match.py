"""What an expectation matches: every value itself, each wildcard its kind, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.match import ABSENT, KINDS, differences

SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5, allow_nan=False) | st.text("abc", max_size=3)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def matches(expected: Any, found: Any) -> bool:
    """Whether nothing is wrong."""
    return not list(differences(expected, found))


def kind_of(value: Any) -> Any:
    """A value with its booleans told apart from numbers, all the way down."""
    if isinstance(value, dict):
        return {key: kind_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [kind_of(item) for item in value]
    return (isinstance(value, bool), value)


def is_within(expected: Any, found: Any) -> bool:
    """The rule in other words: objects by the keys that are expected, all else equal."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and is_within(item, found[key]) for key, item in expected.items())
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(is_within, expected, found))
    return bool(kind_of(expected) == kind_of(found))


@given(VALUES)
def test_a_value_matches_itself_and_not_its_absence(value: Any) -> None:
    assert matches(value, value)
    assert not matches(value, ABSENT)


@given(VALUES, VALUES)
def test_another_value_matches_where_it_holds_what_is_expected(expected: Any, found: Any) -> None:
    assert matches(expected, found) == is_within(expected, found)


@given(st.dictionaries(st.text("abc", max_size=2), VALUES, max_size=3), VALUES)
def test_further_keys_do_not_matter(value: dict[str, Any], more: Any) -> None:
    assert matches(value, {**value, "further": more})
    assert not matches({**value, "further": more}, value)


@given(st.lists(VALUES, max_size=4), st.randoms())
def test_the_order_does_not_matter_where_it_is_said(items: list[Any], random: Any) -> None:
    shuffled = random.sample(items, len(items))
    assert matches({"$unordered": items}, shuffled)
    assert not matches({"$unordered": items}, [*shuffled, "one more"])
    assert not matches({"$unordered": [*items, "one more"]}, shuffled)


@given(st.lists(VALUES, max_size=4), VALUES)
def test_one_of_several_is_enough(choices: list[Any], found: Any) -> None:
    assert matches({"$oneof": choices}, found) == any(matches(choice, found) for choice in choices)


@given(st.integers(-3, 3), VALUES)
def test_a_bound_holds_for_numbers_from_it_on(least: int, found: Any) -> None:
    assert matches({"$gte": least}, found) == (isinstance(found, int | float) and found >= least)


@given(st.integers(0, 3), VALUES)
def test_a_length_is_that_of_an_array_or_a_text(length: int, found: Any) -> None:
    assert matches({"$len": length}, found) == (isinstance(found, list | str) and len(found) == length)


KINDS_OF = [
    ("$int", [0, -1], [True, 1.0, "1", None, ABSENT, [], {}]),
    ("$str", ["", "$int"], [0, None, ABSENT, ["a"]]),
    ("$any", [0, None, "", [], {}], [ABSENT]),
    ("$absent", [ABSENT], [None, 0, "", "$absent"]),
]


@pytest.mark.parametrize(("kind", "those", "others"), KINDS_OF, ids=[kind for kind, _, _ in KINDS_OF])
def test_a_wildcard_stands_for_its_kind(kind: str, those: list[Any], others: list[Any]) -> None:
    assert all(matches(kind, value) for value in those)
    assert not any(matches(kind, value) for value in others)


def test_all_wildcards_are_tested() -> None:
    assert {kind for kind, _, _ in KINDS_OF} == set(KINDS)


def test_a_difference_is_told_with_its_place() -> None:
    expected = {"a": [{"b": 1}, "$str"], "c": "$absent"}
    assert list(differences(expected, {"a": [{"b": 2}, 3], "c": None})) == [
        "$.a[0].b: 1 was expected; 2 came",
        "$.a[1]: $str was expected; 3 came",
        "$.c: $absent was expected; None came",
    ]


def test_a_number_of_another_kind_is_equal_and_a_boolean_is_not() -> None:
    assert matches(1, 1.0)
    assert not matches(1, True)
    assert not matches(False, 0)
