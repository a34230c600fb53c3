"""A document's `_id` and its key encoding, which keeps order and has one spelling for each id.

Rules: an id is a non-empty string, an int64, a finite double, a boolean or an object. 1 and 1.0 are one id;
the order of an object's keys does not matter; "1" and 1 are two ids. Order: false, true, numbers by value,
strings by code point, objects. At most ID_BYTES_MAX bytes encoded; null and arrays are refused (inside an
object they are allowed).

Encoding: a tag byte, then
  number   the nearest double with its bits made sortable (8 bytes), then what an int64 differs from it (2 bytes)
  string   UTF-8; inside an object escaped and terminated as a path's key is
  object   its keys sorted, each as a path's key followed by its value's encoding, then 0x00
  array    each item's encoding, then 0x00
"""

from __future__ import annotations

import math
import struct
from typing import TypeGuard

from crdtstore.crdt.path import encode_key
from crdtstore.crdt.value import Value, check_value
from crdtstore.errors import InvalidId, InvalidValue, LimitExceeded
from crdtstore.limits import DEPTH_MAX, ID_BYTES_MAX, INT_MAX, INT_MIN

TAG_BYTES = 1
END = 0x00
NULL = 0x01
FALSE = 0x02
TRUE = 0x03
NUMBER = 0x10
STRING = 0x20
STRING_TAG = bytes([STRING])
BINARY = 0x28
ARRAY = 0x30
OBJECT = 0x38

EXACT_MAX = 2**53
"""Integers up to here are doubles."""

DOUBLE, BITS, TAGGED_NUMBER = struct.Struct(">d"), struct.Struct(">Q"), struct.Struct(">BQH")

RESIDUAL_BIAS = 0x8000
"""An int64 differs from its nearest double by at most 512; biased so that the two bytes sort."""


def encode_id(value: Value) -> bytes:
    """Encode an id.

    Raises:
        InvalidId: A type, an empty string or a size that an id may not have.
    """
    if value.__class__ is str and value.isascii() and 0 < len(value) <= ID_BYTES_MAX:
        return STRING_TAG + value.encode()
    if value.__class__ is int and 0 <= value <= EXACT_MAX:
        return TAGGED_NUMBER.pack(NUMBER, BITS.unpack(DOUBLE.pack(value))[0] | 1 << 63, RESIDUAL_BIAS)
    return encode_other_id(value)


def encode_other_id(value: Value) -> bytes:
    """Encode any id; `encode_id` knows a shorter way for the common ones.

    Raises:
        InvalidId: A type, an empty string or a size that an id may not have.
    """
    if value is None or isinstance(value, list | bytes) or value == "":
        raise InvalidId("An _id is a non-empty string, a number, a boolean or an object; null and arrays are refused.")
    try:
        check_value(value)
    except (InvalidValue, LimitExceeded) as error:
        raise InvalidId(f"An _id holds what no document may hold: {error.message}") from None
    encoded = STRING_TAG + value.encode() if isinstance(value, str) else encode_part(value)
    size = len(encoded) - TAG_BYTES
    if size > ID_BYTES_MAX:
        message = f"This _id takes {size} bytes; at most {ID_BYTES_MAX} are allowed."
        raise InvalidId(message, limit="ID_BYTES_MAX", value=size, maximum=ID_BYTES_MAX)
    return encoded


def encode_part(value: Value) -> bytes:
    """Encode a value inside an id, self-terminated."""
    if value is None:
        return bytes([NULL])
    if isinstance(value, bool):
        return bytes([TRUE if value else FALSE])
    if isinstance(value, int | float):
        return bytes([NUMBER]) + encode_number(value)
    if isinstance(value, str):
        return bytes([STRING]) + encode_key(value)
    if isinstance(value, bytes):
        return bytes([BINARY]) + encode_key(value.hex())
    if isinstance(value, list):
        return bytes([ARRAY]) + b"".join(map(encode_part, value)) + bytes([END])
    pairs = sorted((encode_key(key), encode_part(item)) for key, item in value.items())
    return bytes([OBJECT]) + b"".join(bytes([STRING]) + key + item for key, item in pairs) + bytes([END])


