"""Opening a directory as a store: creation, the checks before anything is mapped, the choice of engine.

Rules:

- A store is created whole or not at all: tables and format record are built in `<directory>.new` in one
  commit, brought to disk, and renamed; what an earlier crash left there is removed. An empty directory is
  replaced.
- The file is checked before LMDB maps it: a file shorter than its meta pages say would end the process with a
  signal at the first read of what is missing.
- What is shown is on disk first (`settle.py`).
- LMDB runs with its defaults, which are the safe ones: no writable map, no asynchronous flushing.
  `durable=False` leaves out the flushing of commits, for benches and tests.
- The engine is the compiled core's if there is one, else `adapter.py`; both read the same files.

Who may open is in `lock.py`. What the tables hold is not here: see `tables.py`; nor what
the format says: see `stored_format.py`.
"""

from __future__ import annotations

import errno
import os
import shutil
import struct
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import lmdb
import msgpack

from crdtstore import core, limits
from crdtstore._version import __version__
from crdtstore.errors import CallerError, Corrupted, CrdtStoreError, NotAStore, StoreError, StoreFull
from crdtstore.storage import adapter
from crdtstore.storage.adapter_error import store_error
from crdtstore.storage.attachment_files import FOLDER_NAME
from crdtstore.storage.backup_record import check_restored
from crdtstore.storage.lock import LOCK_NAME, hold_store
from crdtstore.storage.settle import settle, sync_path
from crdtstore.storage.stored_format import FORMAT_KEY, FORMAT_MADE, check_format
from crdtstore.storage.tables import TABLE_NAMES, TABLES_ADDED, Table, seal
from crdtstore.storage.wal import create_wal
from crdtstore.storage.wal_recovery import check_recovered, recover, settle_missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crdtstore.storage.interface import Storage
    from crdtstore.storage.lock import StoreLock
    from crdtstore.storage.wal import Logged

Result = TypeVar("Result")

DATA_NAME: Final = "data.mdb"
OWN_NAMES: Final = frozenset({DATA_NAME, "lock.mdb", LOCK_NAME, FOLDER_NAME})
"""The files of a store: an unfinished `<directory>.new` holds nothing else, or it is not ours to remove."""


class Meta(NamedTuple):
    """One of the two meta pages of LMDB's data file: the one with the greater `txn` counts."""

    page_bytes: int
    page_last: int
    txn: int


def open_storage(
    path: str | os.PathLike[str],
    *,
    create: bool,
    read_only: bool,
    durable: bool = True,
    logged: bool = False,
    map_bytes: int = limits.MAP_BYTES_DEFAULT,
    readers_max: int = limits.READERS_MAX,
) -> Storage:
    """Open the store in a directory, or create it.

    Args:
        path: The directory; its parent must exist.
        create: Whether to create a store that does not exist. One that is read-only is never created.
        read_only: Whether to refuse batches. Any number of processes may read beside the one that writes.
        durable: Whether a commit returns only once it is on disk.
        logged: Whether it is a write-ahead log that brings it there: see `wal`.
        map_bytes: Address space of the map: what the store can grow to.
        readers_max: Reader slots, at least; a store that was opened with more keeps them.

    Raises:
        NotAStore: the directory holds no store, or something else.
        NotRestored: it holds a backup, and is opened for writing.
        NotRecovered: it was not closed, and is opened to be read only.
        StoreLocked: another process writes to it, or this process has it open.
        Corrupted: the data file is damaged in a way that forbids to map it.
        FormatTooNew: a newer version wrote it.
        StoreFull: the disk is full.
        StoreError: the operating system refuses something.
    """
    directory = Path(path).resolve()
    with system_errors(directory):
        lock = hold_or_create(directory, map_bytes, create=create and not read_only, writer=not read_only)
        storage = open_engine(
            directory,
            lock,
            map_bytes=map_bytes,
            readers_max=readers_max,
            read_only=read_only,
            durable=durable,
            logged=logged and not read_only,
        )
        try:
            if not read_only:
                check_restored(storage, directory)
        except BaseException:
            storage.close()
            raise
    return storage


