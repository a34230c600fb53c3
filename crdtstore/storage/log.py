"""The log is the store's one line of transactions: txn id -> chain digest ‖ entry, own and merged ones alike.

Rules: txn ids are dense from 1. The chain runs along each origin's positions, not along the txn ids:
`chain = BLAKE2b-128(chain of the previous position ‖ record)`, so two stores can compare histories wherever their
logs differ in order. POSITIONS finds a transaction by (origin, position) and keeps its chain digest, so that a
record that comes again is compared, not trusted. It stays when the entry is trimmed: a peer that was away for long
is compared all the same. The newest entry is never trimmed, since it says which txn id comes next.

Not here: what may be appended; see `version/delivery.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import core
from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.errors import Corrupted, LogTrimmed
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.crdt.entry import Advance
    from crdtstore.storage.interface import Batch, Snapshot

NO_CHAIN: Final = bytes(CHAIN_DIGEST_BYTES)
"""Stands in the place of the chain digest before a join, which is no origin's record."""

LOG, POSITIONS = int(Table.LOG), int(Table.POSITIONS)
"""Of each transaction: plain numbers are passed faster than members of an enumeration."""

NOT_WHOLE: Final = b"\1"
"""Behind a position whose record is not in the log as its origin made it: cut, advanced over or joined."""


PLACE_BYTES: Final = (24, 25)
"""Of what POSITIONS keeps: txn id, chain digest, and perhaps NOT_WHOLE."""


class LogEntry(NamedTuple):
    """One transaction of the log: its txn id in this store, and its entry: a record, an advance or a join."""

    txn: int
    record: bytes


def txn_key(txn: int) -> bytes:
    """The key of a txn id."""
    return txn.to_bytes(8, "big")


def position_key(origin: bytes, position: int) -> bytes:
    """The key of a position."""
    return origin + position.to_bytes(8, "big")


def append(batch: Batch, txn: int, origin: bytes, position: int, previous: bytes, record: bytes) -> bytes:
    """Append a record; returns its chain digest.

    Args:
        batch: The group's.
        txn: The next txn id.
        origin: Of the record.
        position: Of the record.
        previous: The chain digest of the position before.
        record: Its bytes.
    """
    digest: bytes = core.chain_digest(previous, record)
    key = txn_key(txn)
    batch.put(LOG, key, digest + record)
    batch.put(POSITIONS, position_key(origin, position), key + digest)
    return digest


def append_cut(batch: Batch, txn: int, origin: bytes, position: int, digest: bytes, record: bytes) -> None:
    """Append a cut record, whose chain digest was told."""
    batch.put(Table.LOG, txn_key(txn), digest + record)
    batch.put(Table.POSITIONS, position_key(origin, position), txn_key(txn) + digest + NOT_WHOLE)


def append_advance(batch: Batch, txn: int, advance: Advance, data: bytes) -> None:
    """Append an advance, and the digest of each position that it passes."""
    batch.put(Table.LOG, txn_key(txn), advance.digest + data)
    put_digests(batch, txn, advance.origin, advance.first, advance.digests)


def append_join(batch: Batch, txn: int, data: bytes) -> None:
    """Append the entry of a join."""
    batch.put(Table.LOG, txn_key(txn), NO_CHAIN + data)


def put_digests(batch: Batch, txn: int, origin: bytes, first: int, digests: bytes) -> None:
    """Keep the chain digests of consecutive positions; `txn` is 0 where no entry of the log holds them."""
    for at in range(0, len(digests), CHAIN_DIGEST_BYTES):
        key = position_key(origin, first + at // CHAIN_DIGEST_BYTES)
        batch.put(Table.POSITIONS, key, txn_key(txn) + digests[at : at + CHAIN_DIGEST_BYTES] + NOT_WHOLE)


def first_txn(snapshot: Snapshot) -> int:
    """The oldest txn id that the log still holds; 0 for an empty store."""
    first = snapshot.first(Table.LOG)
    return int.from_bytes(first[0], "big") if first else 0


def last_txn(snapshot: Snapshot) -> int:
    """The newest txn id; 0 for an empty store."""
    last = snapshot.last_key(Table.LOG)
    return int.from_bytes(last, "big") if last else 0


def read_entries(snapshot: Snapshot, since: int, limit: int | None = None) -> Iterator[LogEntry]:
    """At most `limit` entries after txn `since`, in order."""
    end = None if limit is None else txn_key(since + 1 + limit)
    for key, value in snapshot.scan(Table.LOG, txn_key(since + 1), end):
        yield LogEntry(int.from_bytes(key, "big"), value[CHAIN_DIGEST_BYTES:])


def check_reach(snapshot: Snapshot, since: int) -> None:
    """Refuse to read on after a txn id where entries behind it were trimmed.

    Raises:
        LogTrimmed: The log begins later.
    """
    first = first_txn(snapshot)
    if since + 1 < first:
        message = f"The log begins at transaction {first}; what followed {since} was trimmed. Read the documents anew."
        raise LogTrimmed(message, asked=since, first=first)


class Place(NamedTuple):
    """Where a position's record is: its txn id (0: not in the log), its chain digest, whether it came whole."""

    txn: int
    digest: bytes
    whole: bool


def place_at(snapshot: Snapshot, origin: bytes, position: int) -> Place | None:
    """What is known of a position; None where it was not reached."""
    row = snapshot.get(Table.POSITIONS, position_key(origin, position))
    if row is None:
        return None
    if len(row) not in PLACE_BYTES:
        raise Corrupted("positions", position_key(origin, position), f"its value has {len(row)} bytes")
    return Place(int.from_bytes(row[:8], "big"), row[8:24], len(row) == 24)


def chain_at(snapshot: Snapshot, origin: bytes, position: int) -> bytes | None:
    """The chain digest at a position that was applied here; None where it was not."""
    place = place_at(snapshot, origin, position)
    return None if place is None else place.digest