def encode_number(value: float) -> bytes:
    """Ten bytes that sort as numbers do; equal numbers have equal bytes whatever their type."""
    nearest = float(value) + 0.0  # -0.0 becomes 0.0
    bits = int.from_bytes(struct.pack(">d", nearest), "big")
    sortable = bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 1 << 63)
    residual = int(value) - int(nearest) if isinstance(value, int) else 0
    return sortable.to_bytes(8, "big") + (residual + RESIDUAL_BIAS).to_bytes(2, "big")


def decode_number(data: bytes) -> int | float:
    """Read ten bytes back; a whole number within int64 comes back as an integer."""
    sortable = int.from_bytes(data[:8], "big")
    bits = sortable ^ (1 << 63 if sortable >> 63 else 0xFFFF_FFFF_FFFF_FFFF)
    nearest: float = struct.unpack(">d", bits.to_bytes(8, "big"))[0]
    whole = int(nearest) + int.from_bytes(data[8:10], "big") - RESIDUAL_BIAS if is_whole(nearest) else None
    return whole if whole is not None and INT_MIN <= whole <= INT_MAX else nearest


def is_whole(number: float) -> TypeGuard[float]:
    """Whether a double is a whole number near int64's range."""
    return math.isfinite(number) and number == math.floor(number) and abs(number) <= float(2**63)


def decode_id(encoded: bytes) -> Value:
    """Read an id back.

    Raises:
        InvalidId: The bytes are not an id in exactly this encoding.
    """
    value = read_id(encoded)
    if encode_id(value) != encoded:
        raise InvalidId(f"Bytes {encoded[:32].hex()} are not the canonical encoding of an _id.")
    return value


def read_id(encoded: bytes) -> Value:
    """As `decode_id`, of bytes that a seal guards: that they are canonical is not asked again.

    Raises:
        InvalidId: The bytes are not an id.
    """
    try:
        if encoded[:1] == bytes([STRING]):
            return encoded[1:].decode()
        value, end = decode_part(encoded, 0, 0)
    except (IndexError, UnicodeDecodeError, ValueError, struct.error, OverflowError):
        raise InvalidId(f"Bytes {encoded[:32].hex()} are not an encoded _id.") from None
    if end != len(encoded):
        raise InvalidId(f"An encoded _id has {len(encoded) - end} bytes too many.")
    return value


def decode_part(data: bytes, start: int, depth: int) -> tuple[Value, int]:
    """Read one self-terminated part; returns it and where it ends."""
    if depth > DEPTH_MAX:
        raise InvalidId(f"An encoded _id is nested deeper than {DEPTH_MAX} levels.")
    tag, at = data[start], start + 1
    if tag in (NULL, FALSE, TRUE):
        return {NULL: None, FALSE: False, TRUE: True}[tag], at
    if tag == NUMBER:
        return decode_number(data[at : at + 10]), at + 10
    if tag in (STRING, BINARY):
        text, end = decode_key(data, at)
        return (text if tag == STRING else bytes.fromhex(text)), end
    if tag == ARRAY:
        return decode_array(data, at, depth)
    if tag == OBJECT:
        return decode_object(data, at, depth)
    raise InvalidId(f"An encoded _id has the unknown tag {tag:#x}.")


def decode_key(data: bytes, start: int) -> tuple[str, int]:
    """Read one escaped, terminated string."""
    end = data.index(0, start)
    return data[start:end].replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01").decode(), end + 1


def decode_array(data: bytes, at: int, depth: int) -> tuple[list[Value], int]:
    """Read an array's items up to its end byte."""
    items: list[Value] = []
    while data[at] != END:
        item, at = decode_part(data, at, depth + 1)
        items.append(item)
    return items, at + 1


def decode_object(data: bytes, at: int, depth: int) -> tuple[dict[str, Value], int]:
    """Read an object's pairs up to its end byte."""
    pairs: dict[str, Value] = {}
    while data[at] != END:
        key, at = decode_key(data, at + 1)
        pairs[key], at = decode_part(data, at, depth + 1)
    return pairs, at + 1
