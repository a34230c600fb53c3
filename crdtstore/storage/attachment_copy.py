"""Attachments in backups: their files are copied beside the data file's copy, or behind it in a stream.

In the stream, behind an empty block:

    file: id (34 bytes) ‖ generation (8) ‖ length u64 LE, then blocks of its bytes; and the next file

Rules: a copy has the file of each of its rows, whole, or there is no copy. The folder's lock is shared from before the
snapshot until the last file was read, so no file goes that a row of the copy names; files that came meanwhile may come
along, and those without a row are dropped. Each file is checked against its id, where it is read and where it is
written.

Not here: the copy of the data file (`backup.py`).
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from crdtstore.errors import DamagedFile
from crdtstore.storage.attachment_files import (
    copy_attachment,
    create,
    damaged,
    folder_of,
    make_folder,
    name_of,
    names_in,
    path_of,
    pieces_of,
    sync_file,
)
from crdtstore.storage.attachments import (
    GENERATION_BYTES,
    ID_BYTES,
    Attachment,
    make_id,
    put_attachment,
    read_attachments,
)
from crdtstore.storage.settle import sync_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from crdtstore.storage.interface import Batch, Storage

HEAD: Final = struct.Struct(f"<{ID_BYTES}s{GENERATION_BYTES}sQ")
NO_MORE_DATA: Final = b""
"""The block behind those of the data file."""


def copy_attachments(source: Path, storage: Storage, advance: Callable[[int], object]) -> int:
    """Copy the files of all rows of a copy that is being made, from the folder of its original; returns how many.

    Raises:
        Corrupted: One is missing or damaged.
    """
    folder, count = folder_of(storage), 0
    with storage.snapshot() as snapshot:
        for attachment in read_attachments(snapshot):
            make_folder(folder)
            copy_attachment(source, attachment, folder, advance)
            count += 1
    if count:
        sync_path(folder)
    return count


def send_attachments(storage: Storage) -> Iterator[bytes]:
    """The files of all rows as a stream has them, behind the data file.

    Raises:
        Corrupted: One is missing.
    """
    folder = folder_of(storage)
    yield NO_MORE_DATA
    with storage.snapshot() as snapshot:
        attachments = list(read_attachments(snapshot))
    for attachment in attachments:
        yield HEAD.pack(attachment.id, attachment.generation, attachment.length)
        try:
            with path_of(folder, attachment).open("rb") as file:
                yield from pieces_of(file)
        except FileNotFoundError:
            raise damaged(attachment, "is missing") from None


def receive_attachments(payloads: Iterator[bytes], folder: Path, advance: Callable[[int], object]) -> None:
    """Write the files of a stream into a folder.

    Raises:
        DamagedFile: One does not hold what its id says.
    """
    for head in payloads:
        if len(head) != HEAD.size:
            raise DamagedFile("The stream has no file where one must be.", byte=0)
        make_folder(folder)
        id_, generation, length = HEAD.unpack(head)
        receive_one(Attachment(id_, length, generation, 0), payloads, folder)
        advance(length)


def receive_one(attachment: Attachment, payloads: Iterator[bytes], folder: Path) -> None:
    """Write one file."""
    digest, size = hashlib.sha256(), 0
    with create(path_of(folder, attachment)) as file:
        while size < attachment.length and (payload := next(payloads, b"")):
            digest.update(payload)
            size += len(payload)
            file.write(payload)
        sync_file(file)
    if (make_id(digest.digest()), size) != (attachment.id, attachment.length):
        raise DamagedFile(f"The attachment {attachment.text} came with other bytes than its id names.", byte=0)


def settle_attachments(storage: Storage) -> int:
    """See that a copy that came as a stream has the file of each row, and no others; returns how many rows it has.

    Raises:
        Corrupted: One is missing.
    """
    folder, names, count = folder_of(storage), set[str](), 0
    names.update(names_in(folder))
    with storage.snapshot() as snapshot:
        for attachment in read_attachments(snapshot):
            if name_of(attachment) not in names:
                raise damaged(attachment, "did not come with the backup")
            names.remove(name_of(attachment))
            count += 1
    for name in names:
        (folder / name).unlink()
    if folder.is_dir():
        sync_path(folder)
    return count


def wake_attachments(batch: Batch) -> None:
    """Count no file of a restored store as idle: what refers to it may come back from other stores."""
    for attachment in list(read_attachments(batch)):
        if attachment.idle:
            put_attachment(batch, attachment._replace(idle=0))
