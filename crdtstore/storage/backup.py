"""A backup: a consistent, compact copy of one snapshot of a store, while others write to it.

Rules:

- LMDB copies what one snapshot reaches, without free pages. A process of its own does it (`copy_process`): it opens
  the store as any reader does, so it works beside a server, and a damaged file ends it and not the caller.
- The copy is a stream, so it goes to a file or to another machine with constant memory. The snapshot is held until
  the last byte was read: it keeps every page that is replaced meanwhile.
- What is built from such a stream is checked, gets its record, is brought to disk and only then its name: there is a
  whole backup or none. Each is a store's directory that is not written to.

Not here: the record (`backup_record`), restoring (`version/restore.py`), the stream over HTTP (`http/admin/backup.py`).
"""

from __future__ import annotations

import errno
import struct
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from crdtstore._version import __version__
from crdtstore.errors import NotAStore, NotFound, StoreError
from crdtstore.limits import COPY_PIECE_BYTES, MAP_BYTES_DEFAULT, READERS_MAX
from crdtstore.storage.attachment_copy import (
    copy_attachments,
    receive_attachments,
    send_attachments,
    settle_attachments,
)
from crdtstore.storage.attachment_files import FOLDER_NAME, folder_of, locked
from crdtstore.storage.backup_record import BACKUP_FORMAT, Backup, Moment, moment_of, put_backup
from crdtstore.storage.blocks import write_blocks
from crdtstore.storage.environment import DATA_NAME, build_from, check_file, holds_store, system_errors
from crdtstore.storage.lock import stays_in_place
from crdtstore.storage.wal_recovery import check_recovered

if TYPE_CHECKING:
    from os import PathLike

    from crdtstore.storage.interface import Storage

COPY_MAGIC: Final = b"CRDTCOPY"
"""What a copy begins with on its way to another machine; blocks follow (`blocks`), the first tells its size."""

FILES_MAGIC: Final = b"CRDTCOP2"
"""The same, of a store with attachments: behind an empty block come their files (`attachment_copy`)."""

SIZE: Final = struct.Struct("<Q")
COPY_PROCESS: Final = Path(__file__).with_name("copy_process.py")


class Copy(NamedTuple):
    """A copy that was made: the bytes of its data file, the moment that it holds, its attachments' number."""

    bytes: int
    moment: Moment
    attachments: int


def back_up(
    store: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    created: int,
    advance: Callable[[int], object] = lambda _: None,
) -> Copy:
    """Make a backup of the store in a directory, which other processes may have open and write to.

    Args:
        store: The store's directory.
        destination: Where the backup will be; its parent must exist, it must not.
        created: The time, in milliseconds since 1970.
        advance: Told how many bytes more are copied.

    Raises:
        NotAStore: There is no store, or something else at the destination.
        CallerError: The destination holds a store already.
        StoreLocked: The store is being compacted.
        Corrupted: Its file is cut short or damaged.
        StoreFull: The disk is full.
        StoreError: The copy failed; nothing is left of it.
    """
    source = Path(store).resolve()
    with system_errors(source):
        check_store(source)
        folder = source / FOLDER_NAME
        with stays_in_place(str(source)), locked(folder, alone=False), closing(copied(source)) as pieces:
            settle = partial(copy_attachments, folder, advance=advance)
            return receive(pieces, destination, created=created, advance=advance, settle=settle)


def check_store(directory: Path) -> None:
    """Refuse a directory that holds no store, or one whose file must not be mapped or has to be recovered."""
    check_there(directory)
    check_recovered(directory)
    check_file(directory / DATA_NAME)


def check_there(directory: Path) -> None:
    """Refuse a directory that holds no store."""
    if not holds_store(directory):
        raise NotAStore(f"The directory {directory} holds no store.")


