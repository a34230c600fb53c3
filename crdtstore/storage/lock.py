"""Who holds a store: one process writes, and no process opens one store twice.

Rules:

- The writer holds an exclusive `flock` on `writer.lock` in the store's directory for as long as the store is
  open. The kernel frees it when the process dies, so there is no stale lock; the file itself stays. It names
  the holder's pid and since when it holds, for people and for `StoreLocked`.
- LMDB must not be opened twice in one process: its own locks belong to the process, and closing one of the
  two would drop the other's. So this process remembers the directories that it has open, read-only ones too,
  by device and inode: no symbolic link, bind mount or renaming gets around it. A descriptor kept on the
  directory makes sure that its inode is not given to another one meanwhile.
- Whoever has a store open, readers too, shares a `flock` on its directory; compacting takes it alone, since it
  puts another data file in the place of the one that they have mapped. A file system that cannot lock
  directories has stores all the same, and cannot compact them.
- A forked child would keep the lock alive with its copy of the descriptor, so it closes its copies at once.
  It has nothing open then, and may open a store itself.

Readers of other processes need no other lock: LMDB gives each a slot.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Final
from weakref import ref

from crdtstore.errors import StoreLocked

LOCK_NAME: Final = "writer.lock"

open_stores: dict[tuple[int, int], ref[StoreLock]] = {}
"""What this process has open, by device and inode of the directory."""

mutex = threading.RLock()
"""Guards `open_stores`. Reentrant, because a lock may be dropped and so released anywhere, here too."""


class StoreLock:
    """This process's hold on one store: ends when it is released or dropped."""

    def __init__(self, path: str, *, alone: bool = False) -> None:
        """Open a directory, and hold it if this process does not do so already.

        Raises:
            StoreLocked: this process has the store open, or one has it that does not share.
            OSError: there is no such directory.
        """
        self.alone = alone
        self.descriptors = [os.open(path, os.O_RDONLY | os.O_DIRECTORY)]
        status = os.fstat(self.descriptors[0])
        self.identity = (status.st_dev, status.st_ino)
        with mutex:
            other = open_stores.get(self.identity)
            if other is not None and other() is not None:
                self.close_descriptors()
                raise StoreLocked(
                    f"This process has the store {path} open already: it can be open once in a process.",
                    pid=os.getpid(),
                )
            try:
                lock_directory(self.descriptors[0], path, alone=alone)
            except BaseException:
                self.close_descriptors()
                raise
            open_stores[self.identity] = ref(self)

    def lock_for_writing(self, path: str) -> None:
        """Take `writer.lock`, and write into it who did.

        Raises:
            StoreLocked: another process has it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        file = os.open(LOCK_NAME, flags, mode=0o600, dir_fd=self.descriptors[0])
        self.descriptors.append(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = holder(file)
            message = f"Process {pid or 'unknown'} has the store {path} open for writing."
            raise StoreLocked(message, pid=pid) from None
        # What the file says helps people only: a full disk must not keep a store shut.
        with suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, f"{os.getpid()} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode("ascii"), 0)

    def take_alone(self, path: str) -> bool:
        """Keep every other process out until `share`; False where one has the store open to read it.

        A file system that cannot lock directories does not tell: then nobody is taken to read it.
        """
        try:
            fcntl.flock(self.descriptors[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # What was held is gone.
            self.share(path)
            return False
        except OSError:
            return True
        return True

    def share(self, path: str) -> None:
        """Let others read the store again, unless it was to be held alone all the time."""
        lock_directory(self.descriptors[0], path, alone=self.alone)

    def release(self) -> None:
        """Let others open the store; again does nothing. Its environment must have been closed before."""
        with mutex:
            if self.descriptors:
                open_stores.pop(self.identity, None)
                self.close_descriptors()

    def close_descriptors(self) -> None:
        """Close the directory and the file, which frees the `flock`."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def __del__(self) -> None:
        """Release what was dropped, or could not be made."""
        if getattr(self, "identity", None):
            self.release()


def lock_directory(descriptor: int, path: str, *, alone: bool = False) -> None:
    """Lock a store's directory, together with all others that have it open, or against them.

    Raises:
        StoreLocked: somebody holds it otherwise.
        OSError: it is to be locked alone, and the file system locks no directories.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        who = "Another process has the store {} open" if alone else "Another process compacts or recovers the store {}"
        raise StoreLocked(f"{who.format(path)}: this works when it is done.", pid=None) from None
    except OSError:
        if alone:
            raise


@contextmanager
def stays_in_place(path: str) -> Iterator[None]:
    """Keep a store from being compacted while another process reads it for this one, which may have it open too."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock_directory(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def hold_store(path: str, *, writer: bool, alone: bool = False) -> StoreLock:
    """Hold a store's directory for this process, and for writing if asked.

    Args:
        path: The directory; it must exist.
        writer: Whether to take the writer's lock too.
        alone: Whether nobody else may have the store open, to read it either.

    Raises:
        StoreLocked: another writer has it, or this process; `data` has the `pid` where known.
        OSError: the directory cannot be opened.
    """
    lock = StoreLock(path, alone=alone)
    if writer:
        try:
            lock.lock_for_writing(path)
        except BaseException:
            lock.release()
            raise
    return lock


def holder(file: int) -> int | None:
    """Return the pid that a lock file names; None if its holder has not written it yet."""
    first = os.pread(file, 64, 0).split(b" ")[0]
    return int(first) if first.isdigit() else None


def forget_stores() -> None:
    """Close a forked child's copies of all descriptors: they would keep the parent's lock past its death."""
    global mutex  # noqa: PLW0603 - another thread of the parent may have held it at the fork.
    mutex = threading.RLock()
    for held in list(open_stores.values()):
        lock = held()
        if lock is not None:
            lock.close_descriptors()
    open_stores.clear()


os.register_at_fork(after_in_child=forget_stores)
