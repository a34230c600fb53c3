"""The storage over the plain Python API of LMDB: what runs where the compiled core or its symbols are absent.

Rules: the compiled twin is `ext/lmdb.pxi`; both read and write the same files, and one environment is opened
through one of them only. Every call holds its snapshot's own lock, so that closing the environment waits for
calls under way in other threads; LMDB's errors leave as this package's. Two things the twin does and this
cannot: to go on where LMDB would end the process, on a damaged file, and to open a store that the parent of a
forked process has open. Opening a directory is not here: see `environment.py`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from weakref import WeakSet, ref

import lmdb

from crdtstore import limits
from crdtstore.errors import (
    Corrupted,
    ForkedProcess,
    StoreClosed,
    StoreError,
    StoreFenced,
    StoreFull,
    StoreReadOnly,
)
from crdtstore.storage.adapter_error import opening_error, store_error
from crdtstore.storage.adapter_rows import Ahead, Back
from crdtstore.storage.adapter_tables import open_tables
from crdtstore.storage.adapter_use import Use
from crdtstore.storage.tables import check_key, check_start, seal, table_name, unseal
from crdtstore.storage.wal_file import encode_delete, encode_put, write_flushed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.errors import CrdtStoreError
    from crdtstore.storage.lock import StoreLock
    from crdtstore.storage.wal import Wal

META_PAGES: Final = 2
ROWS: Final = 128
ROWS_FIRST: Final = 8
"""Rows that a scan fetches at a time, and at first: who wants one row does not pay for many."""


class Environment:
    """One open store: hands out read views and the one write transaction."""

    wal: Wal | None = None
    """What batches are written to before they are committed, if there is one."""

    def __init__(
        self,
        path: str,
        lock: StoreLock,
        tables: tuple[str, ...],
        *,
        added: int,
        map_bytes: int,
        readers_max: int,
        read_only: bool,
        durable: bool,
    ) -> None:
        """Open the store in a directory; its tables must exist, but for those that were added to the format later.

        Args:
            path: The directory.
            lock: What is released when the environment is closed.
            tables: The names of the tables; their places are their numbers.
            added: How many of the last ones may be missing: they are made, or read-only count as empty.
            map_bytes: As in `open_storage`, and the others too.
            readers_max: Reader slots.
            read_only: Whether batches are refused.
            durable: Whether a commit returns only once it is on disk.

        Raises:
            NotAStore: a table does not exist, or LMDB does not know the file.
        """
        self.path = path
        self.read_only = read_only
        self.durable = durable
        self.pid = os.getpid()
        self.closed = self.fenced = False
        self.batches = 0
        self.live: WeakSet[Snapshot] = WeakSet()
        self.live_lock = threading.Lock()
        self.writing: ref[Batch] | None = None
        try:
            self.lmdb = lmdb.open(
                path,
                map_size=map_bytes,
                max_dbs=len(tables),
                max_readers=readers_max,
                max_spare_txns=limits.SNAPSHOTS_KEPT_MAX,
                readonly=read_only,
                sync=durable,
                mode=0o600,
                create=False,
                lib_version=0,
            )
        except lmdb.Error as error:
            raise opening_error(path, error) from error
        try:
            self.handles = open_tables(self.lmdb, tables, added, read_only=read_only)
        except lmdb.Error as error:
            self.lmdb.close()
            raise opening_error(path, error) from error
        # A dropped environment frees its attributes in this order: the lock must go after LMDB.
        self.lock = lock
        environments.add(self)
        self.lmdb.reader_check()

    def check(self) -> None:
        """Refuse an environment that was closed or inherited by fork()."""
        if self.pid != os.getpid():
            raise ForkedProcess("This store was opened before fork(): open it again in the child.")
        if self.closed:
            raise StoreClosed("This store was closed.")

    def snapshot(self) -> Snapshot:
        """Open a read view of what is committed now; `Overloaded` when all reader slots are taken."""
        with self.live_lock:
            self.check()
            try:
                transaction = self.begin()
            except lmdb.Error as error:
                raise store_error("meta", b"", error) from error
            snapshot = Snapshot(self, transaction)
            self.live.add(snapshot)
        return snapshot

    def begin(self) -> lmdb.Transaction[bytes]:
        """Begin a read transaction, in the slot of a dead process if there is no other."""
        try:
            return self.lmdb.begin(buffers=False)
        except lmdb.ReadersFullError:
            self.lmdb.reader_check()
            return self.lmdb.begin(buffers=False)

    def batch(self) -> Batch:
        """Open the one write transaction; the thread that opened it must end it."""
        with self.live_lock:
            self.check()
            if self.read_only:
                raise StoreReadOnly("This store was opened read-only.")
            if self.fenced:
                raise StoreFenced("A write failed with an unknown outcome: reopen the store.")
            if self.open_batch() is not None:
                raise StoreError("A batch is open already: there is one at a time.")
            self.batches += 1
            try:
                if self.batches % limits.READER_CHECK_BATCHES == 0:
                    self.lmdb.reader_check()
                transaction = self.lmdb.begin(write=True, buffers=False)
            except lmdb.Error as error:
                raise store_error("meta", b"", error) from error
            batch = Batch(self, transaction)
            self.writing = ref(batch)
        return batch

    def open_batch(self) -> Batch | None:
        """Return the batch that has not ended, if there is one."""
        batch = self.writing() if self.writing is not None else None
        return batch if batch is not None and not batch.over else None

    def is_full(self) -> bool:
        """Whether the disk has no room: a write that is cut short for that reason looks like one that failed."""
        try:
            return os.statvfs(self.path).f_bavail == 0
        except OSError:
            return False

    def reader_check(self) -> None:
        """Free the reader slots of dead processes: what they held open keeps pages from being used again."""
        self.check()
        self.lmdb.reader_check()

    def sync(self) -> None:
        """Bring to disk what was committed, where commits do not do so themselves."""
        self.check()
        try:
            self.lmdb.sync(force=True)
        except lmdb.Error as error:
            raise store_error("meta", b"", error) from error

    def bytes_on_disk(self) -> int:
        """Return the size of the data file in bytes."""
        self.check()
        return Path(self.path, "data.mdb").stat().st_size

    def bytes_unused(self) -> int:
        """Return how many of these bytes hold nothing of the newest commit: free, or kept for open snapshots."""
        # LMDB's own list of free pages counts as free: its Python API does not show it.
        with self.snapshot() as snapshot, Use(snapshot) as transaction:
            tables = [self.lmdb.stat(), *(transaction.stat(handle) for handle in self.handles)]
        used = sum(each["branch_pages"] + each["leaf_pages"] + each["overflow_pages"] for each in tables)
        return max(0, self.bytes_on_disk() - (META_PAGES + used) * tables[0]["psize"])

    def close(self) -> None:
        """End every snapshot and the batch, close the store and release its lock; again does nothing.

        Raises:
            StoreError: another thread has a batch open; nothing was closed.
        """
        if self.pid != os.getpid():
            self.closed = True
            return
        with self.live_lock:
            if self.closed:
                return
            batch = self.open_batch()
            if batch is not None:
                batch.check_thread()
                batch.end()
        try:
            if self.wal is not None:
                self.wal.finish()
        finally:
            self.close_lmdb()

    def close_lmdb(self) -> None:
        """End what is open, and let go of file and lock."""
        with self.live_lock:
            self.closed = True
            snapshots = list(self.live)
        for snapshot in snapshots:
            snapshot.end()
        try:
            if not self.durable and not self.read_only:
                self.lmdb.sync(force=True)
        finally:
            self.lmdb.close()
            self.lock.release()

    def __enter__(self) -> Self:
        """Return the environment itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the environment."""
        self.close()


environments: WeakSet[Environment] = WeakSet()


def abandon_environments() -> None:
    """Keep a forked child from ever freeing what it inherited: that would clear its parent's reader slots."""
    for environment in environments:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(environment.lmdb))


