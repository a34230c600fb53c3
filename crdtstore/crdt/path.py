"""A path names a place in a document: a tuple of keys, or their encoding in bytes.

Rules: each key is UTF-8 with 0x00 written 01 01 and 0x01 written 01 02, then one 0x00. So every key is legal,
two paths are equal exactly when their bytes are, bytes sort as the keys do, and a path is at or below another
exactly when its bytes start with the other's. The root is the empty path.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtstore.errors import InvalidDocument, LimitExceeded
from crdtstore.limits import DEPTH_MAX, PATH_BYTES_MAX

ROOT = b""


def encode_key(key: str) -> bytes:
    """Encode one key, terminated.

    Raises:
        InvalidDocument: The key holds a lone surrogate, which UTF-8 cannot carry.
    """
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        raise InvalidDocument(f"Key {key!r} holds a lone surrogate, which no UTF-8 text can carry.") from None
    return escape(raw) + b"\x00"


def escape(raw: bytes) -> bytes:
    """The same bytes without a 0x00, in the same order."""
    if b"\x00" in raw or b"\x01" in raw:
        return raw.replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
    return raw


def encode_path(keys: tuple[str, ...]) -> bytes:
    """Encode a path.

    Raises:
        LimitExceeded: More than DEPTH_MAX keys, or more than PATH_BYTES_MAX bytes.
    """
    if len(keys) > DEPTH_MAX:
        message = f"A path has {len(keys)} keys; at most {DEPTH_MAX} are allowed."
        raise LimitExceeded(message, limit="DEPTH_MAX", value=len(keys), maximum=DEPTH_MAX)
    return check_path_size(b"".join(map(encode_key, keys)))


def check_path_size(path: bytes) -> bytes:
    """Refuse a path beyond PATH_BYTES_MAX."""
    if len(path) > PATH_BYTES_MAX:
        message = f"A path takes {len(path)} bytes; at most {PATH_BYTES_MAX} are allowed."
        raise LimitExceeded(message, limit="PATH_BYTES_MAX", value=len(path), maximum=PATH_BYTES_MAX)
    return path


def decode_path(path: bytes) -> tuple[str, ...]:
    """Read a path back into its keys."""
    keys = path.split(b"\x00")[:-1]
    return tuple(key.replace(b"\x01\x01", b"\x00").replace(b"\x01\x02", b"\x01").decode() for key in keys)


def is_path(path: bytes) -> bool:
    """Whether bytes from elsewhere are a path in exactly this encoding, within the limits."""
    try:
        return encode_path(decode_path(path)) == path
    except (UnicodeDecodeError, InvalidDocument, LimitExceeded):
        return False


def ancestors(path: bytes) -> list[bytes]:
    """The paths strictly above this one, the root first."""
    ends = [index + 1 for index, byte in enumerate(path) if byte == 0]
    return [path[:end] for end in (0, *ends[:-1])] if path else []


def format_path(path: bytes) -> str:
    """For people: keys joined by dots, quoted where a key would be ambiguous."""
    return format_steps(decode_path(path))


def format_steps(steps: Iterable[str | int]) -> str:
    """The same for keys, and for indexes of arrays."""
    return ".".join(step if isinstance(step, str) and step.isidentifier() else repr(step) for step in steps)
