"""The format record of a store says which versions of this package may open it.

Rules: a store has the lowest format that describes it, so that older versions read what they can read whole. What a
version does not know it would not keep: a store that gets its first index, its first attachment, or its first
collection that keeps images of changes raises its format in the same commit.
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

FORMAT: Final = WITH_IMAGES
"""The newest stored format that this version reads."""

FORMAT_KEY: Final = b"format"
"""The key of the format record in table `meta`: a msgpack map of `format`, `page_bytes` and `created_by`."""


def raise_format(batch: Batch, needed: int) -> None:
    """See that a store has at least a format; a storage without a format record, in memory, has none."""
    row = batch.get(Table.META, FORMAT_KEY)
    if row is not None:
        record = msgpack.unpackb(row)
        if record["format"] < needed:
            batch.put(Table.META, FORMAT_KEY, msgpack.packb({**record, "format": needed}))


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
