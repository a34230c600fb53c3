"""Ids: one spelling for each, in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.crdt.identifier import EXACT_MAX, decode_id, encode_id, encode_other_id
from crdtstore.errors import InvalidId

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
parts = st.none() | st.booleans() | numbers | st.text(max_size=5)
composites = st.dictionaries(st.text(max_size=3), parts | st.lists(parts, max_size=2), max_size=3)
ids = st.booleans() | numbers | st.text(min_size=1, max_size=20) | composites


@given(ids)
def test_round_trip(value: Any) -> None:
    """An id reads back equal."""
    assert decode_id(encode_id(value)) == value


@given(numbers, numbers)
def test_numbers_keep_their_order(left: float, right: float) -> None:
    """Bytes compare as numbers do, across int64 and double, without rounding."""
    assert (encode_id(left) < encode_id(right)) == (left < right)
    assert (encode_id(left) == encode_id(right)) == (left == right)


@given(st.text(min_size=1), st.text(min_size=1))
def test_strings_keep_their_order(left: str, right: str) -> None:
    """Bytes compare as code points do."""
    assert (encode_id(left) < encode_id(right)) == (left < right)


@given(composites)
def test_key_order_does_not_matter(value: dict[str, Any]) -> None:
    """An object's keys may come in any order."""
    assert encode_id(dict(reversed(value.items()))) == encode_id(value)


@given(st.binary(max_size=40))
def test_other_bytes_are_refused(data: bytes) -> None:
    """Bytes are an id in its one encoding, or refused."""
    try:
        value = decode_id(data)
    except InvalidId:
        return
    assert encode_id(value) == data


@pytest.mark.parametrize("value", [None, "", [], [1], b"x", float("nan"), float("inf"), 2**63, {1: 2}, "a" * 1025])
def test_refused(value: Any) -> None:
    """What no id may be."""
    with pytest.raises(InvalidId):
        encode_id(value)


def test_kinds_are_distinct() -> None:
    """1 and 1.0 are one id; "1" and true are others."""
    assert encode_id(1) == encode_id(1.0)
    assert len({encode_id(value) for value in (1, "1", True, {"1": 1})}) == 4


@given(
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(EXACT_MAX - 3, EXACT_MAX + 3)
    | st.integers(0, 300)
    | st.text(min_size=1)
)
def test_common_ids_are_encoded_as_any_id_is(value: Any) -> None:
    assert encode_id(value) == encode_other_id(value)


@pytest.mark.parametrize("size", [1, 1023, 1024])
def test_common_ids_have_the_same_bound(size: int) -> None:
    assert encode_id("a" * size) == encode_other_id("a" * size)
    with pytest.raises(InvalidId):
        encode_id("a" * 1025)
