"""Compacting: a store's data file is written anew, row by row into full pages, and takes the place of the old one.

Rules: nobody else may have the store open, to read it either: who has the old file mapped would go on with it. The
copy is built in `data.new` inside the store's directory, checked, and brought to disk; then one renaming puts it in
place. So a crash at any moment leaves the old file or the new one, and the next compacting removes what is left over.
The store stays what it was, to its epoch: nothing is lost.

Not here: the writing (`pack_process`).
"""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.errors import Corrupted
from crdtstore.storage.backup import check_there, told_by
from crdtstore.storage.backup_record import Moment, check_restored, moment_of
from crdtstore.storage.environment import DATA_NAME, open_engine, system_errors
from crdtstore.storage.lock import hold_store
from crdtstore.storage.settle import sync_path

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from os import PathLike

    from crdtstore.storage.interface import Storage

NEW_NAME: Final = "data.new"
PACK_PROCESS: Final = Path(__file__).with_name("pack_process.py")


class Compacted(NamedTuple):
    """The bytes of the data file before and after."""

    before: int
    after: int


def compact(path: str | PathLike[str], *, advance: Callable[[int], object] = lambda _: None) -> Compacted:
    """Compact the store in a directory.

    Args:
        path: The store's directory.
        advance: Told how many bytes more are written.

    Raises:
        NotAStore: There is no store.
        NotRestored: It is a backup, which is compact.
        StoreLocked: Somebody has it open.
        StoreFull: The disk has no room for the copy.
        StoreError: The copy failed; the store is as it was.
    """
    directory = Path(path).resolve()
    with system_errors(directory, "compacted"):
        check_there(directory)
        lock = hold_store(str(directory), writer=True, alone=True)
        # Closed last: its lock lasts until all is done, and what it has mapped is the old file.
        with open_engine(directory, lock) as storage:
            check_restored(storage, directory)
            try:
                return replace_file(storage, directory, advance)
            finally:
                shutil.rmtree(directory / NEW_NAME, ignore_errors=True)


def replace_file(storage: Storage, directory: Path, advance: Callable[[int], object]) -> Compacted:
    """Build the new file, check it, and put it in the place of the old one."""
    new, old = directory / NEW_NAME / DATA_NAME, directory / DATA_NAME
    shutil.rmtree(new.parent, ignore_errors=True)
    new.parent.mkdir(0o700)
    with closing(packed(directory, new.parent)) as sizes_written:
        for size in sizes_written:
            advance(size)
    new.chmod(0o600)
    sync_path(new)
    with storage.snapshot() as snapshot:
        check_same(new.parent, moment_of(snapshot))
    sizes = Compacted(old.stat().st_size, new.stat().st_size)
    new.rename(old)
    sync_path(directory)
    return sizes


def packed(directory: Path, new: Path) -> Generator[int, None, None]:
    """Pack a store into a new directory; gives the bytes of rows that are written."""
    rest = b""
    for piece in told_by(PACK_PROCESS, directory, str(new)):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(int, lines)


def check_same(new: Path, expected: Moment) -> None:
    """Refuse a copy that stands elsewhere than the store.

    Raises:
        Corrupted: It does.
    """
    with open_engine(new, hold_store(str(new), writer=True), read_only=True) as storage, storage.snapshot() as snapshot:
        found = moment_of(snapshot)
    if found != expected:
        raise Corrupted("meta", b"", f"the compact copy holds {found}, and the store {expected}")