def receive(
    pieces: Iterable[bytes],
    destination: str | PathLike[str],
    *,
    created: int,
    advance: Callable[[int], object] = lambda _: None,
    settle: Callable[[Storage], int] = settle_attachments,
) -> Copy:
    """Make a backup of the pieces of a copy's data file, and of the files behind it, wherever they come from.

    Args:
        pieces: In order. What they raise ends the backup, and nothing is left of it.
        destination: As in `back_up`, and the others too.
        created: The time.
        advance: Told how many bytes more have come.
        settle: Sees that the files of attachments are there; returns how many.
    """
    directory = Path(destination).resolve()
    with system_errors(directory, "written"):
        return build_from(
            directory, partial(fill, iter(pieces), advance), partial(mark, created=created, settle=settle)
        )


def fill(pieces: Iterator[bytes], advance: Callable[[int], object], path: Path) -> None:
    """Write the pieces of a data file, and of the files behind it."""
    write_file(takewhile(bool, pieces), advance, path)
    receive_attachments(pieces, path.parent / FOLDER_NAME, advance)


def write_file(pieces: Iterable[bytes], advance: Callable[[int], object], path: Path) -> None:
    """Write pieces to a new file."""
    with path.open("xb") as file:
        path.chmod(0o600)
        for piece in pieces:
            file.write(piece)
            advance(len(piece))


def mark(storage: Storage, created: int, settle: Callable[[Storage], int]) -> Copy:
    """Settle a copy's attachments, read where it stands, which shows that it can be read, and make it a backup."""
    attachments = settle(storage)
    with storage.snapshot() as snapshot:
        moment = moment_of(snapshot)
    with storage.batch() as batch:
        put_backup(batch, Backup(BACKUP_FORMAT, moment, created, __version__))
        batch.commit()
    return Copy(storage.bytes_on_disk(), moment, attachments)


def copied(directory: Path) -> Generator[bytes, None, None]:
    """Copy a store; gives the data file of the copy piece by piece.

    Raises:
        StoreError: The copy failed: what was given of it is none.
    """
    yield from told_by(COPY_PROCESS, directory)


def told_by(program: Path, directory: Path, *more: str) -> Generator[bytes, None, None]:
    """Run a process on a store; gives what it writes to its standard output.

    Raises:
        StoreError: It failed.
        OSError: The disk is full.
    """
    command = [sys.executable, "-P", str(program), str(directory), str(MAP_BYTES_DEFAULT), str(READERS_MAX), *more]
    with subprocess.Popen(  # noqa: S603  our own file, run by the interpreter that runs this
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None, "It was asked for."
        assert process.stderr is not None, "It was asked for."
        yield from pieces_of(process.stdout)
        said = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode < 0:
        message = f"The store {directory} cannot be copied: LMDB ended with signal {-process.returncode}. Verify it."
        raise StoreError(message, signal=-process.returncode)
    if process.returncode == errno.ENOSPC:
        raise OSError(errno.ENOSPC, "the disk is full")
    if process.returncode:
        raise StoreError(f"The store {directory} cannot be copied: {said or 'its copying failed'}.")


def file_of(storage: Storage) -> Path:
    """The data file of a storage.

    Raises:
        NotFound: It is in memory.
    """
    place = getattr(storage, "path", None)
    if place is None:
        raise NotFound("This store is in memory: it has no file that could be copied.")
    return Path(place) / DATA_NAME


def sent(storage: Storage, file: Path) -> Iterator[bytes]:
    """A copy of a store for another machine, as blocks: about how many bytes it has, its data file, its attachments."""
    folder = folder_of(storage)

    def payloads() -> Iterator[bytes]:
        yield SIZE.pack(file.stat().st_size)
        with locked(folder, alone=False):
            yield from copied(file.parent)
            if magic == FILES_MAGIC:
                yield from send_attachments(storage)

    # Who knows the older form only can take a copy of a store without attachments.
    magic = FILES_MAGIC if folder.is_dir() else COPY_MAGIC
    return write_blocks(magic, payloads())


def pieces_of(file: IO[bytes]) -> Iterator[bytes]:
    """Read a file piece by piece."""
    while piece := file.read(COPY_PIECE_BYTES):
        yield piece
