"""The history of a document: the transactions of the log that touched it, from the newest to the oldest.

Rules: no table finds transactions by document, so the log is read backwards, at most HISTORY_ENTRIES_MAX entries a
call; only those that hold the bytes of the document's id are decoded. `oldest` says how far that was, and a call with
it as `before` goes on. A history is whole if it reaches the first transaction of the log, if nothing was trimmed, and
if nothing came by a snapshot, which has no transactions.

Not here: what a document is now.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.entry import is_join, is_record
from crdtstore.crdt.record import decode_record
from crdtstore.limits import HISTORY_ENTRIES_MAX
from crdtstore.storage.log import first_txn, last_txn, txn_key
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.crdt.operation import Operation
    from crdtstore.crdt.stamp import Stamp
    from crdtstore.storage.interface import Snapshot


class Touched(NamedTuple):
    """A transaction that touched a document, and what it did to it."""

    txn: int
    stamp: Stamp
    operations: tuple[Operation, ...]


class History(NamedTuple):
    """Transactions from the newest to the oldest; see above for `oldest` and `whole`."""

    txn: int
    transactions: tuple[Touched, ...]
    oldest: int
    whole: bool


def read_history(snapshot: Snapshot, collection: str, encoded_id: bytes, before: int | None, limit: int) -> History:
    """Read back from a transaction, or from the newest, until there are `limit` transactions.

    Args:
        snapshot: What is read.
        collection: Of the document.
        encoded_id: Its id.
        before: The transaction before which to begin; None for the newest one as well.
        limit: How many transactions, at least 1.
    """
    newest = last_txn(snapshot)
    end = newest + 1 if before is None else min(before, newest + 1)
    found: list[Touched] = []
    oldest, joined = end, False
    for key, value in islice(snapshot.scan_back(Table.LOG, b"", txn_key(end)), HISTORY_ENTRIES_MAX):
        oldest, entry = int.from_bytes(key, "big"), value[CHAIN_DIGEST_BYTES:]
        joined = joined or is_join(entry)
        if is_record(entry) and encoded_id in entry:
            found += touched(oldest, entry, collection, encoded_id)
            if len(found) == limit:
                break
    whole = oldest <= 1 and not joined and first_txn(snapshot) <= 1
    return History(newest, tuple(found), oldest, whole)


def touched(txn: int, data: bytes, collection: str, encoded_id: bytes) -> list[Touched]:
    """What a record did to a document; empty if nothing."""
    record = decode_record(data)
    return [
        Touched(txn, record.stamp, change.operations)
        for change in record.changes
        if (change.collection, change.id) == (collection, encoded_id)
    ]
