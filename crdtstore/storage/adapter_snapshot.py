"""A read view of a store over the plain Python API of LMDB.

Rules: every call holds the view's own lock, so that closing the environment waits for calls under way in other threads.
Compiled twin: `ext/lmdb_snapshot.pxi`. Not here: which views there are (`adapter`), rows in portions (`adapter_rows`).
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, Self

from crdtstore.errors import Corrupted, ForkedProcess, StoreClosed, StoreError
from crdtstore.storage.adapter_rows import Ahead, Back
from crdtstore.storage.adapter_use import Use
from crdtstore.storage.tables import check_key, check_start, table_name, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import lmdb

    from crdtstore.storage.adapter import Environment

ROWS: Final = 128
ROWS_FIRST: Final = 8
"""Rows that a scan fetches at a time, and at first: who wants one row does not pay for many."""


class Snapshot:
    """A read view that never changes: any thread may use it, one at a time."""

    def __init__(self, environment: Environment, transaction: lmdb.Transaction[bytes]) -> None:
        """Wrap a transaction of an environment."""
        self.environment = environment
        self.transaction: lmdb.Transaction[bytes] | None = transaction
        self.lock = threading.Lock()
        self.writes = 0

    def usable(self) -> lmdb.Transaction[bytes]:
        """Return the transaction, unless it has ended or was inherited by fork()."""
        if self.transaction is None:
            raise StoreClosed("This snapshot or batch has ended, or its store was closed.")
        if self.environment.pid != os.getpid():
            raise ForkedProcess("This snapshot or batch was opened before fork(): open the store again.")
        return self.transaction

    def get(self, table: int, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        table_name(table)
        check_key(key)
        if self.environment.handles[table] is None:
            return None
        with Use(self, table, key) as transaction:
            stored = transaction.get(key, db=self.environment.handles[table])
        return None if stored is None else unseal(table, key, stored)

    def scan(self, table: int, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the rows from `start` to before `end`, in key order."""
        return self.begin_scan(Ahead(start, end), table)

    def scan_back(self, table: int, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the rows from the last before `end` down to `start`."""
        return self.begin_scan(Back(start, end), table)

    def begin_scan(self, rows: Ahead, table: int) -> Iterator[tuple[bytes, bytes]]:
        """Check what is asked for before the first row is taken."""
        table_name(table)
        check_start(rows.start)
        self.usable()
        return self.rows(rows, table, self.writes)

    def rows(self, rows: Ahead, table: int, writes: int) -> Iterator[tuple[bytes, bytes]]:
        """Fetch a few rows at a time: no cursor outlives a fetch, so none dangles when the view is closed."""
        if self.environment.handles[table] is None:
            return
        more = True
        wanted = ROWS_FIRST
        while more:
            with Use(self, table, rows.start) as transaction:
                cursor = transaction.cursor(self.environment.handles[table])
                fetched, more = rows.fetch(cursor, wanted)
                cursor.close()
            wanted = ROWS
            for key, stored in fetched:
                self.check_scan(writes)
                if not rows.in_order(key):
                    # Among damaged pages a scan could go round for ever.
                    raise Corrupted(table_name(table), key, "it is out of order")
                if rows.is_behind(key):
                    return
                yield key, unseal(table, key, stored)
                rows.passed = key
        self.check_scan(writes)

    def check_scan(self, writes: int) -> None:
        """Refuse to go on with a scan of a view that has ended, or of a batch that was written to."""
        self.usable()
        if writes != self.writes:
            raise StoreError("The batch was written to while one of its scans was under way.")

    def first(self, table: int) -> tuple[bytes, bytes] | None:
        """Return the row with the lowest key, or None."""
        return self.edge(table, last=False)

    def last(self, table: int) -> tuple[bytes, bytes] | None:
        """Return the row with the highest key, or None."""
        return self.edge(table, last=True)

    def last_key(self, table: int) -> bytes | None:
        """Return the highest key, or None."""
        row = self.last(table)
        return None if row is None else row[0]

    def edge(self, table: int, *, last: bool) -> tuple[bytes, bytes] | None:
        """Return the row at one end of a table, or None."""
        table_name(table)
        if self.environment.handles[table] is None:
            return None
        with Use(self, table) as transaction:
            cursor = transaction.cursor(self.environment.handles[table])
            found = cursor.last() if last else cursor.first()
            key, stored = cursor.item()
            cursor.close()
        return (key, unseal(table, key, stored)) if found else None

    def count(self, table: int) -> int:
        """Return the number of rows of a table."""
        table_name(table)
        if self.environment.handles[table] is None:
            return 0
        with Use(self, table) as transaction:
            return transaction.stat(self.environment.handles[table])["entries"]

    def end(self) -> None:
        """Abort the transaction, once no other thread is inside; again does nothing."""
        with self.lock:
            transaction, self.transaction = self.transaction, None
        if transaction is not None and self.environment.pid == os.getpid():
            transaction.abort()

    def close(self) -> None:
        """End the view; again does nothing."""
        self.end()

    def __enter__(self) -> Self:
        """Return the view itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the view."""
        self.close()
