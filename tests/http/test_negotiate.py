"""Which media type an answer has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.http.negotiate import choose

JSON, CBOR, LINES = b"application/json", b"application/cbor", b"application/json-l"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        (b"", JSON),
        (b"*/*", JSON),
        (b"application/cbor", CBOR),
        (b"Application/CBOR", CBOR),
        (b"application/json, application/cbor", JSON),
        (b"application/json;q=0.5, application/cbor", CBOR),
        (b"application/json; charset=utf-8; q=0.2 , application/cbor;q=0.3", CBOR),
        (b"application/*", JSON),
        (b"application/json;q=0, */*;q=0.1", CBOR),
        (b"text/html, */*;q=0.1", JSON),
        (b"text/html", JSON),
        (b"application/json;q=0", JSON),
        (b"application/cbor;q=9", CBOR),  # no quality, so it is as if none were said
        (b"\xff/\x00,,;;=", JSON),
    ],
)
def test_what_is_wanted_most_is_given(accept: bytes | None, chosen: bytes) -> None:
    assert choose(accept, (JSON, CBOR)) == chosen


@given(st.binary(max_size=60), st.permutations([JSON, CBOR, LINES]))
def test_anything_is_answered_with_what_there_is(accept: bytes, given_types: list[bytes]) -> None:
    assert choose(accept, given_types) in given_types
