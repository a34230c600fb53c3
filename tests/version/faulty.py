"""A storage in memory whose batches fail when they are told to, and that notes what happens in which order.

Rules: a fault is raised once, at the put or at the commit that it was planned for; the storage below never sees
what came after it. `before_commit` runs when a batch is about to be committed: what a test looks at there is what
others could see before the write was on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from crdtstore.storage.interface import Batch, Snapshot
from crdtstore.storage.memory import MemoryStorage


class FaultyStorage:
    """A storage in memory with planned faults."""

    read_only = False

    def __init__(self) -> None:
        self.inner = MemoryStorage()
        self.puts_left: int | None = None
        self.put_fault: Exception | None = None
        self.commit_fault: Exception | None = None
        self.commits_first = False
        self.snapshot_fault: Exception | None = None
        self.before_commit: Callable[[], None] | None = None
        self.commits = 0

    def fail_put(self, after: int, fault: Exception) -> None:
        """Let so many puts pass and raise at the next one."""
        self.puts_left, self.put_fault = after, fault

    def fail_commit(self, fault: Exception, *, written: bool = False) -> None:
        """Raise at the next commit; `written`: after the storage has done it all the same."""
        self.commit_fault, self.commits_first = fault, written

    def snapshot(self) -> Snapshot:
        """A read view, or a failure."""
        if self.snapshot_fault is not None:
            fault, self.snapshot_fault = self.snapshot_fault, None
            raise fault
        return self.inner.snapshot()

    def batch(self) -> FaultyBatch:
        """The write transaction."""
        return FaultyBatch(self, self.inner.batch())

    def sync(self) -> None:
        """Nothing is on disk."""

    def bytes_on_disk(self) -> int:
        """Nothing is on disk."""
        return self.inner.bytes_on_disk()

    def bytes_unused(self) -> int:
        """Nothing is on disk."""
        return self.inner.bytes_unused()

    def close(self) -> None:
        """Close the storage below."""
        self.inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FaultyBatch:
    """A batch that raises what its storage planned."""

    def __init__(self, storage: FaultyStorage, inner: Batch) -> None:
        self.storage = storage
        self.inner = inner

    def get(self, table: int, key: bytes, /) -> bytes | None:
        """Read a row."""
        return self.inner.get(table, key)

    def scan(self, table: int, start: bytes = b"", end: bytes | None = None, /) -> Iterator[tuple[bytes, bytes]]:
        """Read rows."""
        return self.inner.scan(table, start, end)

    def scan_back(self, table: int, start: bytes = b"", end: bytes | None = None, /) -> Iterator[tuple[bytes, bytes]]:
        """Read rows, the last one first."""
        return self.inner.scan_back(table, start, end)

    def first(self, table: int, /) -> tuple[bytes, bytes] | None:
        """Read the first row."""
        return self.inner.first(table)

    def last(self, table: int, /) -> tuple[bytes, bytes] | None:
        """Read the last row."""
        return self.inner.last(table)

    def last_key(self, table: int) -> bytes | None:
        return self.inner.last_key(table)

    def count(self, table: int, /) -> int:
        """Count rows."""
        return self.inner.count(table)

    def put(self, table: int, key: bytes, value: bytes, /) -> None:
        """Write a row, or fail."""
        storage = self.storage
        if storage.puts_left is not None and storage.put_fault is not None:
            if storage.puts_left == 0:
                fault, storage.put_fault, storage.puts_left = storage.put_fault, None, None
                raise fault
            storage.puts_left -= 1
        self.inner.put(table, key, value)

    def delete(self, table: int, key: bytes, /) -> bool:
        """Remove a row."""
        return self.inner.delete(table, key)

    def commit(self) -> None:
        """Commit, or fail."""
        storage = self.storage
        if storage.before_commit is not None:
            storage.before_commit()
        fault, storage.commit_fault = storage.commit_fault, None
        if fault is None or storage.commits_first:
            self.inner.commit()
        else:
            self.inner.abort()
        if fault is not None:
            raise fault
        storage.commits += 1

    def abort(self) -> None:
        """Drop it."""
        self.inner.abort()

    def close(self) -> None:
        """Drop it."""
        self.inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
