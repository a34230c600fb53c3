"""Trimming forgets the oldest entries of the log; documents, vectors and chain digests stay.

Rules: the newest entry stays, since it says which txn id comes next. What goes raises its origin's floor in the same
commit, so that a peer below the floor is given a snapshot and never a log with a hole. A commit takes at most
TRIM_ENTRIES_MAX entries. How far to trim is not here; see `replication/retention.py`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from crdtstore.crdt.entry import is_join, place_of
from crdtstore.limits import TRIM_ENTRIES_MAX
from crdtstore.storage.images import trim_images
from crdtstore.storage.log import first_txn, last_txn, read_entries, txn_key
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch


def trim(batch: Batch, head: Head, until: int) -> int:
    """Forget entries up to a txn id, TRIM_ENTRIES_MAX at most; returns how many.

    Args:
        batch: The group's.
        head: Where the log stands.
        until: The last txn id to forget.
    """
    first, last = first_txn(batch), min(until, last_txn(batch) - 1)
    entries = list(islice(read_entries(batch, first - 1), max(0, min(last + 1 - first, TRIM_ENTRIES_MAX))))
    for entry in entries:
        batch.delete(Table.LOG, txn_key(entry.txn))
        if not is_join(entry.record):
            head.raise_floor(*place_of(entry.record))
    if entries:
        trim_images(batch, entries[-1].txn)
    return len(entries)
