"""A cursor says where a page of results ended, in a text that its holder cannot read or change without being noticed.

Rules: URL-safe Base64 of a version byte, the position and a keyed BLAKE2b over both and the query that it belongs to;
the key is the store's. So a cursor of another query, another store or another version is refused, as is one that
was altered. A cursor grants nothing: who may read is asked again for each page.

Not here: what a position is (`find`).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import blake2b
from typing import Final

from crdtstore.errors import InvalidCursor
from crdtstore.limits import CURSOR_CHARS_MAX

CURSOR_VERSION: Final = 1
SEAL_BYTES: Final = 16


def write_cursor(secret: bytes, query: bytes, position: bytes) -> str:
    """Make a cursor.

    Args:
        secret: The store's, at most 64 bytes.
        query: All that the following pages must have in common with this one.
        position: Where this page ended.
    """
    body = bytes([CURSOR_VERSION]) + position
    return urlsafe_b64encode(body + seal_cursor(secret, query, body)).rstrip(b"=").decode()


def read_cursor(secret: bytes, query: bytes, cursor: str) -> bytes:
    """The position in a cursor.

    Raises:
        InvalidCursor: It is none, or none of this query and this store.
    """
    if len(cursor) > CURSOR_CHARS_MAX:
        raise InvalidCursor(f"A cursor has at most {CURSOR_CHARS_MAX} characters; this one has {len(cursor)}.")
    try:
        data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (Error, ValueError):
        raise InvalidCursor("The cursor is not one that this store gave out.") from None
    body, seal = data[:-SEAL_BYTES], data[-SEAL_BYTES:]
    genuine = hmac.compare_digest(seal, seal_cursor(secret, query, body))
    # The decoder overlooks characters and bits that it does not need; a cursor has one spelling.
    if not genuine or body[:1] != bytes([CURSOR_VERSION]) or write_cursor(secret, query, body[1:]) != cursor:
        message = "The cursor does not belong to this query of this store: ask the first page again."
        raise InvalidCursor(message)
    return body[1:]


def seal_cursor(secret: bytes, query: bytes, body: bytes) -> bytes:
    """What nobody can make who does not have the secret."""
    bound = len(query).to_bytes(8, "big") + query + body
    return blake2b(bound, key=secret, digest_size=SEAL_BYTES, person=b"crdtstore-cursor").digest()
