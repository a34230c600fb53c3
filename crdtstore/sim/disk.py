"""The disk under a store: storage in memory with a durable horizon, behind which a crash takes everything back.

Rules: a disk that *keeps* is durable when a commit returns. One that does not is durable up to its last `sync`; the old
values of what was committed since stand in `undo`. A commit can be told to fail, or to stop the machine (`Crash`),
before or after it became durable. Whatever is written to the log is noted in `logged`, for the world to look at.

A crash makes a new disk of the durable rows; whoever still holds the old one finds it closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from sortedcontainers import SortedDict

from crdtstore.errors import StoreError, StoreFull
from crdtstore.storage.memory import MemoryStorage, Rows
from crdtstore.storage.tables import Table

LOG = int(Table.LOG)


class Crash(BaseException):
    """The machine stops here; no code of the store's runs any more."""


class Fault(Enum):
    """What happens to a commit."""

    FULL = "full"
    FAILS_UNWRITTEN = "fails-unwritten"
    FAILS_WRITTEN = "fails-written"
    CRASH_BEFORE = "crash-before"
    CRASH_AFTER = "crash-after"


@dataclass(frozen=True, slots=True)
class Image:
    """A copy of a disk: a backup. `entries` is how much had been logged."""

    tables: tuple[dict[bytes, bytes], ...]
    entries: int


@dataclass(slots=True)
class Undo:
    """What one commit changed: table -> key -> the value before; and how much had been logged before it."""

    entries: int
    tables: dict[int, Rows] = field(default_factory=dict)


Logged: TypeAlias = tuple[int, bytes]
"""A txn id and the log's row."""


class Disk(MemoryStorage):
    """The storage of one store."""

    def __init__(self, *, keeps: bool) -> None:
        super().__init__()
        self.keeps = keeps
        self.undo: list[Undo] = []
        self.logged: list[Logged] = []
        self.entries = 0
        self.planned: list[tuple[int, Fault]] = []
        self.injected: list[Fault] = []

    def plan_fault(self, commits: int, fault: Fault) -> None:
        """Let so many commits pass and spoil the next one."""
        self.planned.append((commits, fault))

    def next_fault(self) -> Fault | None:
        """The fault that is due at this commit."""
        due = [fault for commits, fault in self.planned if not commits]
        self.planned = [(commits - 1, fault) for commits, fault in self.planned if commits]
        self.injected += due[:1]
        return due[0] if due else None

    def write(self, changes: Mapping[int, Rows]) -> None:
        """Write one commit, or fail as planned.

        Raises:
            StoreFull: Nothing was written.
            StoreError: The outcome is unknown to the store.
            Crash: The machine stops.
        """
        fault = self.next_fault() if self.planned else None
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.FULL:
            raise StoreFull("The disk is full; nothing was written.")
        if fault is Fault.FAILS_UNWRITTEN:
            raise StoreError("The disk failed.")
        self.keep_undo(changes)
        super().write(changes)
        self.note(changes.get(LOG, {}))
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.FAILS_WRITTEN:
            raise StoreError("The disk failed.")

    def keep_undo(self, changes: Mapping[int, Rows]) -> None:
        """Remember what stood there, unless commits are durable at once."""
        if self.keeps:
            return
        undo = Undo(self.entries)
        for table, rows in changes.items():
            newest = self.tables[table]
            undo.tables[table] = {key: newest.get(key) for key in rows}
        self.undo.append(undo)

    def note(self, rows: Rows) -> None:
        """Note what came into the log."""
        fresh = [(int.from_bytes(key, "big"), row) for key, row in rows.items() if row is not None]
        self.logged += sorted(fresh)
        self.entries += len(fresh)

    def sync(self) -> None:
        """Make everything durable that was committed."""
        self.undo.clear()

    def image(self) -> Image:
        """A copy of what is committed."""
        return Image(tuple(dict(rows) for rows in self.tables), self.entries)

    def crash(self) -> Disk:
        """Stop the machine: the disk that it finds when it starts again; faults that were planned still come."""
        for undo in reversed(self.undo):
            self.take_back(undo)
        self.closed = True
        found = Disk(keeps=self.keeps)
        found.tables, found.entries, found.planned = self.tables, self.entries, self.planned
        return found

    def take_back(self, undo: Undo) -> None:
        """Put the values back that stood there before a commit."""
        for table, rows in undo.tables.items():
            newest = self.tables[table]
            for key, value in rows.items():
                if value is None:
                    newest.pop(key, None)
                else:
                    newest[key] = value
        self.entries = undo.entries


def disk_of(image: Image, *, keeps: bool) -> Disk:
    """A disk that holds a backup."""
    disk = Disk(keeps=keeps)
    disk.tables = tuple(SortedDict(rows) for rows in image.tables)
    disk.entries = image.entries
    return disk
