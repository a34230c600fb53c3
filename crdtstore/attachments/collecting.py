"""Collection: files that no document refers to any more are removed, and none that one does.

Rules:

- What documents refer to is read from one snapshot; which files go is decided by the writer, piece by piece, after it
  has read the log since that snapshot. So a reference is seen, whether it came before, meanwhile, or in the same commit
  group before the piece. One that comes later names a file that is gone, as it does where nobody put it.
- A file stays for the grace period after it was last put, and for another one after a collection first found it idle:
  what was taken from one document may be on its way to another, here or in another store.
- The row goes in the commit, the file after it. Files without a row are swept at the end, but for those whose row is
  on its way.
- Where the log was trimmed under the collection, or a snapshot of another store was joined, it begins anew.
- Nothing is removed while a backup is copied.

Versions of the past that are still readable may refer to files that are gone.

Law, in `tests/attachments/test_histories.py`: a file that was acknowledged and that a living document has referred to
ever since, or since its grace period, is there. Planted bugs: removed before the commit, no second look at the log, no
generation in the name.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from itertools import islice
from threading import Lock, Thread
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import limits
from crdtstore.attachments.placing import remove_file
from crdtstore.attachments.references import referred_in_documents, referred_in_entry
from crdtstore.bell import Bell
from crdtstore.crdt.entry import is_join
from crdtstore.errors import CrdtStoreError, LogTrimmed, Overloaded, StoreClosed
from crdtstore.storage.attachment_files import folder_of, locked, name_of, names_in
from crdtstore.storage.attachments import (
    Attachment,
    delete_attachment,
    put_attachment,
    read_attachment,
    read_attachments,
)
from crdtstore.storage.environment import system_errors
from crdtstore.storage.log import check_reach, last_txn, read_entries
from crdtstore.version.transaction import RefusedTransaction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crdtstore.attachments.host import Host
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch, Snapshot

logger = logging.getLogger(__name__)


class Collected(NamedTuple):
    """What a collection did: files removed and their bytes, files kept, files without a row that were swept."""

    removed: int
    bytes: int
    kept: int
    swept: int


class Piece(NamedTuple):
    """What one commit decided: the rows that are gone; None where the log has to be read first."""

    removed: tuple[Attachment, ...] | None


class Marks:
    """The files that may have to go, which of them are referred to, and up to which transaction that is known."""

    def __init__(self, due: Iterable[bytes], txn: int) -> None:
        """Nothing is referred to yet, as of a transaction."""
        self.due = frozenset(due)
        self.live: set[bytes] = set()
        self.txn = txn

    def add(self, ids: Iterable[bytes]) -> None:
        """Note references."""
        self.live.update(id_ for id_ in ids if id_ in self.due)

    def catch_up(self, snapshot: Snapshot, entries_max: int) -> bool:
        """Read the log since; returns whether it was read to its end.

        Raises:
            LogTrimmed: It does not reach back that far, or does not tell what came.
        """
        check_reach(snapshot, self.txn)
        for txn, entry in read_entries(snapshot, self.txn, entries_max):
            if is_join(entry):
                raise LogTrimmed("A snapshot was joined meanwhile.", asked=self.txn, first=txn)
            self.add(referred_in_entry(entry))
            self.txn = txn
        return self.txn == last_txn(snapshot)


class Collector:
    """What collects the files of one store, one collection at a time."""

    def __init__(self, store: Host, placing: set[str], lock: Lock) -> None:
        """Collect; `placing` names the files whose row is on its way, and `lock` guards it."""
        self.store = store
        self.placing = placing
        self.lock = lock
        self.one = Lock()
        self.bell = Bell()
        """Rung at the end."""

        self.thread: Thread | None = None

    def collect(self, grace_seconds: float = limits.ATTACHMENT_GRACE_SECONDS_DEFAULT) -> Collected:
        """Remove the files that no document has referred to for so long.

        Raises:
            Overloaded: A backup is being copied, or the log is trimmed faster than it can be read.
            Corrupted: A document or row is damaged: what is referred to cannot be known. Nothing more is removed.
            StoreReadOnly: The store was opened read-only.
        """
        self.store.check_writable()
        removed: list[Attachment] = []
        with self.one:
            for _ in range(limits.COLLECT_ATTEMPTS):
                with suppress(LogTrimmed):
                    self.remove_due(removed, round(grace_seconds * 1_000))
                    swept, kept = self.sweep()
                    return Collected(len(removed), sum(each.length for each in removed), kept, swept)
        raise Overloaded("The log was trimmed, or snapshots were joined, faster than it could be read: collect later.")

    def remove_due(self, removed: list[Attachment], grace_milliseconds: int) -> None:
        """Remove the files that are due and that nobody refers to; they are added to `removed`."""
        marks = self.mark(grace_milliseconds)
        left = iter(sorted(marks.due))
        while piece := tuple(islice(left, limits.COLLECT_PIECE)):
            removed += self.remove_piece(marks, piece, grace_milliseconds)

    def mark(self, grace_milliseconds: int) -> Marks:
        """Find the files that may have to go, and whether documents refer to them."""
        before = self.store.clock() - grace_milliseconds
        with self.store.storage.snapshot() as snapshot:
            due = [each.id for each in read_attachments(snapshot) if each.idle or each.used <= before]
            marks = Marks(due, last_txn(snapshot))
            if due:
                marks.add(referred_in_documents(snapshot))
        return marks

    def remove_piece(self, marks: Marks, piece: tuple[bytes, ...], grace_milliseconds: int) -> tuple[Attachment, ...]:
        """Remove those of a piece that have to go: their rows in one commit, then their files."""
        folder = folder_of(self.store.storage)
        with locked(folder, alone=True):
            while True:
                self.read_log(marks)
                job = partial(decide, marks=marks, piece=piece, now=self.store.clock(), grace=grace_milliseconds)
                decided: Piece = self.store.run(job)
                if decided.removed is not None:
                    break
            for each in decided.removed:
                remove_file(folder, each)
        return decided.removed

    def read_log(self, marks: Marks) -> None:
        """Read the log up to where it is now, so that the writer has little left to read."""
        done = False
        while not done:
            with self.store.storage.snapshot() as snapshot:
                done = marks.catch_up(snapshot, limits.CHANGES_ENTRIES_MAX)

    def sweep(self) -> tuple[int, int]:
        """Remove the files that have no row; returns how many these were, and how many rows there are.

        In this order: a file that has its name now and is not on its way has its row in a later snapshot, or lost it.
        """
        folder = folder_of(self.store.storage)
        names = set(names_in(folder))
        with self.lock:
            names -= self.placing
        with self.store.storage.snapshot() as snapshot:
            known = set(map(name_of, read_attachments(snapshot)))
        for name in names - known:
            (folder / name).unlink(missing_ok=True)
        return len(names - known), len(known)

    # --- in the background ---

    def start(self, grace_seconds: float) -> None:
        """Collect every COLLECT_SECONDS in a thread of its own, until the store is closed."""
        self.thread = Thread(target=self.run, args=(grace_seconds,), name="crdtstore-collect", daemon=True)
        self.thread.start()

    def run(self, grace_seconds: float) -> None:
        """Collect again and again; what fails is told, and tried again the next time."""
        while not self.bell.wait(limits.COLLECT_SECONDS):
            try:
                with system_errors(folder_of(self.store.storage), "collected"):
                    done = self.collect(grace_seconds)
                logger.info("%d attachments were removed, %d bytes", done.removed, done.bytes)
            except StoreClosed:
                return
            except CrdtStoreError as error:
                logger.warning("Attachments were not collected: %s", error.message)
            except Exception:
                logger.exception("Attachments were not collected.")

    def close(self) -> None:
        """End the thread, if there is one, once it is done with its collection."""
        self.bell.ring()
        if self.thread is not None:
            self.thread.join(limits.STOP_SECONDS_MAX)


def decide(
    batch: Batch, _catalog: Catalog, _head: Head, *, marks: Marks, piece: tuple[bytes, ...], now: int, grace: int
) -> Piece:
    """Delete the rows of a piece that have to go, and note which ones are idle.

    Raises:
        LogTrimmed: As `Marks.catch_up`.
        RefusedTransaction: A row is damaged. Carries `Corrupted`.
    """
    try:
        if not marks.catch_up(batch, limits.COLLECT_ENTRIES_MAX):
            return Piece(None)
        rows = [row for id_ in piece if (row := read_attachment(batch, id_)) is not None]
    except CrdtStoreError as error:
        raise RefusedTransaction(error) from error
    removed = []
    for row in rows:
        idle = 0 if row.id in marks.live else row.idle or now
        if idle and now - max(row.used, idle) >= grace:
            delete_attachment(batch, row)
            removed.append(row)
        elif idle != row.idle:
            put_attachment(batch, row._replace(idle=idle))
    return Piece(tuple(removed))