os.register_at_fork(after_in_child=abandon_environments)


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


class Batch(Snapshot):
    """The one write transaction: sees its own writes. The thread that opened it must end it."""

    def __init__(self, environment: Environment, transaction: lmdb.Transaction[bytes]) -> None:
        """Wrap a write transaction of an environment."""
        super().__init__(environment, transaction)
        self.thread = threading.get_ident()
        self.over = False
        self.logged: list[bytes] | None = None if environment.wal is None else []

    def __del__(self) -> None:
        """Abort a batch that was dropped; in another thread that could never free the writer's mutex."""
        if self.transaction is not None and self.environment.pid == os.getpid():
            self.environment.fenced = self.environment.fenced or self.thread != threading.get_ident()
            self.end()

    def put(self, table: int, key: bytes, value: bytes) -> None:
        """Store a value under a key, in place of the one that was there."""
        table_name(table)
        check_key(key)
        with Use(self, table, key) as transaction:
            self.writes += 1
            transaction.put(key, seal(table, key, value), db=self.environment.handles[table])
            if self.logged is not None:
                self.logged.append(encode_put(table, key, value))

    def delete(self, table: int, key: bytes) -> bool:
        """Remove a key; say whether it was there."""
        table_name(table)
        check_key(key)
        with Use(self, table, key) as transaction:
            self.writes += 1
            if self.logged is not None:
                self.logged.append(encode_delete(table, key))
            return transaction.delete(key, db=self.environment.handles[table])

    def commit(self) -> None:
        """Make every write visible, all at once, and durable; the batch is over either way.

        Raises:
            StoreFull: no room; nothing of it is stored, and smaller batches may go on.
            StoreFenced: the outcome is unknown, and the store takes no write any more.
        """
        self.check_thread()
        with Use(self) as transaction:
            self.transaction = None
            try:
                if self.logged and self.environment.wal is not None:
                    self.commit_logged(transaction, self.environment.wal)
                else:
                    self.commit_lmdb(transaction)
            finally:
                self.over = True

    def commit_logged(self, transaction: lmdb.Transaction[bytes], wal: Wal) -> None:
        """Write the rows to the log, which makes them count, and commit behind it."""
        try:
            placed = wal.place(b"".join(self.logged or ()))
            if code := write_flushed(*placed):
                wal.refuse(code)
        except BaseException as error:
            transaction.abort()
            self.environment.fenced = not isinstance(error, StoreFull)
            raise
        refused = True
        try:
            self.commit_lmdb(transaction)
            refused = False
        finally:
            # Where the outcome is unknown, the log says that it was committed.
            wal.written(len(placed.frame), committed=not refused or self.environment.fenced)

    def commit_lmdb(self, transaction: lmdb.Transaction[bytes]) -> None:
        """Let LMDB commit."""
        try:
            transaction.commit()
        except lmdb.Error as error:
            raise self.commit_error(error) from error

    def commit_error(self, error: lmdb.Error) -> CrdtStoreError:
        """Say what a failed commit means: LMDB goes on unless the last step, the meta page, has failed."""
        problem = store_error("meta", b"", error)
        try:
            self.environment.lmdb.begin(write=True).abort()
        except lmdb.Error:
            known = False
        else:
            if error.code == errno.EIO and self.environment.is_full():
                return StoreFull(f"The disk of the store is full: {error}.")
            known = error.code != errno.EIO
        if known:
            return problem
        self.environment.fenced = True
        return StoreFenced(f"A commit failed and its outcome is unknown: {error}. Reopen the store.")

    def abort(self) -> None:
        """Forget every write of this batch; does nothing once it is over."""
        self.close()

    def end(self) -> None:
        """Abort the transaction; again does nothing."""
        super().end()
        self.over = True

    def close(self) -> None:
        """Abort, unless the batch is over."""
        if self.transaction is not None:
            self.check_thread()
            self.end()

    def check_thread(self) -> None:
        """Refuse another thread: it could not unlock the writer's mutex, and every later batch would hang."""
        if self.thread != threading.get_ident() and self.environment.pid == os.getpid():
            raise StoreError("A batch is ended by the thread that opened it.")
