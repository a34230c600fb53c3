"""The storage interface: what every storage does, whichever one a store was opened on.

Rules that hold for all of them:

- Rows stand in key order, byte by byte. A key has 1 to `limits.KEY_BYTES_MAX` bytes (else `LimitExceeded`), a
  value any number, none included.
- A snapshot shows what was committed when it was opened, for as long as it is open. It is not bound to the
  thread that opened it; one thread uses it at a time. Each keeps old rows alive: close it soon.
- There is one batch at a time; a second one is refused at once (`StoreError`), it does not wait. The thread
  that opened a batch ends it. Nothing of a batch is visible elsewhere before `commit` returns, and all of it
  after.
- A batch in which `put`, `delete` or `commit` raised a `StoreError` can only be ended; nothing of it is
  stored. The one exception is `StoreFenced` from `commit`: the outcome is known only after a reopening.
- What has ended refuses with `StoreClosed`, what was inherited by fork() with `ForkedProcess`; never with a
  crash.
- A damaged value raises `Corrupted` and is never given.

How the values are sealed is not here: see `tables.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator


class Snapshot(Protocol):
    """A read view that never changes."""

    def get(self, table: int, key: bytes, /) -> bytes | None:
        """Return the value of a key, or None."""

    def scan(self, table: int, start: bytes = b"", end: bytes | None = None, /) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the rows from `start` to before `end` (None: to the last), in key order.

        A batch must not be written to between two rows of its own scan: the next one raises `StoreError`.
        """

    def scan_back(self, table: int, start: bytes = b"", end: bytes | None = None, /) -> Iterator[tuple[bytes, bytes]]:
        """As `scan` the other way round: from the last row before `end` down to `start`."""

    def first(self, table: int, /) -> tuple[bytes, bytes] | None:
        """Return the row with the lowest key, or None."""

    def last(self, table: int, /) -> tuple[bytes, bytes] | None:
        """Return the row with the highest key, or None."""

    def last_key(self, table: int, /) -> bytes | None:
        """Return the highest key, or None; its row is checked, and not copied."""

    def count(self, table: int, /) -> int:
        """Return the number of rows of a table."""

    def close(self) -> None:
        """End the view; again does nothing."""

    def __enter__(self) -> Self:
        """Return the view itself."""

    def __exit__(self, *failure: object) -> None:
        """Close the view."""


class Batch(Snapshot, Protocol):
    """The one write transaction: a view of the newest commit and its own writes. Closing it aborts it."""

    def put(self, table: int, key: bytes, value: bytes, /) -> None:
        """Store a value under a key, in place of the one that was there."""

    def delete(self, table: int, key: bytes, /) -> bool:
        """Remove a key; say whether it was there."""

    def commit(self) -> None:
        """Make every write visible, all at once, and durable; the batch is over either way."""

    def abort(self) -> None:
        """Forget every write; does nothing once the batch is over."""


class Storage(Protocol):
    """The tables of one store."""

    @property
    def read_only(self) -> bool:
        """Whether batches are refused."""

    def snapshot(self) -> Snapshot:
        """Open a read view of what is committed now; `Overloaded` when there are too many."""

    def batch(self) -> Batch:
        """Open the write transaction."""

    def sync(self) -> None:
        """Bring to disk what was committed, where commits do not do so themselves."""

    def bytes_on_disk(self) -> int:
        """Return the bytes that the tables take on disk; 0 in memory."""

    def bytes_unused(self) -> int:
        """Return how many of these hold nothing of the newest commit: free, or kept for open snapshots."""

    def close(self) -> None:
        """End every snapshot and the batch, and release the store; again does nothing.

        Raises:
            StoreError: another thread has a batch open; nothing was closed.
        """

    def __enter__(self) -> Self:
        """Return the storage itself."""

    def __exit__(self, *failure: object) -> None:
        """Close the storage."""
