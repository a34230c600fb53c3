"""The log is the store's one line of transactions: txn id -> chain digest ‖ record, own and merged ones alike.

Rules: txn ids are dense from 1. The chain runs along each origin's positions, not along the txn ids:
`chain = BLAKE2b-128(chain of the previous position ‖ record)`, so two stores can compare histories wherever their
logs differ in order. POSITIONS finds a transaction by (origin, position) and keeps its chain digest, so that a
record that comes again is compared, not trusted.

Not here: what may be appended; see `version/delivery.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.storage.interface import Batch, Snapshot

CHAIN_BYTES = 16


class LogEntry(NamedTuple):
    """One transaction of the log: its txn id in this store, and its record."""

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
    batch.put(Table.LOG, txn_key(txn), digest + record)
    batch.put(Table.POSITIONS, position_key(origin, position), txn_key(txn) + digest)
    return digest


def last_txn(snapshot: Snapshot) -> int:
    """The newest txn id; 0 for an empty store."""
    last = snapshot.last(Table.LOG)
    return int.from_bytes(last[0], "big") if last else 0


def read_entries(snapshot: Snapshot, since: int, limit: int) -> Iterator[LogEntry]:
    """At most `limit` entries after txn `since`, in order."""
    rows = snapshot.scan(Table.LOG, txn_key(since + 1), txn_key(since + 1 + limit))
    for key, value in rows:
        yield LogEntry(int.from_bytes(key, "big"), value[CHAIN_BYTES:])


def chain_at(snapshot: Snapshot, origin: bytes, position: int) -> bytes | None:
    """The chain digest at a position that was applied here; None where it was not."""
    row = snapshot.get(Table.POSITIONS, position_key(origin, position))
    return None if row is None else row[8:]