def open_engine(
    directory: Path,
    lock: StoreLock,
    *,
    map_bytes: int = limits.MAP_BYTES_DEFAULT,
    readers_max: int = limits.READERS_MAX,
    read_only: bool = False,
    durable: bool = True,
    logged: bool = False,
    copied: bool = False,
) -> Storage:
    """Open what lies in a directory that is held already: recover it, check the file, map it, check the format.

    Args:
        directory: The directory.
        lock: What holds it; released when the storage is closed, or cannot be opened.
        map_bytes: As in `open_storage`, and the others too.
        readers_max: Reader slots.
        read_only: Whether to refuse batches.
        durable: Whether a commit returns only once it is on disk.
        logged: Whether it is a write-ahead log that brings it there.
        copied: Whether the data file is a copy, made while its original had a log.
    """
    map_file = partial(map_engine, directory, map_bytes=map_bytes, readers_max=readers_max, read_only=read_only)
    try:
        if read_only:
            check_recovered(directory)
            check_file(directory / DATA_NAME)
        else:
            recover(directory, lock, partial(map_file, Unheld(), durable=False))
            settle(directory / DATA_NAME, check_file(directory / DATA_NAME))
        wal = create_wal(directory, lock) if logged else None
        storage = map_file(lock, durable=durable and not logged)
    except BaseException:
        lock.release()
        raise
    try:
        check_format(storage, directory)
        if not read_only:
            settle_missing(storage, directory, copied=copied)
        if wal is not None:
            wal.start(storage)
    except BaseException:
        # A log that was made stays: it says what is on disk.
        storage.close()
        raise
    return storage


class Unheld:
    """Stands for the lock where the caller holds it on."""

    def release(self) -> None:
        """Leave it to the caller."""


def map_engine(
    directory: Path,
    lock: StoreLock | Unheld,
    *,
    map_bytes: int,
    readers_max: int,
    read_only: bool,
    durable: bool,
) -> Logged:
    """Map the data file by the engine that there is."""
    engine: Any = core.lmdb_environment or adapter.Environment
    storage: Logged = engine(
        str(directory),
        lock,
        TABLE_NAMES,
        added=TABLES_ADDED,
        map_bytes=map_bytes,
        readers_max=readers_max,
        read_only=read_only,
        durable=durable,
    )
    return storage


@contextmanager
def system_errors(directory: Path, done: str = "opened") -> Iterator[None]:
    """Turn what the operating system refuses into this package's errors."""
    try:
        yield
    except OSError as error:
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"The store {directory} cannot be {done}: {error}.", errno=error.errno) from error


# --- creation ---


def hold_or_create(directory: Path, map_bytes: int, *, create: bool, writer: bool) -> StoreLock:
    """Hold the store in a directory, which is created first if it is not there and `create` allows it."""
    if not holds_store(directory):
        if not create:
            raise NotAStore(f"The directory {directory} holds no store.")
        created = create_store(directory, map_bytes)
        if created is not None:
            return created
    return hold_store(str(directory), writer=writer)


def holds_store(directory: Path) -> bool:
    """Say whether a directory has a data file; False if it is empty or absent.

    Raises:
        NotAStore: it has other content, or is no directory.
    """
    try:
        names = {entry.name for entry in directory.iterdir()}
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        raise NotAStore(f"{directory} is a file, and a store is a directory.") from None
    if names and DATA_NAME not in names:
        raise NotAStore(f"The directory {directory} holds no store but other files, such as {min(names)}.")
    return bool(names)


def create_store(directory: Path, map_bytes: int) -> StoreLock | None:
    """Create a store and return it held for writing; None if another process was faster.

    The writer's lock of the new directory keeps others from building there too. It goes along when the
    directory is renamed, so that the store is never without its writer.
    """
    new = directory.with_name(f"{directory.name}.new")
    with suppress(FileExistsError):
        new.mkdir(0o700)
    lock = hold_store(str(new), writer=True)
    try:
        if not still_there(new, lock) or holds_store(directory):
            discard(new, lock)
            return None
        remove_leftovers(new)
        build(new, map_bytes)
        sync_path(new / DATA_NAME)
        sync_path(new)
        put_in_place(new, directory)
    except BaseException:
        lock.release()
        raise
    return lock


def build_from(directory: Path, fill: Callable[[Path], None], settle: Callable[[Storage], Result]) -> Result:
    """Build a store around a data file that was made elsewhere; it is whole or not there, as one that is created.

    Args:
        directory: Where it will be; absent, or empty.
        fill: Writes the data file.
        settle: Checks the store, and writes to it before anybody else can; returns what is returned.

    Raises:
        CallerError: the directory holds a store already.
        StoreLocked: another process builds one there.
        NotAStore: it holds something else.
    """
    new = directory.with_name(f"{directory.name}.new")
    with suppress(FileExistsError):
        new.mkdir(0o700)
    lock = hold_store(str(new), writer=True)
    try:
        check_free(directory, new, lock)
        remove_leftovers(new)
        fill(new / DATA_NAME)
        sync_path(new / DATA_NAME)
        with open_engine(new, lock, copied=True) as storage:
            settled = settle(storage)
            sync_path(new)
            put_in_place(new, directory)
    except BaseException:
        discard(new, lock)
        raise
    return settled


def check_free(directory: Path, new: Path, lock: StoreLock) -> None:
    """Refuse to build where a store is, or was put just now."""
    if not still_there(new, lock) or holds_store(directory):
        message = f"The directory {directory} holds a store already; nothing was changed."
        raise CallerError(message, store=str(directory))


