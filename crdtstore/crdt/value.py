"""A value is what a register holds: null, boolean, int64, double, string, binary, array or object.

Rules: integers and doubles are two types and keep theirs; doubles are finite; keys of objects are strings.
The encoding is msgpack in its shortest form, and the only one used: equal values of equal types have equal
bytes, so bytes can be hashed and compared. Arrays and objects inside a register are one value and keep the
order of keys that their author gave.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import msgpack

from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import DEPTH_MAX, INT_MAX, INT_MIN

Value: TypeAlias = Any
"""None | bool | int | float | str | bytes | list[Value] | dict[str, Value]; typed loosely because mypy cannot
follow the recursion through msgspec and msgpack, checked by `check_value`."""

Number: TypeAlias = int | float

packer = msgpack.Packer(use_bin_type=True, autoreset=True)


def pack(value: Value) -> bytes:
    """Msgpack in its shortest form, the only one that is used."""
    packed: bytes = packer.pack(value)
    return packed


def check_value(value: Value, depth_max: int = DEPTH_MAX) -> None:
    """Refuse what is outside the value model.

    Raises:
        InvalidValue: A type, key, integer or double that no document may hold.
        LimitExceeded: Nested deeper than `depth_max`.
    """
    if depth_max < 0:
        message = f"A value is nested deeper than {DEPTH_MAX} levels."
        raise LimitExceeded(message, limit="DEPTH_MAX", value=DEPTH_MAX + 1, maximum=DEPTH_MAX)
    if isinstance(value, dict):
        for key, item in value.items():
            check_key(key)
            check_value(item, depth_max - 1)
    elif isinstance(value, list):
        for item in value:
            check_value(item, depth_max - 1)
    else:
        check_scalar(value)


def check_key(key: object) -> None:
    """Refuse a key that is not a string of Unicode scalar values."""
    if not isinstance(key, str):
        raise InvalidValue(f"Keys of objects are strings; {key!r} is a {type(key).__name__}.")
    check_text(key)


def check_text(text: str) -> None:
    """Refuse a string with a lone surrogate: UTF-8 cannot carry it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(f"String {text[:40]!r} holds a lone surrogate, which no UTF-8 text can carry.") from None


def check_scalar(value: Value) -> None:
    """Refuse a scalar outside the value model."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, int):  # booleans are integers here, and in range
        if not INT_MIN <= value <= INT_MAX:
            raise InvalidValue(f"Integer {value} is beyond int64 ({INT_MIN} to {INT_MAX}).")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidValue(f"A double must be finite; {value} is not.")
    elif value is not None and not isinstance(value, bytes):
        raise InvalidValue(f"A document cannot hold a {type(value).__name__}.")


def check_number(value: Value) -> Number:
    """Refuse what a counter cannot add."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue(f"A counter takes a number; {value!r} is a {type(value).__name__}.")
    check_scalar(value)
    return value


def encode_value(value: Value) -> bytes:
    """Encode a value that passed `check_value`."""
    return pack(value)


def decode_value(data: bytes | memoryview) -> Value:
    """Read a value back."""
    return msgpack.unpackb(data, raw=False, strict_map_key=False)
