"""Bodies of snapshots, apart from how they are deflated on the wire."""

from __future__ import annotations

import zlib

from crdtstore.replication import body


def deflated(content: bytes) -> bytes:
    """What a body looks like on the wire."""
    return bytes([body.FORMAT]) + zlib.compress(content, 0, wbits=body.RAW_DEFLATE)


def inflated(data: bytes) -> bytes:
    """The body of what was encoded."""
    return zlib.decompress(data[1:], wbits=body.RAW_DEFLATE)
