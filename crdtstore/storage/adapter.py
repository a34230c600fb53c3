"""The storage over the plain Python API of LMDB: what runs where the compiled core or its symbols are absent.

Rules: the compiled twin is `ext/lmdb.pxi`; both read and write the same files, and one environment is opened
through one of them only. LMDB's errors leave as this package's. Two things the twin does and this cannot: to go on
where LMDB would end the process, on a damaged file, and to open a store that the parent of a forked process has open.

Not here: read views (`adapter_snapshot`), the write transaction (`adapter_batch`), opening a directory (`environment`).
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from weakref import WeakSet, ref

import lmdb

from crdtstore import limits
from crdtstore.errors import (
    ForkedProcess,
    StoreClosed,
    StoreError,
    StoreFenced,
    StoreReadOnly,
)
from crdtstore.storage.adapter_batch import Batch
from crdtstore.storage.adapter_error import opening_error, store_error
from crdtstore.storage.adapter_snapshot import Snapshot
from crdtstore.storage.adapter_tables import open_tables
from crdtstore.storage.adapter_use import Use

if TYPE_CHECKING:
    from crdtstore.storage.lock import StoreLock
    from crdtstore.storage.wal import Wal

META_PAGES: Final = 2


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
