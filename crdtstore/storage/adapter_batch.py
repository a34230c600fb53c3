"""The one write transaction of a store over the plain Python API of LMDB.

Rules: where there is a log, a commit's rows are in it and on disk before LMDB commits them. Compiled twin:
`ext/lmdb_batch.pxi`. Not here: who may open one (`adapter`), the log (`wal`).
"""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import lmdb

from crdtstore.errors import StoreError, StoreFenced, StoreFull
from crdtstore.storage.adapter_error import store_error
from crdtstore.storage.adapter_snapshot import Snapshot
from crdtstore.storage.adapter_use import Use
from crdtstore.storage.tables import check_key, seal, table_name
from crdtstore.storage.wal_file import encode_delete, encode_put

if TYPE_CHECKING:
    from crdtstore.errors import CrdtStoreError
    from crdtstore.storage.adapter import Environment
    from crdtstore.storage.wal import Wal


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
        is_logged = False
        try:
            with wal.turn(b"".join(self.logged or ())) as placed:
                wal.append(placed)
                is_logged = True
                self.commit_behind(transaction, wal)
        except BaseException as error:
            if not is_logged:
                transaction.abort()
                self.environment.fenced = not isinstance(error, StoreFull)
            raise

    def commit_behind(self, transaction: lmdb.Transaction[bytes], wal: Wal) -> None:
        """Commit what the log holds; where that fails, take it back."""
        try:
            self.commit_lmdb(transaction)
        except BaseException:
            # Where the outcome is unknown, the log says that it was committed.
            if not self.environment.fenced:
                wal.cancel()
            raise

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
