"""Bodies in CBOR are as strict as those in JSON."""

from __future__ import annotations

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore import limits
from crdtstore.errors import MalformedRequest
from crdtstore.http.cbor import read_cbor, write_cbor

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(limits.INT_MIN, limits.INT_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)

REFUSED = {
    "nothing": b"",
    "something behind it": b"\x01\x02",
    "an array that is only announced": b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "bytes that are only announced": b"\x5b\x00\x00\x00\x7f\xff\xff\xff\xff",
    "one key twice": b"\xa2\x61a\x01\x61a\x02",
    "a key that is a number": b"\xa1\x01\x02",
    "a key that is bytes": b"\xa1\x41a\x02",
    "too deep": b"\x81" * 500 + b"\x01",
    "deeper than JSON may be": b"\x81" * (limits.JSON_DEPTH_MAX + 1) + b"\x01",
    "not a number": b"\xf9\x7e\x00",
    "infinity": b"\xf9\x7c\x00",
    "undefined": b"\xf7",
    "a simple value": b"\xf8\x20",
    "an integer beyond 64 bits": b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
    "a text that is not UTF-8": b"\x62\xff\xff",
    "a date": cbor2.dumps(cbor2.CBORTag(1, 0)),
    "a big number": b"\xc2\x41\x01",
    "a reference to itself": b"\xd8\x1c\x81\xd8\x1d\x00",
    "a set": b"\xd9\x01\x02\x81\x01",
    "a tag of nobody": b"\xda\x7f\xff\xff\xff\x01",
    "the mark of CBOR itself": b"\xd9\xd9\xf7\x01",
}


@given(VALUES)
def test_what_is_written_is_read(value: Any) -> None:
    assert repr(read_cbor(write_cbor(value))) == repr(value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_json_could_say_is_refused(name: str) -> None:
    with pytest.raises(MalformedRequest):
        read_cbor(REFUSED[name])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        value = read_cbor(body)
    except MalformedRequest:
        return
    assert repr(read_cbor(write_cbor(value))) == repr(value)