def discard(new: Path, lock: StoreLock) -> None:
    """Remove what was built in vain: on a full disk its room is needed. What cannot be removed, the next one does."""
    with suppress(CrdtStoreError, OSError):
        lock = lock if lock.descriptors else hold_store(str(new), writer=True)
        if still_there(new, lock):
            remove_leftovers(new)
            (new / LOCK_NAME).unlink()
            new.rmdir()
    lock.release()


def still_there(new: Path, lock: StoreLock) -> bool:
    """Say whether a name is still that of the directory that was locked: its builder may have renamed it."""
    try:
        status = new.stat()
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == lock.identity


def remove_leftovers(new: Path) -> None:
    """Empty a directory in which a store was being built; the lock stays.

    Raises:
        NotAStore: it holds something that no store has.
    """
    names = {entry.name for entry in new.iterdir()}
    if not names <= OWN_NAMES:
        other = min(names - OWN_NAMES)
        raise NotAStore(f"{new} is needed to build the store, and holds other files, such as {other}.")
    for name in names - {LOCK_NAME, FOLDER_NAME}:
        (new / name).unlink()
    if FOLDER_NAME in names:
        shutil.rmtree(new / FOLDER_NAME)


def build(new: Path, map_bytes: int) -> None:
    """Make all tables and the format record, in one commit."""
    try:
        with (
            lmdb.open(str(new), map_size=map_bytes, max_dbs=len(Table), mode=0o600, lib_version=0) as environment,
            environment.begin(write=True) as transaction,
        ):
            handles = [environment.open_db(name.encode("ascii"), transaction) for name in TABLE_NAMES]
            page_bytes = environment.stat()["psize"]
            record = msgpack.packb({"format": FORMAT_MADE, "page_bytes": page_bytes, "created_by": __version__})
            transaction.put(FORMAT_KEY, seal(Table.META, FORMAT_KEY, record), db=handles[Table.META])
    except lmdb.Error as error:
        raise store_error("meta", FORMAT_KEY, error) from error
    # The table of readers is made anew, in the size that is asked for, when the store is opened.
    (new / "lock.mdb").unlink()


def put_in_place(new: Path, directory: Path) -> None:
    """Give the finished store its name, and make sure that the name is on disk."""
    try:
        new.rename(directory)
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.EXDEV):
            raise StoreError(
                f"The directory {directory} is a mount point and cannot be replaced: name one inside it."
            ) from error
        raise
    sync_path(directory.parent)


# --- what is checked before a store is used ---

META_PAGE: Final = struct.Struct("=10x H 4x II 16x I 44x 48x QQ")
"""Flags, magic, version, page size (that of the first of two tables), last page, txn: LMDB 0.9 on 64 bits."""

META_FLAG: Final = 0x08
META_MAGIC: Final = 0xBEEFC0DE
META_VERSION: Final = 1
PAGE_SIZES: Final = frozenset(1 << bits for bits in range(9, 17))


def check_file(path: Path) -> int:
    """Refuse a data file that LMDB must not map; returns the size of its pages.

    The file is opened and closed here before LMDB opens it in this process: closing any descriptor of a file
    drops all `fcntl` locks that the process has on it, and LMDB relies on such locks. (It has them on another
    file today; nothing promises that.)

    Raises:
        Corrupted: a meta page is not one, or the file is shorter than the newest of them says.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        first = read_meta(descriptor, 0)
        second = read_meta(descriptor, first.page_bytes)
        # Only now: a writer may be at work beside us, and it lengthens the file before it says so.
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    newest = max(first, second, key=lambda meta: meta.txn)
    needed = (newest.page_last + 1) * newest.page_bytes
    if size < needed:
        raise Corrupted("meta", b"", f"the data file has {size} bytes, and its meta page says {needed}")
    return first.page_bytes


def read_meta(descriptor: int, offset: int) -> Meta:
    """Read the meta page at an offset of the data file."""
    data = os.pread(descriptor, META_PAGE.size, offset)
    if len(data) < META_PAGE.size:
        raise Corrupted("meta", b"", f"the data file ends in its meta page at byte {offset}")
    flags, magic, version, page_bytes, page_last, txn = META_PAGE.unpack(data)
    if not flags & META_FLAG or magic != META_MAGIC:
        raise Corrupted("meta", b"", f"there is no meta page at byte {offset} of the data file")
    if version != META_VERSION:
        raise Corrupted("meta", b"", f"the data file has LMDB format {version}, not {META_VERSION}")
    if page_bytes not in PAGE_SIZES:
        raise Corrupted("meta", b"", f"the meta page at byte {offset} gives pages of {page_bytes} bytes")
    return Meta(page_bytes, page_last, txn)
