"""Planted bugs: each breaks one promise, and the harness of that promise must notice.

Rules: each is a function that breaks this process; it is called in a process that ends soon.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Timer
from typing import Any, cast

import lmdb

from crdtstore import core
from crdtstore.attachments import attachments, incoming
from crdtstore.attachments.attachments import Attachments
from crdtstore.errors import CrdtStoreError
from crdtstore.storage import environment, wal, wal_recovery
from crdtstore.storage.adapter import Environment
from crdtstore.storage.attachments import Attachment
from crdtstore.storage.interface import Batch, Storage
from crdtstore.storage.wal import Placed, Wal
from crdtstore.storage.wal_file import write_all
from crdtstore.version.sequencer import Job, Sequencer

Outcomes = Sequence[tuple[Any, Exception | None]]


def acknowledged_before_commit() -> None:
    """Writers are answered, and then their group is committed."""
    commit = Sequencer.finish

    def finish(self: Sequencer, batch: Batch, jobs: Sequence[Job], outcomes: Outcomes) -> None:
        for job, (result, _) in zip(jobs, outcomes, strict=True):
            job.future.set_result(result)
        commit(self, batch, [], [])

    Sequencer.finish = finish  # type: ignore[method-assign]


def attachments_acknowledged_before_their_row() -> None:
    """A file counts as put when it has its name, and gets its row later."""
    place = Attachments.place

    def late(self: Attachments, path: Path, fresh: Attachment, broken: Attachment | None) -> None:
        Timer(0.01, place, (self, shutil.copyfile(path, path.with_suffix(".late")), fresh, broken)).start()

    Attachments.place = late  # type: ignore[method-assign]


def attachments_not_flushed() -> None:
    """Files of attachments, and their names, are not brought to disk before their rows."""
    vars(attachments)["sync_path"] = lambda _: None
    vars(incoming)["sync_file"] = lambda file: file.flush()


def commit_errors_ignored() -> None:
    """A commit that failed is taken for done."""
    finish = Sequencer.finish

    class Deaf:
        """A batch whose commit never fails."""

        def __init__(self, batch: Batch) -> None:
            self.batch = batch

        def commit(self) -> None:
            """Commit, or not."""
            with suppress(CrdtStoreError):
                self.batch.commit()

    def ignore(self: Sequencer, batch: Batch, jobs: Sequence[Job], outcomes: Outcomes) -> None:
        finish(self, cast("Batch", Deaf(batch)), jobs, outcomes)

    Sequencer.finish = ignore  # type: ignore[method-assign]


def opened_without_settling() -> None:
    """What the page cache holds is taken for what is on disk."""
    vars(environment)["settle"] = lambda path, page_bytes: None


def volatile_store_says_so_later() -> None:
    """That a store runs without durability is not brought to disk at once."""
    core.lmdb_environment = None
    Environment.sync = lambda self: None  # type: ignore[method-assign]


def commits_not_flushed() -> None:
    """A commit returns before it is on disk."""
    environment_of(sync=False)


def meta_page_not_flushed() -> None:
    """A commit returns before its meta page is on disk."""
    environment_of(metasync=False)


def frames_not_flushed() -> None:
    """A frame of the write-ahead log counts before it is on disk."""
    place, elsewhere = Wal.place, TemporaryFile()  # noqa: SIM115  it ends with the process

    def write_at_once(self: Wal, rows: bytes | memoryview) -> Placed | None:
        placed = place(self, rows)
        if placed is None:
            return None
        write_all(*placed)
        return placed._replace(descriptor=elsewhere.fileno())

    Wal.place = write_at_once  # type: ignore[method-assign]


def frames_written_later() -> None:
    """A commit is acknowledged, and then its frame is written: with the one behind it."""
    place, late = Wal.place, list[bytes]()

    def place_before(self: Wal, rows: bytes | memoryview) -> Placed | None:
        placed = place(self, late[0] if late else b"")
        if placed is not None:
            late[:] = [bytes(rows)]
        return placed

    Wal.place = place_before  # type: ignore[method-assign]


def checkpoints_not_pinned() -> None:
    """The pages of a checkpoint are used again."""

    def unpin(self: Wal) -> None:
        if self.pin is not None:
            self.pin.close()

    start, checkpoint = Wal.start, Wal.make_checkpoint

    def start_unpinned(self: Wal, storage: wal.Logged, *, helped: bool = True) -> None:
        start(self, storage, helped=helped)
        unpin(self)

    def checkpoint_unpinned(self: Wal, *, switching: bool) -> None:
        checkpoint(self, switching=switching)
        unpin(self)

    Wal.start = start_unpinned  # type: ignore[method-assign]
    Wal.make_checkpoint = checkpoint_unpinned  # type: ignore[method-assign]


def checkpoints_not_flushed() -> None:
    """A checkpoint is named in the header before its pages are on disk."""
    make_checkpoint = Wal.make_checkpoint

    def make_early(self: Wal, *, switching: bool) -> None:
        assert self.storage is not None
        unsynced: Any = Unsynced(self.storage)
        self.storage, storage = unsynced, self.storage
        make_checkpoint(self, switching=switching)
        self.storage = storage

    Wal.make_checkpoint = make_early  # type: ignore[method-assign]


class Unsynced:
    """A storage that does not flush."""

    def __init__(self, storage: Storage) -> None:
        self.snapshot = storage.snapshot

    def sync(self) -> None:
        """Nothing."""


def checkpoint_not_restored() -> None:
    """After a crash the newest meta page is believed."""
    vars(wal_recovery)["restore_meta"] = lambda data, header: None


def log_not_settled() -> None:
    """What the page cache has of a log is taken for what is on disk."""
    vars(wal_recovery)["settle_log"] = lambda log, frames: None


def environment_of(**options: bool) -> None:
    """Open stores through LMDB's Python API, with other options."""
    core.lmdb_environment = None
    open_as_it_was = lmdb.open
    vars(lmdb)["open"] = lambda *arguments, **given: open_as_it_was(*arguments, **{**given, **options})
