"""The format record of a store says which versions of this package may open it.

Rules: a store has the lowest format that describes it, so that older versions read what they can read whole. What a
version does not know it would not keep: a store that gets its first index, its first attachment, or its first
collection that keeps images of changes raises its format in the same commit. While a store runs with a write-ahead log
it has a format of its own: who does not look for the log must not open it. What it has without one stands beside that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgpack

from crdtstore.errors import Corrupted, FormatTooNew, NotAStore
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from pathlib import Path

    from crdtstore.storage.interface import Batch, Storage

FORMAT_MADE: Final = 1
"""The stored format of a new store."""

WITH_INDEXES: Final = 2
"""As 1, with an index, which who knows only 1 would not keep."""

WITH_ATTACHMENTS: Final = 3
"""As 2, with files beside the data file, which who knows only 2 would leave out of a backup."""

WITH_IMAGES: Final = 4
"""As 3, with images of changes, which who knows only 3 would neither keep nor trim."""

WITH_LOG: Final = 5
"""Any of them, while there is a write-ahead log, which who knows only 4 would neither apply nor miss."""

WITHOUT_LOG: Final = "without_log"
"""The key of the format record under which the format stands that the store has once the log is gone."""

FORMAT: Final = WITH_LOG
"""The newest stored format that this version reads."""

FORMAT_KEY: Final = b"format"
"""The key of the format record in table `meta`: a msgpack map of `format`, `page_bytes` and `created_by`."""


def raise_format(batch: Batch, needed: int) -> None:
    """See that a store has at least a format; a storage without a format record, in memory, has none."""
    row = batch.get(Table.META, FORMAT_KEY)
    if row is not None:
        record = msgpack.unpackb(row)
        key = WITHOUT_LOG if WITHOUT_LOG in record else "format"
        if record[key] < needed:
            batch.put(Table.META, FORMAT_KEY, msgpack.packb({**record, key: needed}))


def mark_logged(batch: Batch) -> None:
    """Let a store be refused by who does not know the write-ahead log."""
    row = batch.get(Table.META, FORMAT_KEY)
    if row is not None:
        record = msgpack.unpackb(row)
        marked = {**record, "format": WITH_LOG, WITHOUT_LOG: record.get(WITHOUT_LOG, record["format"])}
        batch.put(Table.META, FORMAT_KEY, msgpack.packb(marked))


def mark_unlogged(batch: Batch) -> None:
    """Give a store back the format that it has without a log."""
    row = batch.get(Table.META, FORMAT_KEY)
    record = {} if row is None else msgpack.unpackb(row)
    if WITHOUT_LOG in record:
        before = record.pop(WITHOUT_LOG)
        batch.put(Table.META, FORMAT_KEY, msgpack.packb({**record, "format": before}))


def check_format(storage: Storage, directory: Path) -> None:
    """Refuse a store whose format record is missing or newer than this version.

    Raises:
        NotAStore: there is no record.
        FormatTooNew: `data` has the format `found` and the `newest` that is read.
        Corrupted: the record is damaged.
    """
    with storage.snapshot() as snapshot:
        record = snapshot.get(Table.META, FORMAT_KEY)
    if record is None:
        raise NotAStore(f"The directory {directory} holds no store: its format record is missing.")
    try:
        found = msgpack.unpackb(record)["format"]
    except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException):
        found = None
    if type(found) is not int:
        raise Corrupted("meta", FORMAT_KEY, "it is no format record")
    if found > FORMAT:
        raise FormatTooNew(
            f"The store {directory} has format {found}, and this version reads formats up to {FORMAT}.",
            found=found,
            newest=FORMAT,
        )
