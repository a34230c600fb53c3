"""Opening a store that was left with a write-ahead log: back to the checkpoint, then its frames, then no log.

Rules:

- The log is there exactly while a store runs with it, or after it ended without being closed. What LMDB's file shows
  then is not believed: the checkpoint's meta page is put back, whose pages were pinned, and every frame behind it is
  applied in order. Rows are final values, so that frames may be applied again.
- What the page cache has of the log is brought to disk first, as `settle` does it for the data file: headers and the
  last frame, which may not have got there.
- Where other processes have the file mapped, it is the one that they see; no power was lost since, and it is not taken
  back under them: it becomes the checkpoint, and the frames are applied to it. LMDB's own lock tells that they have,
  not the one on the directory, which who is refused holds for a moment too.
- At any moment of this the power may go: it is done again, from a checkpoint that is pinned all the time.
- Readers cannot recover. They wait for whoever writes.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from crdtstore.errors import Corrupted, NotRecovered, StoreLocked
from crdtstore.limits import WAL_ALONE_SECONDS_MAX, WAL_REPLAY_BYTES
from crdtstore.storage import wal_file
from crdtstore.storage.settle import sync_path
from crdtstore.storage.tables import Table
from crdtstore.storage.wal import KEY, NEW_NAME, Wal, forget_log, newest_meta
from crdtstore.storage.wal_file import (
    CANCEL,
    Frame,
    Header,
    decode_rows,
    header_at,
    read_frames,
    read_header,
    write_all,
)
from crdtstore.storage.wal_zeros import Zeros

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crdtstore.storage.interface import Storage
    from crdtstore.storage.lock import StoreLock

HEADER_BYTES: Final = wal_file.HEADER.size + wal_file.CHECKSUM.size


def recover(directory: Path, lock: StoreLock, open_raw: Callable[[], Storage]) -> None:
    """Bring a store to what was acknowledged, and remove its log; does nothing where there is none.

    Args:
        directory: The store's.
        lock: What holds it for writing.
        open_raw: Opens the data file without flushing, its lock being held by the caller.

    Raises:
        Corrupted: The log is damaged.
        StoreFull: The disk has no room for what the log holds.
    """
    if (new := directory / NEW_NAME).exists():
        new.unlink()
    path = directory / wal_file.NAME
    if not path.exists():
        return
    with opened(path) as log, opened(directory / "data.mdb") as data:
        # The log is not locked here: who comes to read now is refused, and maps nothing.
        header = read_header(log)
        if not header.closed:
            recover_from(
                Wal(directory, log, data, header, Zeros(log, header, 0)), read_frames(log, header), lock, open_raw
            )
    path.unlink()
    sync_path(directory)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a file to read and write it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def recover_from(wal: Wal, frames: list[Frame], lock: StoreLock, open_raw: Callable[[], Storage]) -> None:
    """Go back to the checkpoint, apply the frames, and close the log."""
    settle_log(wal.descriptor, frames)
    try:
        if is_alone(wal.directory, lock):
            restore_meta(wal.data, wal.header)
        with open_raw() as storage:
            apply_frames(wal, frames, storage)
    finally:
        lock.share(str(wal.directory))


def is_alone(directory: Path, lock: StoreLock) -> bool:
    """Keep everybody out; False if a process has the data file mapped, which it had before this one came.

    Raises:
        StoreLocked: Somebody keeps the directory locked, and has not mapped the file.
    """
    end = monotonic() + WAL_ALONE_SECONDS_MAX
    while not lock.take_alone(str(directory)):
        if is_mapped(directory):
            return False
        # Who is refused holds the directory for a moment.
        if monotonic() > end:
            raise StoreLocked(f"Another process keeps the store {directory} from being recovered.", pid=None)
        sleep(WAL_ALONE_SECONDS_MAX / 1_000)
    return not is_mapped(directory)


def is_mapped(directory: Path) -> bool:
    """Whether a process has the data file open: LMDB keeps a lock on its table of readers. This process has not."""
    with suppress(FileNotFoundError), opened(directory / "lock.mdb") as readers:
        try:
            fcntl.lockf(readers, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except (BlockingIOError, PermissionError):
            return True
    return False


def settle_log(log: int, frames: list[Frame]) -> None:
    """Bring to disk what may be in the page cache only."""
    places = [(header_at(number), HEADER_BYTES) for number in (0, 1)] + [frame.place for frame in frames[-1:]]
    for at, size in places:
        write_all(log, os.pread(log, size, at), at)
    os.fdatasync(log)


def restore_meta(data: int, header: Header) -> None:
    """Put the checkpoint's meta into both pages."""
    page_bytes = int.from_bytes(header.meta[24:28], "little")
    for at in (0, page_bytes):
        write_all(data, header.meta, at + wal_file.META_AT)
    os.fsync(data)


def apply_frames(wal: Wal, frames: list[Frame], storage: Storage) -> None:
    """Apply frames to the checkpoint, which stays pinned, and bring the outcome to disk."""
    header = wal.header
    with storage.snapshot():
        meta = newest_meta(wal.data)
        if meta != header.meta:
            storage.sync()
            header = header._replace(number=header.number + 1, meta=meta)
            wal.put_header(header)
        check_identity(storage, header)
        for some in portions(frames):
            with storage.batch() as batch:
                for frame in some:
                    for table, key, value in decode_rows(frame.content):
                        if value is None:
                            batch.delete(table, key)
                        else:
                            batch.put(table, key, value)
                batch.commit()
        with storage.batch() as batch:
            forget_log(batch)
            batch.commit()
        storage.sync()
        wal.put_header(header._replace(number=header.number + 1, closed=True))


def check_identity(storage: Storage, header: Header) -> None:
    """Refuse the log of another store.

    Raises:
        Corrupted: It is one.
    """
    with storage.snapshot() as snapshot:
        identity = snapshot.get(Table.META, KEY)
    if identity not in (None, header.identity):
        raise wal_file.damaged("it is not the one that the store was written with")


def portions(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    """Frames that were not cancelled, some at a time."""
    frames = list(frames)
    cancelled = {int.from_bytes(frame.content, "little") for frame in frames if frame.kind == CANCEL}
    some: list[Frame] = []
    size = 0
    for frame in frames:
        if frame.kind == CANCEL or frame.sequence in cancelled:
            continue
        some.append(frame)
        size += frame.place.size
        if size >= WAL_REPLAY_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def check_recovered(directory: Path) -> None:
    """Refuse to read a store that has to be recovered first.

    Raises:
        NotRecovered: Nobody has it open for writing, and it was not closed.
    """
    with suppress(FileNotFoundError):
        log = os.open(directory / wal_file.NAME, os.O_RDONLY)
        try:
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if read_header(log).closed:
                return
        except BlockingIOError:
            return
        finally:
            os.close(log)
        raise NotRecovered(
            f"The store {directory} was not closed, and what was acknowledged stands in its write-ahead log: "
            "open it once for writing, which applies it."
        )


def settle_missing(storage: Storage, directory: Path, *, copied: bool) -> None:
    """Refuse a store whose log was taken away; a copy of one that had a log, which holds all, forgets it.

    Raises:
        Corrupted: The log is not there.
    """
    with storage.snapshot() as snapshot:
        if snapshot.get(Table.META, KEY) is None:
            return
    if not copied:
        why = f"the store {directory} was not closed, and its write-ahead log {wal_file.NAME} is not there"
        raise Corrupted("meta", KEY, why)
    with storage.batch() as batch:
        forget_log(batch)
        batch.commit()
