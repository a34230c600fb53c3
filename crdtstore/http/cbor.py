"""CBOR bodies (RFC 8949), as strict as JSON is read here, and values written as CBOR.

Rules: a body is one item of the value model: text keys, each once; integers of 64 bits; doubles that are finite; byte
strings are binary values. Tags are refused: they would make dates, sets, references and numbers without bound. How deep
it nests is bounded as in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, NoReturn

import cbor2
import msgspec

from crdtstore import limits
from crdtstore.crdt.value import Value, check_value
from crdtstore.errors import InvalidValue, LimitExceeded, MalformedRequest


def refuse(*_: object) -> NoReturn:
    """Refuse a tag, whatever it means."""
    raise cbor2.CBORDecodeError("a tag, which means nothing here")


KNOWN_TAGS: Final[Mapping[int, Any]] = dict.fromkeys((*range(512), 1_004, 43_000, 55_799), refuse)
"""The library gives a meaning to some tags by itself; `tag_hook` sees only the others."""


def read_cbor(body: bytes) -> Value:
    """Read a body.

    Raises:
        MalformedRequest: It is not one item of CBOR, or not of the value model.
    """
    stream = BytesIO(body)
    decoder = cbor2.CBORDecoder(
        stream,
        tag_hook=refuse,
        semantic_decoders=KNOWN_TAGS,
        max_depth=limits.JSON_DEPTH_MAX,
        allow_duplicate_keys=False,
        strict_hashable_types=True,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORError, ValueError, OverflowError, MemoryError) as error:
        raise MalformedRequest(f"The body is not CBOR as it is read here: {error}.") from None
    if stream.tell() < len(body):
        raise MalformedRequest(f"{len(body) - stream.tell()} bytes stand behind the body's item of CBOR.")
    try:
        check_value(value, limits.JSON_DEPTH_MAX)
    except (InvalidValue, LimitExceeded) as error:
        raise MalformedRequest(f"The body holds what no JSON could: {error.message}") from None
    return value


def write_cbor(value: Value) -> bytes:
    """Write a value."""
    return cbor2.dumps(value)


def json_as_cbor(body: bytes) -> bytes:
    """An answer in JSON as CBOR: the same values, so binary ones are Base64 text in either."""
    return write_cbor(msgspec.json.decode(body))
