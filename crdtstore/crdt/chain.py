"""The hash chain over one origin's records: each digest stands for a whole history.

Rules: BLAKE2b with 16 bytes of output (RFC 7693), without a key, over the digest before and the record's
canonical bytes, in this order. So two stores that hold equal digests at a position hold equal records up to
it, and nobody can make up others with the same digest. The digest in front always has 16 bytes, so that the
two parts cannot be taken for one another; the caller sees to that. What is canonical is not here. The
compiled twin is `ext/blake2b.pxi`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

CHAIN_DIGEST_BYTES: Final = 16


def chain_digest(previous: bytes, record: bytes) -> bytes:
    """Compute the digest of a history that one more record continues.

    Args:
        previous: The digest of the records before.
        record: The canonical bytes of this one.

    Returns:
        16 bytes.
    """
    return blake2b(previous + record, digest_size=CHAIN_DIGEST_BYTES).digest()
