"""The write-ahead log of an open store: a commit counts once its rows are in the log and on disk.

Rules:

- A batch's rows are written as one frame and flushed; then LMDB commits without flushing; then the batch is over. So
  what anybody can see is on disk. A commit that LMDB refuses is cancelled by a frame of its own.
- LMDB without flushing may leave anything on disk but what one commit reaches: a *checkpoint*. A read transaction that
  stays open *pins* it, so that none of its pages is used again; its meta page stands in the log's header.
- The next checkpoint is made while writers go on: a new pin, and from here on frames go to the other segment; all is
  flushed; the header is written and flushed; only then the old pin ends and the old segment is free. A thread does it,
  when enough was written or enough time has passed. Writers wait only where both segments are full.
- The same thread writes zeros ahead of the frames. It and who commits wake each other by bells, and meet at one lock,
  `writing`.
- A flush that fails leaves the outcome unknown: no write is taken any more. A disk that is full before anything was
  flushed refuses that one commit.
- Closing makes a last checkpoint and removes the log: what is left is a store as any other. A process that ends closes
  what it has not closed.

Not here: the file (`wal_file`), the zeros (`wal_zeros`), opening after a crash (`wal_recovery`).
"""

from __future__ import annotations

import atexit
import errno
import fcntl
import logging
import os
import secrets
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from crdtstore.bell import Bell
from crdtstore.errors import StoreError, StoreFenced, StoreFull
from crdtstore.limits import WAL_COMMITS_MAX, WAL_SECONDS_MAX, WAL_SEGMENT_BYTES, WAL_ZEROS_BYTES
from crdtstore.storage import wal_file
from crdtstore.storage.interface import Storage
from crdtstore.storage.settle import sync_path
from crdtstore.storage.stored_format import mark_logged, mark_unlogged
from crdtstore.storage.tables import Table
from crdtstore.storage.wal_file import (
    Header,
    encode_frame,
    encode_header,
    header_at,
    segment_at,
    write_all,
    write_flushed,
)
from crdtstore.storage.wal_zeros import Zeros, reserve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.storage.interface import Batch, Snapshot
    from crdtstore.storage.lock import StoreLock

logger = logging.getLogger(__name__)

KEY: Final = b"wal"
"""A row of META while a store runs with a log: its identity. Who finds it, and no log, misses commits."""

NEW_NAME: Final = "wal.new"
DUE_PART: Final = 2
"""A checkpoint is made once a segment is filled to this part: half."""


class Logged(Storage, Protocol):
    """A storage on disk, whose batches are written to a log if there is one."""

    wal: Wal | None


class Placed(NamedTuple):
    """A frame, and where it is to be written."""

    descriptor: int
    frame: bytes
    at: int


