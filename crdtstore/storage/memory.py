"""The storage in memory: the same interface without a disk, for the simulator and the tests.

Rules: the newest rows of each table stand in one sorted dictionary. A batch collects its writes in a layer
over them and moves them in when it commits. A snapshot has such a layer too: a commit puts into it the old
values of what it changes, so that the view stays as it was; snapshots of the same commit share one layer, and
where none is open a commit keeps nothing. A layer holds few rows and is read far more often than it is scanned, so
it is sorted when a scan asks. Values carry no seal: nothing damages them. Nothing here outlives the process, and a
forked child has its own copy.
"""

from __future__ import annotations

import threading
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Final, Self, TypeAlias
from weakref import WeakSet, ref

from sortedcontainers import SortedDict

from crdtstore.errors import StoreClosed, StoreError
from crdtstore.storage.tables import Table, check_key, check_start, table_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Rows: TypeAlias = "dict[bytes, bytes | None]"
"""Rows of one table in a layer, in no order: None stands for an absent row."""

NO_ROWS: Final[Rows] = {}
"""What stands in a layer of a table that nobody wrote to; never written to itself."""

TABLES: Final = len(Table)

ROWS: Final = 128
"""Rows that a scan takes at a time, under the lock."""


class Layer:
    """Rows that stand before the newest ones: table -> key -> value, or None for an absent row."""

    __slots__ = ("__weakref__", "tables")

    def __init__(self) -> None:
        """Make an empty layer."""
        self.tables: dict[int, Rows] = {}

    def of(self, table: int) -> Rows:
        """Return the rows of a table, to be written to."""
        rows = self.tables.get(table)
        if rows is None:
            rows = self.tables[table] = {}
        return rows


class MemoryStorage:
    """The tables of one store, in memory."""

    read_only: Final = False

    def __init__(self) -> None:
        """Make an empty store."""
        self.tables: tuple[SortedDict[bytes, bytes], ...] = tuple(SortedDict() for _ in Table)
        self.lock = threading.Lock()
        self.views: WeakSet[Layer] = WeakSet()
        self.newest: ref[Layer] | None = None
        self.writing: ref[Batch] | None = None
        self.closed = False

    def check(self) -> None:
        """Refuse a storage that was closed."""
        if self.closed:
            raise StoreClosed("This store was closed.")

    def snapshot(self) -> Snapshot:
        """Open a read view of what is committed now."""
        with self.lock:
            self.check()
            layer = self.newest() if self.newest is not None else None
            if layer is None:
                layer = Layer()
                self.newest = ref(layer)
                self.views.add(layer)
            return Snapshot(self, layer)

    def batch(self) -> Batch:
        """Open the one write transaction; the thread that opened it must end it."""
        with self.lock:
            self.check()
            if self.open_batch() is not None:
                raise StoreError("A batch is open already: there is one at a time.")
            batch = Batch(self, Layer())
            self.writing = ref(batch)
            return batch

    def open_batch(self) -> Batch | None:
        """Return the batch that has not ended, if there is one."""
        batch = self.writing() if self.writing is not None else None
        return batch if batch is not None and batch.layer is not None else None

    def write(self, changes: Mapping[int, Rows]) -> None:
        """Write the rows of one commit, under the lock."""
        for table, changed in changes.items():
            self.change(table, changed)
        self.newest = None

    def change(self, table: int, changed: Rows) -> None:
        """Write rows of one table, under the lock; open views keep what stood there."""
        newest = self.tables[table]
        for view in tuple(self.views) if self.views else ():
            kept = view.of(table)
            for key in changed:
                kept.setdefault(key, newest.get(key))
        for key, value in changed.items():
            if value is None:
                newest.pop(key, None)
            else:
                newest[key] = value

    def sync(self) -> None:
        """Do nothing: there is no disk."""
        self.check()

    def bytes_on_disk(self) -> int:
        """Return 0: nothing is on disk."""
        self.check()
        return 0

    def bytes_unused(self) -> int:
        """Return 0: nothing is on disk."""
        return self.bytes_on_disk()

    def close(self) -> None:
        """End every snapshot and the batch; again does nothing.

        Raises:
            StoreError: another thread has a batch open; nothing was closed.
        """
        with self.lock:
            batch = self.open_batch()
            if batch is not None:
                batch.check_thread()
            self.closed = True

    def __enter__(self) -> Self:
        """Return the storage itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the storage."""
        self.close()


