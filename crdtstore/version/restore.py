"""Restoring: a backup becomes a store again, under a new origin.

Rules: the backup is copied and stays as it is. The copy is checked against its record and takes a new epoch before
anybody else can open it: what the old origin wrote after the backup may live on in other stores, and its positions
must not be used twice. Then the copy gets its name; there is a whole restored store or none. One backup that is
restored twice becomes two origins, so a clone is a backup that is restored.

Law, in `tests/replication/test_restore.py`: a restored store and those who saw more than the backup exchange without
`Divergence` and end equal; what others have is lost nowhere. Planted bug: no new epoch.
"""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crdtstore.crdt.names import Names
from crdtstore.errors import Corrupted, NotAStore
from crdtstore.limits import REPLICAS_MAX
from crdtstore.storage.attachment_copy import copy_attachments, wake_attachments
from crdtstore.storage.attachment_files import FOLDER_NAME
from crdtstore.storage.backup import pieces_of, write_file
from crdtstore.storage.backup_record import BACKUP_KEY, Backup, moment_of, read_backup
from crdtstore.storage.environment import DATA_NAME, build_from, open_storage, system_errors
from crdtstore.storage.head import Head
from crdtstore.storage.tables import Table
from crdtstore.version.clock import steady_clock
from crdtstore.version.epoch import NOISE_BYTES, VOLATILE_KEY, renew_epoch

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from crdtstore.storage.identity import Entropy
    from crdtstore.storage.interface import Storage
    from crdtstore.version.clock import Clock


class Restored(NamedTuple):
    """The record of the backup, and the new origin of what was restored from it."""

    backup: Backup
    origin: bytes


def restore(
    backup: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    clock: Clock | None = None,
    entropy: Entropy = secrets.token_bytes,
    advance: Callable[[int], object] = lambda _: None,
) -> Restored:
    """Make a store of a backup.

    Args:
        backup: The backup's directory.
        destination: Where the store will be; its parent must exist, it must not.
        clock: Milliseconds since 1970; the machine's by default.
        entropy: Gives so many random bytes.
        advance: Told how many bytes more are copied.

    Raises:
        NotAStore: There is no backup, or something else at the destination.
        CallerError: The destination holds a store already.
        Corrupted: The backup does not hold what its record says, or its file is damaged.
        StoreFull: The disk is full.
    """
    source, directory = Path(backup).resolve(), Path(destination).resolve()
    now, noise = (clock or steady_clock())(), entropy(NOISE_BYTES)
    with system_errors(directory, "written"), open_storage(source, create=False, read_only=True) as storage:
        with storage.snapshot() as snapshot:
            found = read_backup(snapshot)
        if found is None:
            raise NotAStore(f"The directory {source} holds a store that is no backup: back it up first.")

        def begin(made: Storage) -> Restored:
            copy_attachments(source / FOLDER_NAME, made, advance)
            return begin_epoch(made, found, now, noise)

        return build_from(directory, partial(copy_file, source / DATA_NAME, advance), begin)


def copy_file(source: Path, advance: Callable[[int], object], path: Path) -> None:
    """Copy a data file to which nobody writes."""
    with source.open("rb") as file:
        write_file(pieces_of(file), advance, path)


def begin_epoch(storage: Storage, expected: Backup, clock_milliseconds: int, noise: bytes) -> Restored:
    """Check what was copied, and make it a store with an origin of its own.

    Raises:
        Corrupted: It is not what the record says.
    """
    with storage.batch() as batch:
        found = moment_of(batch)
        if found != expected.moment:
            reason = f"the backup holds {found}, and its record says {expected.moment}"
            raise Corrupted("meta", BACKUP_KEY, reason)
        head = Head.load(batch, Names((), REPLICAS_MAX))
        origin = renew_epoch(batch, head, clock_milliseconds, noise)
        batch.delete(Table.META, BACKUP_KEY)
        batch.delete(Table.META, VOLATILE_KEY)
        wake_attachments(batch)
        batch.commit()
    return Restored(expected, origin)
