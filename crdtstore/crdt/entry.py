"""An entry is one line of a log: a record, whole or cut; an advance; or a join.

Rules: the first byte tells them apart, since each is a msgpack array of its own length.
  - A *record* is one transaction (`record`). It is *cut* where changes outside of a scope were left out: then its
    chain digest cannot be recomputed and comes with it.
  - An *advance* stands for records of one origin that have nothing in a scope:
        [1, origin, position, timestamp, observed rows, digests]
    it takes the origin from the position before the first of its digests (16 bytes each) to `position`, and holds
    what those records observed, the later over the earlier.
  - A *join* says that a snapshot of another store was joined:
        [1, vector rows, [[collection, first key, end key or nil], ...]]
    with the version vector after it and the ranges of keys that were joined. It never leaves its store.

The format's document is `docs/record.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack

from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.record import (
    RECORD_VERSION,
    check_count,
    check_origin,
    check_reached,
    check_u64,
    observed_rows,
)
from crdtstore.crdt.value import pack
from crdtstore.crdt.vector import Reached, VersionVector
from crdtstore.errors import MalformedRecord

RECORD_HEAD = 0x97
ADVANCE_HEAD = 0x96
JOIN_HEAD = 0x93


class Entry(NamedTuple):
    """A record or advance on its way; `digest` is the chain digest of a cut record, None otherwise."""

    data: bytes
    digest: bytes | None = None


class Advance(NamedTuple):
    """Records of one origin, up to `position`, of which only the digests are told."""

    origin: bytes
    position: int
    timestamp: int
    observed: Mapping[bytes, Reached]
    digests: bytes

    @property
    def first(self) -> int:
        """The position of the first of them."""
        return self.position + 1 - len(self.digests) // CHAIN_DIGEST_BYTES

    @property
    def digest(self) -> bytes:
        """The chain digest at `position`."""
        return self.digests[-CHAIN_DIGEST_BYTES:]


class KeyRange(NamedTuple):
    """Document keys of one collection, from `start` to before `end` (None: to the last), without its number."""

    collection: str
    start: bytes = b""
    end: bytes | None = None


def is_record(data: bytes) -> bool:
    """Whether an entry is a record."""
    return data[:1] == bytes([RECORD_HEAD])


def is_advance(data: bytes) -> bool:
    """Whether an entry is an advance."""
    return data[:1] == bytes([ADVANCE_HEAD])


def is_join(data: bytes) -> bool:
    """Whether an entry is a join."""
    return data[:1] == bytes([JOIN_HEAD])


def place_of(data: bytes) -> tuple[bytes, int]:
    """Origin and position of a record or advance, read without the rest of it."""
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data[20:29])
    return data[4:20], unpacker.unpack()


def encode_advance(advance: Advance) -> bytes:
    """Encode an advance; canonical, as a record is."""
    return pack([RECORD_VERSION, *advance[:3], observed_rows(advance.observed), advance.digests])


def decode_advance(data: bytes) -> Advance:
    """Read an advance.

    Raises:
        MalformedRecord: Bytes that `encode_advance` would not have written.
    """
    try:
        version, origin, position, timestamp, observed, digests = msgpack.unpackb(data)
        vector = {check_origin(row[0]): check_reached(row[1:]) for row in observed}
        # Not what `bytes` would make of it: of a number so many zeros.
        passed = digests if isinstance(digests, bytes) else b""
        advance = Advance(check_origin(origin), check_count(position), check_u64(timestamp), vector, passed)
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise MalformedRecord(f"Bytes {data[:16].hex()} are not an advance: {error}.") from None
    if version != RECORD_VERSION or len(passed) % CHAIN_DIGEST_BYTES or not passed or advance.first < 1:
        raise MalformedRecord("An advance holds a digest for each of its positions.")
    if encode_advance(advance) != data:
        raise MalformedRecord(f"The advance to position {position} is not in canonical form.")
    return advance


def encode_join(vector: VersionVector, ranges: Sequence[KeyRange]) -> bytes:
    """Encode the entry that a join leaves in the log."""
    return pack([RECORD_VERSION, observed_rows(vector), [list(part) for part in ranges]])


def decode_join(data: bytes) -> tuple[dict[bytes, Reached], list[KeyRange]]:
    """Read such an entry, of this store's own log.

    Raises:
        MalformedRecord: Bytes that `encode_join` would not have written.
    """
    try:
        _, rows, ranges = msgpack.unpackb(data)
        vector, parts = unpack_rows(rows), [KeyRange(*part) for part in ranges]
        same = encode_join(vector, parts) == data
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise MalformedRecord(f"Bytes {data[:16].hex()} are not the entry of a join: {error}.") from None
    if not same:
        raise MalformedRecord("The entry of a join is not in canonical form.")
    return vector, parts


def unpack_rows(rows: Any) -> dict[bytes, Reached]:
    """Read vector rows that came from elsewhere: MalformedRecord for what is none."""
    return {check_origin(row[0]): check_reached(row[1:]) for row in rows}