class Snapshot:
    """A read view that never changes: the rows of its layer, and the newest ones where it has none."""

    def __init__(self, storage: MemoryStorage, layer: Layer) -> None:
        """Look at a storage through a layer."""
        self.storage = storage
        self.layer: Layer | None = layer
        self.writes = 0

    def over(self, table: int) -> Rows:
        """Return this view's layer over a table, under the storage's lock."""
        if self.layer is None or self.storage.closed:
            raise StoreClosed("This snapshot or batch has ended, or its store was closed.")
        rows = self.layer.tables.get(table)
        if rows is None:
            if not 0 <= table < TABLES:
                table_name(table)
            return NO_ROWS
        return rows

    def read(self, table: int, key: bytes) -> bytes | None:
        """Return the value of a key, or None, under the storage's lock."""
        over = self.over(table)
        return over[key] if key in over else self.storage.tables[table].get(key)

    def rows(
        self,
        table: int,
        start: bytes | None = None,
        end: bytes | None = None,
        *,
        passed: bool = False,
        last: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over rows in key order, under the storage's lock.

        Args:
            table: Its number.
            start: The lowest key; None for the first.
            end: The key to stop before; None for none.
            passed: Whether to leave `start` itself out.
            last: Whether to go the other way round.
        """
        over, newest = self.over(table), self.storage.tables[table]
        keys = newest.irange(start, end, (not passed, False), reverse=last)
        if over:
            keys = merge(keys, sorted_between(over, start, end, passed=passed, last=last), reverse=last)
        previous = None
        for key in keys:
            value = None if key == previous else self.read(table, key)
            previous = key
            if value is not None:
                yield key, value

    def get(self, table: int, key: bytes) -> bytes | None:
        """Return the value of a key, or None."""
        check_key(key)
        with self.storage.lock:
            return self.read(table, key)

    def scan(self, table: int, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the rows from `start` to before `end`, in key order."""
        return self.begin_scan(table, start, end, last=False)

    def scan_back(self, table: int, start: bytes = b"", end: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the rows from the last before `end` down to `start`."""
        return self.begin_scan(table, start, end, last=True)

    def begin_scan(self, table: int, start: bytes, end: bytes | None, *, last: bool) -> Iterator[tuple[bytes, bytes]]:
        """Check what is asked for before the first row is taken."""
        check_start(start)
        with self.storage.lock:
            self.over(table)
        return self.chunks(table, start or None, end, self.writes, last=last)

    def chunks(
        self, table: int, start: bytes | None, end: bytes | None, writes: int, *, last: bool
    ) -> Iterator[tuple[bytes, bytes]]:
        """Take some rows at a time: between two, commits may change what stands under the layer."""
        taken: list[tuple[bytes, bytes]] = []
        while not taken or len(taken) == ROWS:
            if taken and last:
                end = taken[-1][0]
            elif taken:
                start = taken[-1][0]
            with self.storage.lock:
                taken = self.take(table, start, end, passed=bool(taken) and not last, last=last)
            for row in taken:
                if writes != self.writes or self.layer is None or self.storage.closed:
                    self.check_scan(table, writes)
                yield row
            if not taken:
                return
        self.check_scan(table, writes)

    def take(
        self, table: int, start: bytes | None, end: bytes | None, *, passed: bool, last: bool
    ) -> list[tuple[bytes, bytes]]:
        """List the next ROWS rows at most, under the storage's lock."""
        if self.over(table):
            return list(islice(self.rows(table, start, end, passed=passed, last=last), ROWS))
        newest = self.storage.tables[table]
        keys = newest.irange(start, end, (not passed, False), reverse=last)
        return [(key, newest[key]) for key in islice(keys, ROWS)]

    def check_scan(self, table: int, writes: int) -> None:
        """Refuse to go on with a scan of a view that has ended, or of a batch that was written to."""
        self.over(table)
        if writes != self.writes:
            raise StoreError("The batch was written to while one of its scans was under way.")

    def first(self, table: int) -> tuple[bytes, bytes] | None:
        """Return the row with the lowest key, or None."""
        with self.storage.lock:
            return next(self.rows(table), None)

    def last(self, table: int) -> tuple[bytes, bytes] | None:
        """Return the row with the highest key, or None."""
        with self.storage.lock:
            return next(self.rows(table, last=True), None)

    def last_key(self, table: int) -> bytes | None:
        """Return the highest key, or None."""
        row = self.last(table)
        return None if row is None else row[0]

    def count(self, table: int) -> int:
        """Return the number of rows of a table."""
        with self.storage.lock:
            over = self.over(table)
            newest = self.storage.tables[table]
            return len(newest) + sum((value is not None) - (key in newest) for key, value in over.items())

    def close(self) -> None:
        """End the view; again does nothing."""
        self.layer = None

    def __enter__(self) -> Self:
        """Return the view itself."""
        return self

    def __exit__(self, *failure: object) -> None:
        """Close the view."""
        self.close()


def sorted_between(rows: Rows, start: bytes | None, end: bytes | None, *, passed: bool, last: bool) -> list[bytes]:
    """List the keys of a layer's rows from `start` to before `end`, in key order or, with `last`, the other way."""
    keys = [
        key
        for key in rows
        if (start is None or (key > start if passed else key >= start)) and (end is None or key < end)
    ]
    return sorted(keys, reverse=last)


class Batch(Snapshot):
    """The one write transaction: its layer holds its own writes. The thread that opened it must end it."""

    def __init__(self, storage: MemoryStorage, layer: Layer) -> None:
        """Look at a storage through a layer of writes."""
        super().__init__(storage, layer)
        self.own = layer
        self.thread = threading.get_ident()

    def put(self, table: int, key: bytes, value: bytes) -> None:
        """Store a value under a key, in place of the one that was there."""
        check_key(key)
        with self.storage.lock:
            self.over(table)
            self.own.of(table)[key] = value
            self.writes += 1

    def delete(self, table: int, key: bytes) -> bool:
        """Remove a key; say whether it was there."""
        check_key(key)
        with self.storage.lock:
            there = self.read(table, key) is not None
            self.own.of(table)[key] = None
            self.writes += 1
            return there

    def commit(self) -> None:
        """Make every write visible, all at once; the batch is over either way."""
        with self.storage.lock:
            self.over(Table.META)
            self.check_thread()
            self.layer = None
            self.storage.write(self.own.tables)

    def abort(self) -> None:
        """Forget every write of this batch; does nothing once it is over."""
        self.close()

    def close(self) -> None:
        """Abort, unless the batch is over."""
        if self.layer is not None:
            self.check_thread()
        super().close()

    def check_thread(self) -> None:
        """Refuse another thread, as the storages on disk must."""
        if self.thread != threading.get_ident():
            raise StoreError("A batch is ended by the thread that opened it.")
