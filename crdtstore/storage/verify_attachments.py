"""Verification of attachments: each row has its file, whole; and what lies there without a row is named.

Rules: every file is read. One without a row is named only when it is old: a younger one may be on its way, or left
over from a crash and swept by the next collection. A row that is damaged leaves its file without one.
"""

from __future__ import annotations

from contextlib import suppress
from time import time
from typing import TYPE_CHECKING

from crdtstore.errors import Corrupted
from crdtstore.limits import ATTACHMENT_GRACE_SECONDS_DEFAULT
from crdtstore.storage.attachment_files import folder_of, id_of_file, name_of, names_in, path_of
from crdtstore.storage.attachments import Attachment, decode_attachment
from crdtstore.storage.tables import Table
from crdtstore.storage.verify_rows import check_rows

if TYPE_CHECKING:
    from pathlib import Path

    from crdtstore.storage.verify_finding import View


def check_attachments(view: View) -> None:
    """Attachments: the rows, their files, and files without a row."""
    folder = folder_of(view.storage)
    names = set(names_in(folder))

    def check(key: bytes, value: bytes) -> str | None:
        try:
            attachment = decode_attachment(key, value)
        except Corrupted as error:
            return error.message
        names.discard(name_of(attachment))
        check_file_of(view, folder, attachment)
        return None

    check_rows(view, Table.ATTACHMENTS, check)
    for name in sorted(names):
        with suppress(FileNotFoundError):
            if time() - (folder / name).stat().st_mtime > ATTACHMENT_GRACE_SECONDS_DEFAULT:
                view.report("stray", "attachments", b"", f"The file {name} has no row.")


def check_file_of(view: View, folder: Path, attachment: Attachment) -> None:
    """Report a file that is missing, or not what its row says."""
    try:
        found, size = id_of_file(path_of(folder, attachment), lambda size: view.progress("attachments", 0, size))
    except OSError as error:
        # A collection may have removed it since the snapshot.
        with view.storage.snapshot() as newest:
            if newest.get(Table.ATTACHMENTS, attachment.id) is not None:
                view.report("attachment", "attachments", attachment.id, f"Its file cannot be read: {error}.")
        return
    if size != attachment.length:
        message = f"Its file has {size} bytes, and its row says {attachment.length}."
        view.report("attachment", "attachments", attachment.id, message)
    elif found != attachment.id:
        view.report("attachment", "attachments", attachment.id, "Its file holds other bytes than its id names.")
