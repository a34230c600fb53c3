"""Value keys: they sort as values do, none is the beginning of another, and both cores write the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import value_key as plain
from crdtstore.crdt.field import MISSING
from tests.core.strategies import numbers, scalars, texts, values

Key = Callable[[Any], bytes]
SIDES: dict[str, Key] = {"plain": plain.value_key, "compiled": _core.value_key}

TYPES = ("Missing", "NoneType", "bool", "number", "str", "bytes", "list", "dict")

near = st.sampled_from([2**53, 2**53 + 1, 2.0**53, 2**63 - 1, 2.0**63, -(2**63), 2**62 + 1, 0, 0.0, -0.0, 1, 1.0, True])
"""Numbers that are equal, or one apart where doubles are further apart."""

mixed = st.just(MISSING) | values | near | numbers | texts | st.lists(near | scalars, max_size=3)


@pytest.fixture(params=SIDES, scope="module")
def twin(request: pytest.FixtureRequest) -> Key:
    return SIDES[request.param]


def kind(value: Any) -> int:
    """The place of a value's type in the order."""
    name = type(value).__name__
    return TYPES.index("number" if name in ("int", "float") else name)


def order(one: Any, other: Any) -> int:
    """Below 0, 0 or above, as one value comes before the other: written from the rules, not from the encoding."""
    if kind(one) != kind(other):
        return kind(one) - kind(other)
    if isinstance(one, list):
        for left, right in zip(one, other, strict=False):
            if found := order(left, right):
                return found
        return len(one) - len(other)
    if one is None or one is MISSING or isinstance(one, dict):
        return 0
    return (one > other) - (one < other)


def holds(key: Key, one: Any, other: Any) -> bool:
    """Whether two keys sort as their values do, and neither goes on from the other."""
    first, second = key(one), key(other)
    sign, wanted = (first > second) - (first < second), order(one, other)
    begins = first != second and (first.startswith(second) or second.startswith(first))
    return sign == (wanted > 0) - (wanted < 0) and not begins


@given(one=mixed, other=mixed)
@example(one=2**63 - 1, other=2.0**63)
@example(one="a", other="a\0")
@example(one=b"\0\1", other=b"\1")
@example(one=[1], other=[1, None])
@example(one=0.0, other=-0.0)
def test_keys_sort_as_values(twin: Key, one: Any, other: Any) -> None:
    assert holds(twin, one, other)
    assert twin(one) == twin(one)


@given(rows=st.lists(st.tuples(mixed, mixed), min_size=2, max_size=2))
def test_keys_stand_one_behind_the_other(twin: Key, rows: list[tuple[Any, Any]]) -> None:
    first, second = (twin(one) + twin(other) for one, other in rows)
    wanted = order(rows[0][0], rows[1][0]) or order(rows[0][1], rows[1][1])
    assert (first > second) - (first < second) == (wanted > 0) - (wanted < 0)


@given(value=mixed)
def test_both_sides_agree(value: Any) -> None:
    assert plain.value_key(value) == _core.value_key(value)


def test_the_bytes_are_these(twin: Key) -> None:
    assert twin(MISSING) == b"\x00"
    assert [twin(value) for value in (None, False, True, {"a": 1})] == [b"\x01", b"\x02", b"\x03", b"\x38"]
    assert twin(1) == bytes.fromhex("10bff00000000000008000")
    assert twin("a\0\1") == b"\x20a\1\1\1\2\0"
    assert twin(b"a\0") == b"\x28a\1\1\0"
    assert twin([1, "", {}]) == b"\x30" + twin(1) + b"\x20\0\x38\0"


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1])
def test_what_is_no_value_has_no_compiled_key(value: int) -> None:
    with pytest.raises((ValueError, OverflowError)):
        _core.value_key(value)


def without_residual(value: Any) -> bytes:
    """Numbers by their nearest double only."""
    return plain.value_key(float(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def without_end(value: Any) -> bytes:
    """Strings that are not terminated."""
    return plain.value_key(value)[: -1 if isinstance(value, str) else None]


@pytest.mark.parametrize(("wrong", "one", "other"), [(without_residual, 2**53, 2**53 + 1), (without_end, "a", "ab")])
def test_a_wrong_key_is_caught(wrong: Key, one: Any, other: Any) -> None:
    assert holds(plain.value_key, one, other)
    assert not holds(wrong, one, other)
