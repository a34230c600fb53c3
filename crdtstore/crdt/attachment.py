"""An attachment's token is what a document holds of a file: its id, its length, and texts that describe it.

Rules: merges as a register. The token is an object of `id` (text), `len` (bytes, from 0) and `metadata` (texts by
name); nothing else stands in it. It has one encoding: these keys in this order, the names of metadata sorted.

Not here: the files themselves, and whether one of this id exists.
"""

from __future__ import annotations

from crdtstore.crdt.value import Value, check_value, encode_value
from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.limits import ATTACHMENT_ID_BYTES_MAX, ATTACHMENT_TOKEN_BYTES_MAX

TOKEN_KEYS = {"id", "len", "metadata"}


def encode_token(value: Value) -> bytes:
    """Check a token and encode it; without `metadata` it has none.

    Raises:
        InvalidValue: No token.
        LimitExceeded: A token beyond its bounds.
    """
    if not isinstance(value, dict) or not {"id", "len"} <= value.keys() <= TOKEN_KEYS:
        raise InvalidValue("An attachment's token is an object of id, len and metadata.")
    id_, length, metadata = value["id"], value["len"], value.get("metadata", {})
    check_value(value)
    if not isinstance(id_, str) or not id_:
        raise InvalidValue("An attachment's id is a text that is not empty.")
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise InvalidValue("An attachment's len is an integer from 0.")
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise InvalidValue("An attachment's metadata is an object of texts.")
    ordered = dict(sorted(metadata.items(), key=lambda pair: pair[0].encode()))
    encoded = encode_value({"id": id_, "len": length, "metadata": ordered})
    check_size("ATTACHMENT_ID_BYTES_MAX", len(id_.encode()), ATTACHMENT_ID_BYTES_MAX)
    check_size("ATTACHMENT_TOKEN_BYTES_MAX", len(encoded), ATTACHMENT_TOKEN_BYTES_MAX)
    return encoded


def check_size(limit: str, size: int, maximum: int) -> None:
    """Refuse a token, or its id, beyond its bound."""
    if size > maximum:
        message = f"An attachment's token takes {size} bytes where {limit} allows {maximum}."
        raise LimitExceeded(message, limit=limit, value=size, maximum=maximum)
