"""Flattening turns an object into the writes of its fields: one register a leaf, one marker an empty object.

Rules: objects are maps, whose keys merge one by one; arrays and scalars are registers; an empty object is a
marker, so that it exists. What `declared` names is taken as it says: `register` keeps an object whole, `counter`
starts a counter, `attachment` writes a token. The order is the object's own.

Compiled twin: `ext/flatten.pxi`, for objects without declared types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from crdtstore.crdt.attachment import encode_token
from crdtstore.crdt.operation import Attach, Mark, Restart, Write
from crdtstore.crdt.path import check_path_size, encode_key
from crdtstore.crdt.value import Value, check_key, check_number, check_value, encode_value
from crdtstore.errors import LimitExceeded
from crdtstore.limits import DEPTH_MAX

ATTACHMENT, COUNTER, REGISTER = "attachment", "counter", "register"


def flatten(fields: Mapping[str, Value], path: bytes, depth: int = 1) -> list[Write | Mark]:
    """The writes of an object's fields, without declared types.

    Args:
        fields: The object.
        path: Where it stands, encoded.
        depth: How deep its fields stand: 1 for a document's own.

    Raises:
        InvalidValue: A value outside the value model.
        LimitExceeded: Nested deeper than DEPTH_MAX, or a path beyond its bound.
    """
    return [each for each in flatten_map(fields, path, {}, depth) if isinstance(each, Write | Mark)]


def flatten_map(
    fields: Mapping[str, Value], path: bytes, declared: Mapping[bytes, str], depth: int = 1
) -> Iterator[Write | Mark | Restart | Attach]:
    """The writes of an object's fields."""
    if depth > DEPTH_MAX + 1:
        message = f"A document is nested deeper than {DEPTH_MAX} levels."
        raise LimitExceeded(message, limit="DEPTH_MAX", value=depth, maximum=DEPTH_MAX)
    if not fields:
        yield Mark(path)
    for key, value in fields.items():
        check_key(key)
        yield from flatten_value(value, check_path_size(path + encode_key(key)), declared, depth)


def flatten_value(
    value: Value, path: bytes, declared: Mapping[bytes, str], depth: int = 1
) -> Iterator[Write | Mark | Restart | Attach]:
    """The writes of one field."""
    kind = declared.get(path)
    if kind == COUNTER:
        yield Restart(path, check_number(value))
    elif kind == ATTACHMENT:
        yield Attach(path, encode_token(value))
    elif isinstance(value, dict) and kind != REGISTER:
        yield from flatten_map(value, path, declared, depth + 1)
    else:
        check_value(value, DEPTH_MAX - depth)
        yield Write(path, encode_value(value))
