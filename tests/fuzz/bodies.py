"""The target of bodies in CBOR: what is taken is what strict JSON could say, but for binary values."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import msgspec

from crdtstore import core
from crdtstore.errors import MalformedRequest
from crdtstore.http.cbor import read_cbor, write_cbor
from crdtstore.limits import JSON_DEPTH_MAX
from tests.fuzz.engine import Target
from tests.fuzz.seeds import collect, different
from tests.fuzz.texts import COMMANDS
from tests.http.test_cbor import REFUSED, VALUES

HEADS = [major << 5 | size for major in range(8) for size in (0, 1, 23, 24, 25, 26, 27, 31)]
ENDS = [b"\xff", b"\xf4", b"\xf6", b"\xf7", b"\xf9\x7e\x00", b"\xfb\x7f\xf0" + bytes(6), b"\xf8\x20"]
PIECES = (*(bytes([head]) for head in HEADS), *ENDS, *(body for body in REFUSED.values() if 0 < len(body) < 20))


@cache
def seeds() -> list[bytes]:
    """Values of all kinds, and requests."""
    values = [*collect(VALUES, 150), {"commands": COMMANDS}, {"collection": "c", "query": "true", "limit": 10}]
    endless = [b"\x9f\x01\x02\xff", b"\xbf\x61a\x01\xff", b"\x7f\x61a\x61b\xff", b"\x5f\x41a\x41b\xff"]
    return different([*map(write_cbor, values), *endless], 400)


def as_text(value: Any) -> Any:
    """Write binary values, which JSON does not have, as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [as_text(item) for item in value]
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else value


def check(_data: bytes, taken: Any) -> None:
    """It is written and read as the same, and the strict reader of JSON takes it as well."""
    assert repr(read_cbor(write_cbor(taken))) == repr(taken)
    core.scan_json(msgspec.json.encode(as_text(taken)), JSON_DEPTH_MAX)


TARGETS = [Target("cbor", read_cbor, (MalformedRequest,), seeds, check, fragments=PIECES)]
