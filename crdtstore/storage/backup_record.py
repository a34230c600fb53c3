"""The backup record: what makes a store's directory a backup, and says of which moment.

Rules: it is a row of META. A directory that has it is read and never written to: its origin goes on in the store that
was backed up, and two histories under one origin are a divergence. Restoring copies it and takes the record away.

Not here: making and restoring one (`backup`, `version/restore.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from crdtstore.crdt.names import Names
from crdtstore.crdt.vector import vector_digest
from crdtstore.errors import Corrupted, FormatTooNew, NotRestored
from crdtstore.limits import REPLICAS_MAX
from crdtstore.storage.catalog import read_counts, sum_digests
from crdtstore.storage.head import Head
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from pathlib import Path

    from crdtstore.storage.interface import Batch, Snapshot, Storage

BACKUP_KEY: Final = b"backup"
BACKUP_FORMAT: Final = 1


class Moment(msgspec.Struct, frozen=True):
    """Where a store stands: its origin, its newest txn, the digests of its documents and of its version vector."""

    origin: bytes
    txn: int
    documents: int
    digest: bytes
    vector: bytes

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "origin": self.origin.hex(),
            "txn": self.txn,
            "documents": self.documents,
            "digest": self.digest.hex(),
            "vector": self.vector.hex(),
        }


class Backup(msgspec.Struct, frozen=True):
    """The record: its format, the moment, when it was made (ms since 1970), and by which version of the package."""

    format: int
    moment: Moment
    created: int
    created_by: str


def moment_of(snapshot: Snapshot) -> Moment:
    """Where a store stands."""
    head = Head.load(snapshot, Names((), REPLICAS_MAX))
    counts = list(read_counts(snapshot))
    documents = sum(row.documents for row in counts)
    return Moment(head.origin, head.txn, documents, sum_digests(counts), vector_digest(head.vector))


def read_backup(snapshot: Snapshot) -> Backup | None:
    """The record; None of a store that is no backup.

    Raises:
        Corrupted: It is none.
        FormatTooNew: A newer version made the backup.
    """
    row = snapshot.get(Table.META, BACKUP_KEY)
    if row is None:
        return None
    try:
        found = msgspec.msgpack.decode(row, type=Backup)
    except msgspec.MsgspecError as error:
        raise Corrupted("meta", BACKUP_KEY, f"it is no backup record ({error})") from None
    if found.format > BACKUP_FORMAT:
        message = f"The backup has format {found.format}, and this version reads formats up to {BACKUP_FORMAT}."
        raise FormatTooNew(message, found=found.format, newest=BACKUP_FORMAT)
    return found


def put_backup(batch: Batch, backup: Backup) -> None:
    """Make a backup of what the batch writes to."""
    batch.put(Table.META, BACKUP_KEY, msgspec.msgpack.encode(backup))


def check_restored(storage: Storage, directory: Path) -> None:
    """Refuse to write to a backup.

    Raises:
        NotRestored: It is one.
    """
    with storage.snapshot() as snapshot:
        found = read_backup(snapshot)
    if found is not None:
        raise NotRestored(
            f"The directory {directory} is a backup of transaction {found.moment.txn}. Restore it, and write to what "
            "comes of it; to read it, open it read-only."
        )
