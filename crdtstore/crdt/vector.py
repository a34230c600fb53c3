"""A version vector says what a store has applied: origin -> (position, timestamp, digest).

Rules: the timestamp decides whether a stamp is *covered* (timestamps increase strictly along an origin's log),
the position finds gaps, the chain digest finds forks. Its size is the number of stores that ever wrote, not of
clients. An *author vector* is the version vector of the store that ordered a transaction, as it was then;
what it covers and was live is what the transaction *observed*. Missing origins read as NOWHERE.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgpack

from crdtstore.crdt.stamp import Stamp


class Reached(NamedTuple):
    """How far one origin's log is known: its last position, timestamp and 16-byte chain digest."""

    position: int
    timestamp: int
    digest: bytes


NOWHERE = Reached(0, 0, bytes(16))
"""Before an origin's first transaction; also the seed of its chain."""

VersionVector: TypeAlias = Mapping[bytes, Reached]


def is_covered(vector: VersionVector, stamp: Stamp) -> bool:
    """Whether a vector claims the transaction that a stamp names (law: `tests/laws`, timestamps strict)."""
    return stamp.timestamp <= vector.get(stamp.origin, NOWHERE).timestamp


def greatest_timestamp(vector: VersionVector) -> int:
    """The greatest timestamp over all origins: a looser clock would hide a later write."""
    return max((reached.timestamp for reached in vector.values()), default=0)


def missing_from(vector: VersionVector, needed: VersionVector) -> bytes | None:
    """An origin of which `needed` knows more than `vector`, or None: then the delivery is causal."""
    for origin, reached in needed.items():
        if reached.position > vector.get(origin, NOWHERE).position:
            return origin
    return None


def difference(vector: VersionVector, earlier: VersionVector) -> dict[bytes, Reached]:
    """The entries of `vector` that are not in `earlier`: what a record carries."""
    return {origin: reached for origin, reached in vector.items() if earlier.get(origin) != reached}


def vector_digest(vector: VersionVector) -> bytes:
    """16 bytes that stand for a vector, chain digests included."""
    rows = [(origin, reached.position, reached.digest) for origin, reached in sorted(vector.items())]
    return blake2b(msgpack.packb(rows), digest_size=len(NOWHERE.digest)).digest()
