"""What LMDB's errors mean to this package: who must act, and what is stored.

Rules: used where the plain Python API of LMDB is; the compiled twin is `lmdb_error` in `ext/lmdb.pxi`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import lmdb

from crdtstore.errors import Corrupted, NotAStore, Overloaded, StoreError, StoreFenced, StoreFull

if TYPE_CHECKING:
    from crdtstore.errors import CrdtStoreError


def opening_error(path: str, error: lmdb.Error) -> CrdtStoreError:
    """Return the error of this package for a directory that LMDB does not open."""
    if isinstance(error, lmdb.InvalidError | lmdb.VersionMismatchError):
        return NotAStore(f"The directory {path} holds no store of this format: {error}.")
    if isinstance(error, lmdb.NotFoundError):
        return NotAStore(f"The directory {path} holds no store: one of its tables is missing.")
    return store_error("meta", b"", error)


def store_error(table: str, key: bytes, error: lmdb.Error) -> CrdtStoreError:
    """Return the error of this package that LMDB's stands for, in an operation on a row."""
    if isinstance(error, lmdb.MapFullError):
        return StoreFull("The store's map is full: it was opened with too few map bytes for more data.")
    if error.code in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(f"The disk of the store is full: {error}.")
    if isinstance(error, lmdb.ReadersFullError):
        return Overloaded("All reader slots of the store are taken: close a snapshot first.")
    if isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError | lmdb.InvalidError):
        return Corrupted(table, key, f"LMDB cannot follow its pages ({error})")
    if isinstance(error, lmdb.PanicError):
        return StoreFenced("An earlier commit failed half way, so its outcome is unknown: reopen the store.")
    if isinstance(error, lmdb.BadTxnError):
        return StoreError("An earlier write of this batch failed: nothing of it is stored.")
    return StoreError(f"The store's engine failed: {error} (code {error.code}).", lmdb_code=error.code)
