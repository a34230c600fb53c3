"""A value key is bytes that sort as values do, whatever their types: what indexes and sorting compare.

Rules: keys of equal values are equal, 1 and 1.0 and the three zeros too, and no key is the beginning of another, so
keys can stand one behind the other. Order: missing, null, false, true, numbers by value, strings by code point, binary
by byte, arrays by their first items that differ and then by length, objects. Objects have no order: all share one key.

Encoding: a tag byte, then
  number   as in an id: ten bytes
  string   UTF-8, escaped and terminated as a path's key is
  binary   its bytes, escaped and terminated likewise
  array    each item's key, then 0x00

Compiled twin: `ext/value_key.pxi`.
"""

from __future__ import annotations

from crdtstore.crdt.field import MISSING, Missing
from crdtstore.crdt.identifier import ARRAY, BINARY, END, FALSE, NULL, NUMBER, OBJECT, STRING, TRUE, encode_number
from crdtstore.crdt.path import escape
from crdtstore.crdt.value import Value

NOTHING = 0x00
"""The tag of MISSING, which stands in no array."""


def value_key(value: Value | Missing) -> bytes:
    """The key of a value of the value model, or of MISSING."""
    match value:
        case None:
            return bytes([NULL])
        case bool():
            return bytes([TRUE if value else FALSE])
        case int() | float():
            return bytes([NUMBER]) + encode_number(value)
        case str():
            return bytes([STRING]) + escape(value.encode()) + bytes([END])
        case bytes():
            return bytes([BINARY]) + escape(value) + bytes([END])
        case list():
            return bytes([ARRAY]) + b"".join(map(value_key, value)) + bytes([END])
    return bytes([NOTHING if value is MISSING else OBJECT])
