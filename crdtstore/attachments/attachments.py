"""The attachments of a store: put, read, listed and collected.

    put = store.attachments.put(file)                    # an id and a length: what a document's token names
    with store.attachments.open(put.id) as file: ...
    store.attachments.collect()                          # remove what nobody has referred to for long

Rules: a file that `put` returned is on disk, under its name and with its row. Equal files are one; putting one again
renews the time that it is kept without a reference, and mends a file that was damaged. Who has a file open keeps it,
whatever is removed meanwhile.

Not here: the bytes on their way in (`incoming.py`), what goes and when (`collecting.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from crdtstore.attachments.collecting import Collected, Collector
from crdtstore.attachments.fetching import Fetcher, unknown
from crdtstore.attachments.incoming import Incoming
from crdtstore.attachments.placing import add_attachment, forget_attachment, remove_file
from crdtstore.attachments.uploads import Uploads
from crdtstore.errors import CrdtStoreError, StoreFenced
from crdtstore.limits import ATTACHMENT_GRACE_SECONDS_DEFAULT, ATTACHMENT_PIECE_BYTES
from crdtstore.storage.attachment_files import (
    INCOMING_NAME,
    damaged,
    folder_of,
    is_whole,
    locked,
    name_of,
    path_of,
)
from crdtstore.storage.attachments import (
    GENERATION_BYTES,
    Attachment,
    parse_id,
    read_attachment,
    read_attachments,
)
from crdtstore.storage.environment import system_errors
from crdtstore.storage.settle import sync_path

if TYPE_CHECKING:
    from pathlib import Path

    from crdtstore.attachments.host import Host


class Put(NamedTuple):
    """A file that was put: what a token names of it."""

    id: str
    len: int


class AttachmentState(NamedTuple):
    """A file that the store has.

    `used` is when it was last put, `idle` since when nobody is known to refer to it (0: not known), in milliseconds.
    """

    id: str
    len: int
    used: int
    idle: int


class Attachments:
    """The attachments of one store."""

    def __init__(self, store: Host) -> None:
        self.store = store
        self.placing: set[str] = set()
        """Files that have their name, and whose row is on its way."""

        self.lock = Lock()
        self.uploads = Uploads(self)
        self.fetcher = Fetcher(self)
        self.collector = Collector(store, self.placing, self.lock)

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return folder_of(self.store.storage)

    # --- putting ---

    def put(self, stream: BinaryIO | Iterable[bytes]) -> Put:
        """Put a file, given as one that is open for reading or as pieces; on disk when this returns.

        Raises:
            LimitExceeded: It is longer than ATTACHMENT_BYTES_MAX.
            StoreReadOnly: The store was opened read-only.
            StoreFull: The disk is full.
            StoreFenced: The commit failed: whether the file is kept is unknown.
        """
        read = getattr(stream, "read", None)
        pieces: Iterable[bytes] = stream if read is None else iter(partial(read, ATTACHMENT_PIECE_BYTES), b"")
        with self.incoming() as incoming:
            for piece in pieces:
                self.write(incoming, piece)
            return self.keep(incoming)

    def incoming(self, bytes_max: int | None = None) -> Incoming:
        """Begin a file that comes piece by piece; see `Incoming`."""
        self.store.check_writable()
        with system_errors(self.folder, "written"):
            return Incoming(self.folder, bytes_max)

    def write(self, incoming: Incoming, piece: bytes) -> None:
        """Take the bytes of such a file that come next.

        Raises:
            LimitExceeded: It becomes too long.
            StoreFull: The disk is full.
        """
        with system_errors(self.folder, "written"):
            incoming.write(piece)

    def keep(self, incoming: Incoming) -> Put:
        """Put a file that came whole.

        Raises:
            StoreFull: As `put`, and the others too.
        """
        with system_errors(self.folder, "written"):
            return self.keep_file(incoming.path, incoming.finish(), incoming.bytes)

    def keep_file(self, path: Path, id_: bytes, size: int) -> Put:
        """Put a file that is on disk, and is not needed there any more: it is moved, or stays to be removed."""
        self.store.check_writable()
        known = self.find(id_)
        broken = known is not None and not is_whole(self.folder, known)
        if known is not None and not broken:
            kept = self.store.run(partial(add_attachment, attachment=self.renewed(known), only_renew=True))
            if kept is not None:
                return Put(kept.text, kept.length)
        fresh = Attachment(id_, size, self.store.entropy(GENERATION_BYTES), self.store.clock())
        self.place(path, fresh, known if broken else None)
        return Put(fresh.text, size)

    def renewed(self, attachment: Attachment) -> Attachment:
        """As it is when it was put just now."""
        return attachment._replace(used=self.store.clock(), idle=0)

    def place(self, path: Path, fresh: Attachment, broken: Attachment | None) -> None:
        """Give a file its name, and then its row; a file that another one took the place of is removed."""
        name = name_of(fresh)
        with self.lock:
            self.placing.add(name)
        try:
            path.rename(self.folder / name)
            sync_path(self.folder)
            replaced = b"" if broken is None else broken.generation
            kept = self.store.run(partial(add_attachment, attachment=fresh, replaced=replaced))
            if kept != fresh:
                remove_file(self.folder, fresh)
            elif broken is not None:
                remove_file(self.folder, broken)
        except StoreFenced:
            raise  # it may have its row: the file stays, and so does its name among those that are not swept
        except (CrdtStoreError, OSError):
            remove_file(self.folder, fresh)
            self.settled(name)
            raise
        self.settled(name)

    def settled(self, name: str) -> None:
        """Note that a file has its row, or is gone."""
        with self.lock:
            self.placing.discard(name)

    # --- reading ---

    def open(self, id: str) -> BinaryIO:
        """Open a file for reading.

        Raises:
            UnknownAttachment: The store has none of this id.
            Corrupted: It has, and its file is missing or has another length.
        """
        return self.open_row(id)[0]

    def open_row(self, id: str) -> tuple[BinaryIO, Attachment]:
        """As `open`, with what is known of it."""
        attachment = self.row(id)
        while True:
            try:
                file = path_of(self.folder, attachment).open("rb")
            except FileNotFoundError:
                # It may have been removed, or replaced, since its row was read.
                before, attachment = attachment, self.row(id)
                if attachment.generation == before.generation:
                    raise damaged(attachment, "is missing") from None
                continue
            if os.fstat(file.fileno()).st_size != attachment.length:
                file.close()
                raise damaged(attachment, "has another length")
            return file, attachment

    def stat(self, id: str) -> AttachmentState:
        """What is known of a file.

        Raises:
            UnknownAttachment: The store has none of this id.
        """
        return state_of(self.row(id))

    def list(self) -> Iterator[AttachmentState]:
        """All files, in the order of their ids; the snapshot is held until the iterator ends."""
        with self.store.storage.snapshot() as snapshot:
            yield from map(state_of, read_attachments(snapshot))

    def row(self, id: str) -> Attachment:
        """The row of an id that is given as text."""
        id_ = parse_id(id)
        found = None if id_ is None else self.find(id_)
        if found is None:
            raise unknown(id)
        return found

    def find(self, id_: bytes) -> Attachment | None:
        """The row of an id."""
        with self.store.storage.snapshot() as snapshot:
            return read_attachment(snapshot, id_)

    # --- removing ---

    def collect(self, grace_seconds: float = ATTACHMENT_GRACE_SECONDS_DEFAULT) -> Collected:
        """Remove the files that no document has referred to for so long; see `Collector.collect`."""
        with system_errors(self.folder, "collected"):
            return self.collector.collect(grace_seconds)

    def forget(self, id: str) -> None:
        """Remove a file now, whoever refers to it: for one that is damaged, or must go.

        Raises:
            UnknownAttachment: The store has none of this id.
            Overloaded: A backup is being copied.
        """
        attachment = self.row(id)
        self.store.check_writable()
        with system_errors(self.folder, "written"), locked(self.folder, alone=True):
            if self.store.run(partial(forget_attachment, attachment=attachment)):
                remove_file(self.folder, attachment)

    def start(self, grace_seconds: float = ATTACHMENT_GRACE_SECONDS_DEFAULT) -> None:
        """Collect now and then in the background, until the store is closed."""
        self.collector.start(grace_seconds)

    def close(self) -> None:
        """End what runs in the background."""
        self.fetcher.close()
        self.collector.close()

    def settle(self) -> None:
        """Remove what a process that ended left on its way in, before anything comes in here.

        It only takes room: what cannot be removed keeps no store shut, and the next opening tries again.
        """
        with suppress(OSError):
            for path in (self.folder / INCOMING_NAME).glob("*.part"):
                path.unlink()


def state_of(attachment: Attachment) -> AttachmentState:
    """A row as it is shown."""
    return AttachmentState(attachment.text, attachment.length, attachment.used, attachment.idle)
