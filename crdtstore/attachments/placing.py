"""Jobs of a commit group that give files their rows and take them away; they are no transactions, and not replicated.

Rules: a job reads before it writes, so one that fails has written nothing and fails alone. A file is removed only after
the commit that deleted its row; what a crash leaves in between is swept by the next collection.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from crdtstore.errors import Corrupted
from crdtstore.storage.attachment_files import path_of
from crdtstore.storage.attachments import Attachment, delete_attachment, put_attachment, read_attachment

if TYPE_CHECKING:
    from pathlib import Path

    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.interface import Batch


def add_attachment(
    batch: Batch,
    _catalog: Catalog,
    _head: Head,
    *,
    attachment: Attachment,
    replaced: bytes = b"",
    only_renew: bool = False,
) -> Attachment | None:
    """Give a file its row; returns the one that is there now.

    Args:
        batch: The group's.
        attachment: The file.
        replaced: The generation of one that is damaged; any other one of this id stays, and is renewed.
        only_renew: Whether to do nothing where the row is gone, or of another generation; then None.
    """
    try:
        known = read_attachment(batch, attachment.id)
    except Corrupted:
        known = None  # what was there cannot be reached any more
    if only_renew and (known is None or known.generation != attachment.generation):
        return None
    if known is not None and known.generation != replaced:
        attachment = known._replace(used=max(known.used, attachment.used), idle=0)
    put_attachment(batch, attachment)
    return attachment


def forget_attachment(batch: Batch, _catalog: Catalog, _head: Head, *, attachment: Attachment) -> bool:
    """Delete a row, if it is still that of this file; returns whether it was."""
    known = read_attachment(batch, attachment.id)
    same = known is not None and known.generation == attachment.generation
    if same:
        delete_attachment(batch, attachment)
    return same


def remove_file(folder: Path, attachment: Attachment) -> None:
    """Remove a file whose row is gone, or never came."""
    with suppress(FileNotFoundError):
        path_of(folder, attachment).unlink()
