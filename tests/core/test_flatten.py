"""Objects flatten to the same writes on both sides, and the encoded operations read back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import _core
from crdtstore.crdt import flatten as plain
from crdtstore.crdt.document import visible
from crdtstore.crdt.merge import merge
from crdtstore.crdt.operation import Mark, Operation, Write
from crdtstore.crdt.record import decode_operations, encode_operations
from crdtstore.crdt.stamp import Stamp
from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import DEPTH_MAX
from tests.core.merging import values

keys = st.text(alphabet="ab\x00\x01é", max_size=3)
objects = st.recursive(
    st.dictionaries(keys, values, max_size=3), lambda inner: st.dictionaries(keys, inner | values, max_size=3)
)


@given(objects)
def test_twins_agree(fields: dict[str, Any]) -> None:
    """The same writes in the same order."""
    assert _core.flatten(fields, b"") == plain.flatten(fields, b"")


@given(objects)
def test_what_is_written_is_shown(fields: dict[str, Any]) -> None:
    """The flattened object, merged into nothing, is the object."""
    stamp = Stamp(1, b"a" * 16, b"o" * 16)
    shown = visible(merge([], plain.flatten(fields, b""), stamp, lambda _: True))
    assert (shown or {}) == fields


@given(st.lists(st.builds(Write, keys.map(str.encode), st.just(b"\x01")) | st.builds(Mark, keys.map(str.encode))))
def test_operations_are_encoded_alike(operations: list[Operation]) -> None:
    """Both encoders give the same bytes, which read back."""
    encoded = encode_operations(operations)
    assert _core.encode_operations(operations) == encoded
    assert decode_operations(encoded) == tuple(operations)


@pytest.mark.parametrize("flatten", [_core.flatten, plain.flatten])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), InvalidValue),
        (2**63, InvalidValue),
        ("\ud800", InvalidValue),
        ({1: 2}, InvalidValue),
        ([{"a": object()}], InvalidValue),
    ],
)
def test_refused(flatten: Any, value: Any, error: type[Exception]) -> None:
    """What no document may hold is refused on both sides."""
    with pytest.raises(error):
        flatten({"x": value}, b"")


@pytest.mark.parametrize("flatten", [_core.flatten, plain.flatten])
def test_depth(flatten: Any) -> None:
    """At the bound it is written, beyond it refused."""

    def nested(depth: int) -> dict[str, Any]:
        return {"x": nested(depth - 1)} if depth else {}

    assert flatten(nested(DEPTH_MAX), b"")
    with pytest.raises(LimitExceeded):
        flatten(nested(DEPTH_MAX + 2), b"")
