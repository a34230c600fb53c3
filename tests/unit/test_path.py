"""Paths: bytes that mean what the keys mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.crdt.path import ancestors, decode_path, encode_path, format_path, is_path
from crdtstore.errors import InvalidDocument, LimitExceeded
from crdtstore.limits import DEPTH_MAX

keys = st.text(alphabet="ab\x00\x01\x02é", max_size=4)
paths = st.lists(keys, max_size=4).map(tuple)


@given(paths)
def test_round_trip(path: tuple[str, ...]) -> None:
    """A path reads back equal."""
    assert decode_path(encode_path(path)) == path
    assert is_path(encode_path(path))


@given(paths, paths)
def test_prefix_means_below(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    """Bytes begin with another path's exactly when the keys do."""
    assert encode_path(right).startswith(encode_path(left)) == (right[: len(left)] == left)


@given(paths, paths)
def test_order(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    """Bytes sort as the keys' bytes do."""
    encoded = [tuple(key.encode() for key in path) for path in (left, right)]
    assert (encode_path(left) < encode_path(right)) == (encoded[0] < encoded[1])


@given(paths)
def test_ancestors(path: tuple[str, ...]) -> None:
    """Every proper prefix, the root first."""
    assert ancestors(encode_path(path)) == [encode_path(path[:size]) for size in range(len(path))]


@given(st.binary(max_size=12))
def test_other_bytes_are_no_path(data: bytes) -> None:
    """Bytes are a path in its one encoding, or none."""
    if is_path(data):
        assert encode_path(decode_path(data)) == data


def test_bounds() -> None:
    """Depth and size are bounded; a lone surrogate is refused."""
    with pytest.raises(LimitExceeded, match=str(DEPTH_MAX)):
        encode_path(("a",) * (DEPTH_MAX + 1))
    with pytest.raises(LimitExceeded, match="bytes"):
        encode_path(("a" * 5000,))
    with pytest.raises(InvalidDocument, match="surrogate"):
        encode_path(("\ud800",))


def test_for_people() -> None:
    """Dots between keys, quotes where they are needed."""
    assert format_path(encode_path(("a", "b-c", "d"))) == "a.'b-c'.d"
