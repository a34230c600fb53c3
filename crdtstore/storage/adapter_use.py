"""A read view of the plain LMDB package, lent to one thread for one call.

Not here: what is done with it (`adapter_snapshot`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lmdb

from crdtstore.errors import StoreError
from crdtstore.storage.adapter_error import store_error
from crdtstore.storage.tables import Table, table_name

if TYPE_CHECKING:
    from crdtstore.storage.adapter_snapshot import Snapshot


class Use:
    """A view's transaction, lent to this thread alone; LMDB's errors inside leave with the row's name."""

    __slots__ = ("key", "snapshot", "table")

    def __init__(self, snapshot: Snapshot, table: int = Table.META, key: bytes = b"") -> None:
        """Name the row that is worked on."""
        self.snapshot = snapshot
        self.table = table
        self.key = key

    def __enter__(self) -> lmdb.Transaction[bytes]:
        """Take the transaction, if nobody has it and it has not ended."""
        if not self.snapshot.lock.acquire(blocking=False):
            raise StoreError("Another thread uses this snapshot or batch now: take one for each thread.")
        try:
            return self.snapshot.usable()
        except BaseException:
            self.snapshot.lock.release()
            raise

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Give it back."""
        self.snapshot.lock.release()
        if isinstance(error, lmdb.Error):
            raise store_error(table_name(self.table), self.key, error) from error