class Wal:
    """The write-ahead log of one open store."""

    def __init__(self, directory: Path, descriptor: int, data: int, header: Header, zeros: Zeros) -> None:
        """Take the descriptors of the log and of the data file, the header that counts, and how far zeros go."""
        self.pid = os.getpid()
        self.directory = directory
        self.descriptor = descriptor
        self.data = data
        self.header = header
        self.zeros = zeros
        self.sequence = header.sequence
        self.go_to(header.segment)
        self.storage: Logged | None = None
        self.pin: Snapshot | None = None
        self.failed: BaseException | None = None
        self.thread: Thread | None = None
        self.ending = self.is_called = self.finished = False
        self.writing = Lock()
        """Had from a frame's write to the end of its commit: a checkpoint begins between two of them."""

        self.due = Bell()
        """Rung for the thread that makes checkpoints."""

        self.freed = Bell()
        """Rung for who waits for room."""

        self.checkpointing = Lock()

    def go_to(self, segment: int) -> None:
        """Have frames go to a segment that is free."""
        self.segment, self.commits = segment, 0
        self.at = segment_at(self.header, segment)
        """Where the next frame goes."""

        self.due_at = self.at + self.header.segment_bytes // DUE_PART
        """From where on a checkpoint is due."""

        self.attend_at = min(self.due_at, self.zeros.few_at(segment))
        """From where on that is, or there are few zeros ahead."""

    # --- what a batch does ---

    def place(self, rows: bytes | memoryview) -> Placed | None:
        """Make a frame of the rows of a batch, whose thread has `writing`; None where there is no room.

        Raises:
            StoreFenced: The log has failed.
        """
        if self.failed is not None:
            raise StoreFenced(f"The write-ahead log failed ({self.failed}): reopen the store.")
        return self.frame(wal_file.ROWS, rows) if self.has_room(wal_file.padded(len(rows))) else None

    def has_room(self, size: int) -> bool:
        """Whether a frame fits, and what cancels it; one greater than a segment has the second for itself."""
        start, room = segment_at(self.header, self.segment), self.header.segment_bytes - wal_file.CANCEL_BYTES
        if size <= room:
            return self.at + size <= start + self.zeros.filled[self.segment] - wal_file.CANCEL_BYTES
        if self.segment == 0 or self.at > start:
            return False
        self.zeros.forgo(self.segment)
        return True

    def wait_for_room(self) -> None:
        """Have room made, and wait for it; the caller does not have `writing`."""
        if self.thread is None:
            self.attend()
        else:
            self.is_called = True
            self.due.ring()
            self.freed.wait()

    @contextmanager
    def turn(self, rows: bytes | memoryview) -> Iterator[Placed]:
        """Place a frame, and have `writing` meanwhile."""
        while True:
            with self.writing:
                placed = self.place(rows)
                if placed is not None:
                    yield placed
                    return
            self.wait_for_room()

    def append(self, placed: Placed) -> None:
        """Write a frame and flush it.

        Raises:
            StoreFull: No room; nothing is stored.
            StoreFenced: The outcome is unknown.
        """
        if code := write_flushed(*placed):
            raise self.error_of(code)
        self.written(len(placed.frame))

    def written(self, frame_bytes: int) -> None:
        """Go on behind a frame that is on disk, and call who makes checkpoints. Compiled: `ext/lmdb_wal.pxi`."""
        self.sequence += 1
        self.at += frame_bytes
        self.commits += 1
        calls = self.at >= self.attend_at or self.commits >= WAL_COMMITS_MAX
        if (calls and not self.is_called) or self.sequence == self.header.sequence + 1:
            self.is_called = self.is_called or calls
            self.due.ring()

    def cancel(self) -> None:
        """Take the last frame back: LMDB did not commit what it says.

        Raises:
            StoreFenced: The log cannot say so: the outcome is unknown.
        """
        try:
            self.append(self.frame(wal_file.CANCEL, self.sequence.to_bytes(8, "little")))
        except BaseException as error:
            self.fence(error)
            raise StoreFenced(f"A commit failed and cannot be taken back: {error} Reopen the store.") from error

    def frame(self, kind: int, content: bytes | memoryview) -> Placed:
        """Make the next frame."""
        data = encode_frame(self.header.identity, self.sequence + 1, kind, content)
        return Placed(self.descriptor, data, self.at)

    def error_of(self, code: int) -> StoreError:
        """What it means that a frame was not written and flushed."""
        error = OSError(abs(code), os.strerror(abs(code)))
        full = code in (errno.ENOSPC, errno.EDQUOT)
        failure = StoreFull(f"The disk of the store is full: {error}.") if full else self.fence(error)
        failure.__cause__ = error
        return failure

    def fence(self, error: BaseException) -> StoreFenced:
        """Take no write any more."""
        self.failed = error
        self.due.ring()
        self.freed.ring()
        return StoreFenced(f"The write-ahead log failed and the outcome is unknown: {error}. Reopen the store.")

    # --- checkpoints ---

    def start(self, storage: Logged, *, helped: bool = True) -> None:
        """Pin the checkpoint that the header names; the storage has not been written to since.

        Args:
            storage: Opened, and its batches write here from now on.
            helped: Whether a thread makes checkpoints. Without it they are made where room is needed.
        """
        self.storage, self.pin = storage, storage.snapshot()
        if newest_meta(self.data) != self.header.meta:
            # Tables were made at the opening.
            self.checkpoint(switching=True)
        storage.wal = self
        with storage.batch() as batch:
            batch.put(Table.META, KEY, self.header.identity)
            mark_logged(batch)
            batch.commit()
        # From here on the file may lack what was acknowledged: on disk it says so before.
        self.checkpoint(switching=True)
        self.fill(self.header.segment_bytes // DUE_PART + self.zeros.step_bytes)
        os.fdatasync(self.descriptor)
        atexit.register(self.close_at_exit)
        if helped:
            self.thread = Thread(target=self.make_checkpoints, name="crdtstore-checkpoint", daemon=True)
            self.thread.start()

    def make_checkpoints(self) -> None:
        """Attend to the log when that is called for, or time has passed, until it is closed."""
        while not self.is_over():
            if not self.is_called and self.sequence == self.header.sequence:
                self.due.wait()
                continue
            end = monotonic() + WAL_SECONDS_MAX
            while not (self.is_called or self.is_over()) and self.due.wait(end - monotonic()):
                pass
            if not self.is_over():
                try:
                    self.attend()
                except BaseException:
                    logger.exception("A checkpoint failed; the store takes no write until reopened.")

    def attend(self) -> None:
        """Write zeros ahead if it is for them that this was called, else make a checkpoint."""
        called, self.is_called = self.is_called, False
        if not called or self.is_due():
            self.checkpoint(switching=called)
        else:
            self.fill(self.zeros.filled[self.segment] + self.zeros.step_bytes)
        self.freed.ring()

    def fill(self, size: int) -> None:
        """Write zeros ahead of the next frame, up to a size of its segment."""
        self.zeros.fill(self.segment, size)
        self.attend_at = min(self.due_at, self.zeros.few_at(self.segment))

    def is_due(self) -> bool:
        """Whether a checkpoint is, also because somebody needs room and there is none to be had by zeros."""
        return self.at >= self.due_at or self.commits >= WAL_COMMITS_MAX or self.zeros.are_whole(self.segment)

    def is_over(self) -> bool:
        """Whether no checkpoint is made by and by any more."""
        return self.ending or self.failed is not None

    def checkpoint(self, *, switching: bool = False) -> None:
        """Make the newest commit the checkpoint. `switching`: even where nothing was written since the last one.

        Raises:
            StoreError: It failed, and the store takes no write any more.
        """
        with self.checkpointing:
            try:
                self.make_checkpoint(switching=switching)
            except BaseException as error:
                fenced = self.fence(error)
                if isinstance(error, OSError):
                    raise fenced from error
                raise

    def make_checkpoint(self, *, switching: bool) -> None:
        """Pin, flush, write the header, let go of the checkpoint before."""
        assert self.storage is not None, "The log was started."
        if not self.finished:
            self.zeros.fill(1 - self.segment, self.zeros.filled[self.segment])
        with self.writing:
            if self.sequence == self.header.sequence and not switching:
                return
            pin, meta, sequence = self.storage.snapshot(), newest_meta(self.data), self.sequence
            self.go_to(1 - self.segment)
        self.storage.sync()
        header = self.header._replace(number=self.header.number + 1, sequence=sequence, segment=self.segment, meta=meta)
        self.put_header(header)
        before, self.pin = self.pin, pin
        self.header = header
        self.freed.ring()
        if before is not None:
            before.close()

    def put_header(self, header: Header) -> None:
        """Write a header in the place of the one before the last, and flush it."""
        write_all(self.descriptor, encode_header(header), header_at(header.number))
        os.fdatasync(self.descriptor)

    # --- the end ---

    def stop(self) -> None:
        """End the thread that makes checkpoints."""
        self.ending = True
        self.due.ring()
        if self.thread is not None:
            self.thread.join()
            self.thread = None

    def close_at_exit(self) -> None:
        """Close a store that nobody closed, as far as it can be: a log that is left has to be recovered."""
        if self.storage is not None and os.getpid() == self.pid:
            with suppress(StoreError):
                self.storage.close()

    def finish(self) -> None:
        """Make the last checkpoint and remove the log; after a failure it stays, for the next opening.

        Raises:
            StoreError: The log stays.
        """
        assert self.storage is not None, "The log was started."
        self.stop()
        atexit.unregister(self.close_at_exit)
        if self.failed is not None or self.finished:
            return
        self.finished = True
        try:
            with self.storage.batch() as batch:
                forget_log(batch)
                batch.commit()
        except StoreFenced:
            # Who reopens the store finds in the log what counts.
            return
        self.checkpoint()
        try:
            self.remove()
        except OSError as error:
            kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
            raise kind(f"The write-ahead log cannot be removed: {error}; the next opening does it.") from error

    def remove(self) -> None:
        """Close the log and remove it."""
        # Were only the name removed, and the removal lost, later commits would be taken back to this checkpoint.
        self.put_header(self.header._replace(number=self.header.number + 1, closed=True))
        (self.directory / wal_file.NAME).unlink()
        sync_path(self.directory)


def create_wal(
    directory: Path,
    lock: StoreLock,
    *,
    segment_bytes: int = WAL_SEGMENT_BYTES,
    zeros_bytes: int = WAL_ZEROS_BYTES,
) -> Wal:
    """Make the log of a store that is on disk as it stands; its name is there once the file is whole.

    Args:
        directory: The store's.
        lock: What holds it, and closes the log's descriptors.
        segment_bytes: Of each of the two segments.
        zeros_bytes: Of a segment that are written before frames go there.
    """
    new = directory / NEW_NAME
    new.unlink(missing_ok=True)
    data = os.open(directory / "data.mdb", os.O_RDONLY)
    lock.descriptors.append(data)
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    lock.descriptors.append(descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    identity = secrets.token_bytes(wal_file.IDENTITY_BYTES)
    header = Header(1, 0, 0, segment_bytes, identity, newest_meta(data))
    zeros = Zeros(descriptor, header, zeros_bytes)
    try:
        size = zeros_bytes if reserve(descriptor, segment_bytes) else segment_bytes
        write_all(descriptor, bytes(wal_file.HEADERS_BYTES), 0)
        for segment in (0, 1):
            zeros.fill(segment, size)
        write_all(descriptor, encode_header(header), header_at(header.number))
        os.fsync(descriptor)
        new.rename(directory / wal_file.NAME)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_path(directory)
    return Wal(directory, descriptor, data, header, zeros)


def forget_log(batch: Batch) -> None:
    """Make of a store with a log one as any other."""
    batch.delete(Table.META, KEY)
    mark_unlogged(batch)


def newest_meta(data: int) -> bytes:
    """Read the meta of the newest commit from the data file; nobody commits meanwhile."""
    first = os.pread(data, wal_file.META_BYTES, wal_file.META_AT)
    page_bytes = int.from_bytes(first[24:28], "little")
    second = os.pread(data, wal_file.META_BYTES, page_bytes + wal_file.META_AT)
    return max(first, second, key=txn_of)


def txn_of(meta: bytes) -> int:
    """The number of the commit that a meta page belongs to."""
    return int.from_bytes(meta[-8:], "little")
