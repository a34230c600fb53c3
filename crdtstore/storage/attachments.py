"""Attachments in their table: a row for each file that a store keeps beside its data file.

    id (34 bytes) -> [length, generation, used, idle]

Rules:

- The id is what a document's token names: two bytes that say which digest, and the digest of the file's bytes. Equal
  files are one. As text it is url-safe Base64 without padding, 46 characters.
- The generation is eight random bytes that are part of the file's name on disk (`attachment_files.py`). The file of a
  row that is deleted is removed later, by its name: it is never that of another row of the same id.
- `used` is when the file was last given to the store, in milliseconds since 1970. `idle` is when a collection first
  found that no document refers to it; 0 while one does, or none has looked.
- Rows are of one store: they are not replicated.

Not here: the files, which rows go (`crdtstore/attachments/collecting.py`).
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final, NamedTuple

import msgpack
import msgspec

from crdtstore.errors import Corrupted
from crdtstore.storage.stored_format import WITH_ATTACHMENTS, raise_format
from crdtstore.storage.tables import Table, decode_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.storage.interface import Batch, Snapshot

DIGEST_BYTES: Final = 32
PREFIX: Final = bytes([0x12, DIGEST_BYTES])
"""SHA-256, as a multihash says it: what every platform's own library computes, browsers' too."""

ID_BYTES: Final = len(PREFIX) + DIGEST_BYTES
ID_CHARS: Final = 46
GENERATION_BYTES: Final = 8
ROWS: Final = msgspec.msgpack.Decoder(tuple[int, bytes, int, int])


class Attachment(NamedTuple):
    """One file: its id, its length, the generation in its name, and since when it is in use or not."""

    id: bytes
    length: int
    generation: bytes
    used: int
    idle: int = 0

    @property
    def text(self) -> str:
        """The id as tokens have it."""
        return format_id(self.id)


def make_id(digest: bytes) -> bytes:
    """The id of a file with this SHA-256."""
    return PREFIX + digest


def format_id(id_: bytes) -> str:
    """Write an id as text."""
    return urlsafe_b64encode(id_).rstrip(b"=").decode("ascii")


def parse_id(text: str) -> bytes | None:
    """Read an id; None for a text that is none, such as the id of a file of another system."""
    if len(text) != ID_CHARS:
        return None
    try:
        id_ = urlsafe_b64decode(text.encode("ascii") + b"==")
    except (UnicodeEncodeError, binascii.Error):
        return None
    return id_ if id_.startswith(PREFIX) and format_id(id_) == text else None


def read_attachment(snapshot: Snapshot, id_: bytes) -> Attachment | None:
    """The row of an id, if there is one.

    Raises:
        Corrupted: It is damaged.
    """
    row = snapshot.get(Table.ATTACHMENTS, id_)
    return None if row is None else decode_attachment(id_, row)


def read_attachments(snapshot: Snapshot) -> Iterator[Attachment]:
    """All rows, in the order of their ids."""
    for id_, row in snapshot.scan(Table.ATTACHMENTS):
        yield decode_attachment(id_, row)


def decode_attachment(id_: bytes, row: bytes) -> Attachment:
    """Read a row.

    Raises:
        Corrupted: It is none.
    """
    length, generation, used, idle = decode_row(ROWS, Table.ATTACHMENTS, id_, row)
    sound = len(id_) == ID_BYTES and id_.startswith(PREFIX) and len(generation) == GENERATION_BYTES
    if not sound or min(length, used, idle) < 0:
        raise Corrupted("attachments", id_, "it is no row of an attachment")
    return Attachment(id_, length, generation, used, idle)


def put_attachment(batch: Batch, attachment: Attachment) -> None:
    """Write a row; the store says from now on that it has attachments."""
    raise_format(batch, WITH_ATTACHMENTS)
    batch.put(Table.ATTACHMENTS, attachment.id, msgpack.packb(list(attachment[1:])))


def delete_attachment(batch: Batch, attachment: Attachment) -> None:
    """Delete a row."""
    batch.delete(Table.ATTACHMENTS, attachment.id)
