"""The files of attachments on the disk: a folder beside the data file, one file for each row.

    attachments/DIGEST-GENERATION     64 hexadecimal digits, a hyphen, 16 more
    attachments/incoming/...          what is not whole yet

Rules: a file is never written to once it has its name, and never renamed. It is brought to disk under a name in
`incoming`, renamed, and the folder is brought to disk; only then comes its row. What has no row is left over from a
crash, or on its way. Files of rows are removed while the folder is locked alone (`locked`), and copied while the lock
is shared: a backup that began with a row finds its file.

Not here: rows (`attachments.py`), who writes and removes files (`crdtstore/attachments/`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final
from weakref import WeakKeyDictionary, finalize

from crdtstore.errors import Corrupted, Overloaded
from crdtstore.limits import ATTACHMENT_PIECE_BYTES
from crdtstore.storage.attachments import PREFIX, Attachment, make_id
from crdtstore.storage.settle import sync_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crdtstore.storage.interface import Storage

FOLDER_NAME: Final = "attachments"
INCOMING_NAME: Final = "incoming"
NAME_FORM: Final = re.compile(r"[0-9a-f]{64}-[0-9a-f]{16}")

in_memory: WeakKeyDictionary[Storage, str] = WeakKeyDictionary()
"""Where storages in memory have their files: a temporary folder each, which goes with the storage."""

making = Lock()
"""Two threads must not make two of them."""


def folder_of(storage: Storage) -> Path:
    """The folder of a storage's files; it need not exist."""
    place = getattr(storage, "path", None)
    if place is None:
        with making:
            place = in_memory.get(storage)
            if place is None:
                place = in_memory[storage] = tempfile.mkdtemp(prefix="crdtstore-")
                finalize(storage, remove_own, place, os.getpid())
    return Path(place) / FOLDER_NAME


def remove_own(place: str, pid: int) -> None:
    """Remove a temporary folder, unless it is that of the process that this one was forked from."""
    if os.getpid() == pid:
        shutil.rmtree(place, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """See that a folder of files is there, durably, and the one of files on their way in it."""
    incoming = folder / INCOMING_NAME
    if not incoming.is_dir():
        for each in (folder, incoming):
            with suppress(FileExistsError):
                each.mkdir(0o700)
            sync_path(each.parent)


def name_of(attachment: Attachment) -> str:
    """The name of a row's file."""
    return f"{attachment.id[len(PREFIX) :].hex()}-{attachment.generation.hex()}"


def path_of(folder: Path, attachment: Attachment) -> Path:
    """Where a row's file is."""
    return folder / name_of(attachment)


def names_in(folder: Path) -> Iterator[str]:
    """The names of all files that have, or had, a row; none where there is no folder."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if NAME_FORM.fullmatch(entry.name):
                yield entry.name


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """Read a file piece by piece."""
    while piece := file.read(ATTACHMENT_PIECE_BYTES):
        yield piece


def id_of_file(path: Path, advance: Callable[[int], object] = lambda _: None) -> tuple[bytes, int]:
    """The id of a file by its bytes, and how many these are."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for piece in pieces_of(file):
            digest.update(piece)
            size += len(piece)
            advance(len(piece))
    return make_id(digest.digest()), size


def is_whole(folder: Path, attachment: Attachment) -> bool:
    """Whether a row's file is there, with the bytes that its id names; reads all of it."""
    try:
        return id_of_file(path_of(folder, attachment)) == (attachment.id, attachment.length)
    except OSError:
        return False


def copy_attachment(
    folder: Path, attachment: Attachment, destination: Path, advance: Callable[[int], object] = lambda _: None
) -> None:
    """Copy a row's file into another folder, which has none of its name, durably; and check it on the way.

    Raises:
        Corrupted: The file is missing, or holds other bytes than its id names.
    """
    path, digest, size = path_of(folder, attachment), hashlib.sha256(), 0
    try:
        source = path.open("rb")
    except FileNotFoundError:
        raise damaged(attachment, "is missing") from None
    with source, create(path_of(destination, attachment)) as target:
        for piece in pieces_of(source):
            digest.update(piece)
            size += len(piece)
            target.write(piece)
            advance(len(piece))
        sync_file(target)
    if (make_id(digest.digest()), size) != (attachment.id, attachment.length):
        raise damaged(attachment, "holds other bytes than it was given")


def create(path: Path) -> BinaryIO:
    """Open a new file, which nobody else may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def sync_file(file: BinaryIO) -> None:
    """Bring what was written to a file to disk."""
    file.flush()
    os.fsync(file.fileno())


def damaged(attachment: Attachment, what: str) -> Corrupted:
    """Say what is the matter with a row's file."""
    reason = f"the file of attachment {attachment.text} {what}; put it again, or forget it"
    return Corrupted("attachments", attachment.id, reason)


@contextmanager
def locked(folder: Path, *, alone: bool) -> Iterator[None]:
    """Lock the files while a block runs: to remove some, alone; to copy them, together with others who do.

    A folder that is not there, or that the file system cannot lock, is not locked.

    Raises:
        Overloaded: They are being copied, and would be removed.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield
        return
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
            except BlockingIOError:
                message = "A backup copies the attachments now: none can be removed until it is done."
                raise Overloaded(message) from None
        yield
    finally:
        os.close(descriptor)
