"""Uploads that come in several requests: a file that is not whole yet, which goes on where it ends.

    incoming/DIGEST-LENGTH-OWNER.upload      what came of it so far

Rules: who sends one knows its id and length from the start. A piece begins where the one before ended; there are no
gaps, and nothing is written twice. How far an upload is, is how long its file is: it survives a restart. The bytes are
compared with the id when they are all there; where they differ, nothing is kept. Uploads of different owners do not
meet, so that nobody spoils another's. There are at most UPLOADS_MAX of UPLOADS_BYTES_MAX in all; one that nobody went
on with for UPLOAD_SECONDS_MAX makes room.

Not here: files that come in one request (`incoming.py`).
"""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from crdtstore import limits
from crdtstore.attachments.incoming import check_bytes
from crdtstore.errors import InvalidValue, MalformedRequest, Overloaded, UploadConflict
from crdtstore.storage.attachment_files import INCOMING_NAME, id_of_file, make_folder
from crdtstore.storage.attachments import PREFIX, parse_id
from crdtstore.storage.environment import system_errors
from crdtstore.storage.settle import sync_path

if TYPE_CHECKING:
    from pathlib import Path

    from crdtstore.attachments.attachments import Put

OWNER_BYTES: Final = 8
NAME_FORM: Final = re.compile(r"[0-9a-f]{64}-([0-9]{1,19})-[0-9a-f]{16}\.upload")


class Keeper(Protocol):
    """What a whole file is given to."""

    @property
    def folder(self) -> Path:
        """Where the files are."""

    def keep_file(self, path: Path, id_: bytes, size: int) -> Put:
        """Put a file that is on disk."""


class Begun(NamedTuple):
    """An upload that is not whole: its file, how long that is and will be, and when it last grew."""

    path: Path
    received: int
    length: int
    grown: float


class Upload:
    """One upload, held by one request. Whoever began it closes it."""

    def __init__(self, uploads: Uploads, path: Path, id_: bytes, length: int) -> None:
        """Go on with what there is."""
        self.uploads = uploads
        self.path = path
        self.id = id_
        self.length = length
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.received = os.fstat(self.descriptor).st_size

    def write(self, piece: bytes) -> None:
        """Take the bytes that come next.

        Raises:
            MalformedRequest: There are more of them than the file has.
            StoreFull: The disk is full.
        """
        if self.received + len(piece) > self.length:
            raise MalformedRequest(f"The file has {self.length} bytes, says its sender, and more were sent.")
        with system_errors(self.path.parent, "written"):
            left = memoryview(piece)
            while left:
                written = os.write(self.descriptor, left)
                self.received += written
                left = left[written:]

    def close(self) -> None:
        """Let another request go on."""
        os.close(self.descriptor)
        self.uploads.release(self.path)


class Uploads:
    """The uploads of one store that are not whole."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.busy: set[Path] = set()
        self.lock = Lock()

    def begin(self, id: str, owner: bytes, start: int | None, length: int) -> Upload:
        """Begin an upload, or go on with it.

        Args:
            id: The file's.
            owner: Whose upload it is.
            start: Where the piece that comes begins in the file; None where only what came so far is asked for.
            length: The file's.

        Raises:
            InvalidValue: That is no id.
            LimitExceeded: The file is too long.
            UploadConflict: The piece does not begin where the last one ended: `data` has the bytes `received`.
            Overloaded: Another request is sending it, or too many uploads have begun.
        """
        id_ = parse_id(id)
        if id_ is None:
            raise InvalidValue(f"An attachment's id is the Base64 of its digest, 46 characters; got {id!r:.60}.")
        check_bytes(length)
        mark = blake2b(owner, digest_size=OWNER_BYTES).hexdigest()
        folder = self.keeper.folder
        path = folder / INCOMING_NAME / f"{id_[len(PREFIX) :].hex()}-{length}-{mark}.upload"
        with self.lock:
            if path in self.busy:
                raise Overloaded("Another request is sending this file just now.")
            with system_errors(folder, "written"):
                make_folder(folder)
                self.make_room(path, length)
                upload = Upload(self, path, id_, length)
            self.busy.add(path)
        if start is not None and start != upload.received:
            upload.close()
            message = f"The piece begins at byte {start}, and {upload.received} bytes are there: go on from those."
            raise UploadConflict(message, received=upload.received)
        return upload

    def release(self, path: Path) -> None:
        """Note that nobody is sending a file any more."""
        with self.lock:
            self.busy.discard(path)

    def make_room(self, path: Path, length: int) -> None:
        """See that one more upload may begin; those that nobody goes on with go.

        Raises:
            Overloaded: There are too many.
        """
        others = [begun for begun in self.begun() if begun.path != path]
        for begun in others:
            if begun.path not in self.busy and time() - begun.grown > limits.UPLOAD_SECONDS_MAX:
                begun.path.unlink(missing_ok=True)
        left = [begun for begun in others if begun.path.exists()]
        if len(left) >= limits.UPLOADS_MAX:
            message = f"{limits.UPLOADS_MAX} uploads have begun and are not whole: that is as many as may be."
            raise Overloaded(message, limit="UPLOADS_MAX", maximum=limits.UPLOADS_MAX)
        size = length + sum(begun.length for begun in left)
        if left and size > limits.UPLOADS_BYTES_MAX:
            message = f"Uploads that are not whole may take {limits.UPLOADS_BYTES_MAX} bytes; with this one {size}."
            raise Overloaded(message, limit="UPLOADS_BYTES_MAX", maximum=limits.UPLOADS_BYTES_MAX)

    def begun(self) -> list[Begun]:
        """The uploads that are not whole."""
        found = []
        incoming = self.keeper.folder / INCOMING_NAME
        for path in incoming.iterdir() if incoming.is_dir() else ():
            match = NAME_FORM.fullmatch(path.name)
            if match is not None:
                status = path.stat()
                found.append(Begun(path, status.st_size, int(match[1]), status.st_mtime))
        return found

    def finish(self, upload: Upload) -> Put:
        """Put a file that is all there; the upload is closed then as before.

        Raises:
            UploadConflict: Its bytes are not those that its id names: the upload begins anew.
        """
        with system_errors(self.keeper.folder, "written"):
            sync_path(upload.path)
            found, size = id_of_file(upload.path)
            if found != upload.id:
                upload.path.unlink()
                message = "The bytes that came are not those that the id names: nothing is kept; send the file anew."
                raise UploadConflict(message, received=0)
            put = self.keeper.keep_file(upload.path, found, size)
            upload.path.unlink(missing_ok=True)
        return put
