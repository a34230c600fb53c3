"""Which attachments documents and log entries refer to: read from their bytes, without reading the rest of them.

Rules: every cell counts that lives in a document, the losers of a conflict too: what one removal away may be seen must
be there. An id that is none of ours counts for nothing.

Not here: what is done about it (`collecting.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgpack

from crdtstore.crdt.cell import CellType
from crdtstore.crdt.document_bytes import HEADER, INITIAL, OBJECT, read_columns, read_payload
from crdtstore.crdt.entry import is_record
from crdtstore.crdt.operation import ATTACH
from crdtstore.errors import Corrupted
from crdtstore.limits import KEY_PREFIX_BYTES
from crdtstore.storage.attachments import parse_id
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crdtstore.storage.interface import Snapshot

ATTACHMENT_CODES: Final = frozenset({int(CellType.ATTACHMENT), CellType.ATTACHMENT | INITIAL})
OTHERS: Final = bytes(byte for byte in range(256) if byte & 15 not in ATTACHMENT_CODES)
"""What a column of types holds for everything else: taken out of it, few columns have anything left."""

TOKEN_HEAD: Final = b"\x83" + msgpack.packb("id")
"""What every token begins with, and hardly a record without one holds."""


def referred_in_documents(snapshot: Snapshot) -> Iterator[bytes]:
    """The ids that all documents refer to, some of them often.

    Raises:
        Corrupted: A document is damaged: what it refers to cannot be known.
    """
    for key, value in snapshot.scan(Table.DOCUMENTS):
        document = value if len(key) <= KEY_PREFIX_BYTES else value[2 + int.from_bytes(value[:2], "little") :]
        yield from referred_in_document(document)


def referred_in_document(document: bytes) -> Iterator[bytes]:
    """The ids that document bytes refer to.

    Raises:
        Corrupted: They are none.
    """
    size = int.from_bytes(document[4:8], "little")
    at = HEADER.size + size * (1 << (document[1] & 3)) if document else 0
    if not document[at : at + size].translate(None, OTHERS):
        return
    columns = read_columns(document)
    for row, code in enumerate(columns.types):
        if code & 15 in ATTACHMENT_CODES:
            yield from id_in_token(read_token(read_payload(columns, row, OBJECT)))


def read_token(payload: bytes) -> Any:
    """The token of a cell."""
    try:
        return msgpack.unpackb(payload)
    except (ValueError, msgpack.UnpackException):
        raise Corrupted("documents", b"", "an attachment's cell holds no token") from None


def referred_in_entry(entry: bytes) -> Iterator[bytes]:
    """The ids that a log entry's operations refer to; a join's are not told by its entry."""
    if is_record(entry) and TOKEN_HEAD in entry:
        for _, _, operations in msgpack.unpackb(entry, strict_map_key=False)[-1]:
            for operation in operations:
                if operation[0] & ~INITIAL == ATTACH:
                    yield from id_in_token(operation[2])


def id_in_token(token: Any) -> Iterator[bytes]:
    """The id of a token, if it is one of ours."""
    text = token.get("id") if isinstance(token, dict) else None
    id_ = parse_id(text) if isinstance(text, str) else None
    if id_ is not None:
        yield id_
