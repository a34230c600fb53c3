"""The tables of a store, and the seal that every stored value carries.

Rules: a table's number is part of each seal, and its name is the LMDB sub-database's, so both are part of the
stored format: numbers are never reused. A seal is the CRC-32C of one byte with the table's number, the key
and the value; its four bytes stand, little-endian, behind the value. A row that was moved to another key or
table, or whose bytes were altered, therefore fails. How keys and values are made is not here.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final, TypeVar

import msgspec

from crdtstore import core, limits
from crdtstore.errors import Corrupted, LimitExceeded, StoreError

SEAL_BYTES: Final = 4

Value = TypeVar("Value")


@unique
class Table(IntEnum):
    """A table's number: what the storage interface takes. Numbers in keys are big-endian, so they sort."""

    META = 0  # name -> value: the format record, the store's own origin
    DOCUMENTS = 1  # collection and encoded id -> document bytes, behind the whole id if the key is cut
    LOG = 2  # txn id -> chain digest and record
    POSITIONS = 3  # origin and position -> txn id and chain digest of that record
    ORIGINS = 4  # origin -> how far its log was applied here, and its author vector
    REPLICAS = 5  # replica -> actor and origin
    PATHS = 6  # collection and path -> encoded path
    COLLECTIONS = 7  # collection -> name, number of documents and their digest
    KEYS = 8  # name -> a small durable value of the layers above, such as an API key
    RANGES = 9  # level, collection and end of a range of keys -> its documents, their digest, where it starts
    PEERS = 10  # origin of another store -> what is known of it
    INDEXES = 11  # index -> its definition, how far it is built, its counts
    ENTRIES = 12  # index, part, columns, id -> how the id stands in the key
    ATTACHMENTS = 13  # id of a file -> its length, which file on the disk, since when it is or is not in use
    IMAGES = 14  # txn id, document -> collection, id, the document before and after


TABLE_NAMES: Final = tuple(table.name.lower() for table in Table)
"""The names of the LMDB sub-databases, in the order of their numbers."""

TABLES_ADDED: Final = 4
"""How many of them, the last ones, came after the first stores. A store that lacks them is given them when it is opened
for writing; read-only they count as empty."""

SEAL_STARTS: Final = tuple(core.crc32c(bytes([table])) for table in Table)
"""The checksum of each table's number, from which its seals go on."""


def table_name(table: int) -> str:
    """Return a table's name; `StoreError` if there is none of this number."""
    if not 0 <= table < len(TABLE_NAMES):
        raise StoreError(f"There is no table {table}.")
    return TABLE_NAMES[table]


def check_key(key: bytes) -> None:
    """Refuse a key that is empty or longer than `limits.KEY_BYTES_MAX`: `LimitExceeded`."""
    if not 1 <= len(key) <= limits.KEY_BYTES_MAX:
        raise LimitExceeded(
            f"A key holds 1 to {limits.KEY_BYTES_MAX} bytes, and this one {len(key)}.",
            limit="KEY_BYTES_MAX",
            value=len(key),
            maximum=limits.KEY_BYTES_MAX,
        )


def check_start(start: bytes) -> None:
    """Refuse a scan's start that no key could have; an empty one stands for the first key."""
    if start:
        check_key(start)


def seal(table: int, key: bytes, value: bytes) -> bytes:
    """Return the bytes to store for a value: the value and its seal."""
    return value + checksum(table, key, value).to_bytes(SEAL_BYTES, "little")


def unseal(table: int, key: bytes, stored: bytes) -> bytes:
    """Return the value that stands in stored bytes; `Corrupted` if its seal does not match."""
    value, sealed = stored[:-SEAL_BYTES], stored[-SEAL_BYTES:]
    if len(stored) < SEAL_BYTES or checksum(table, key, value) != int.from_bytes(sealed, "little"):
        raise Corrupted(table_name(table), key)
    return value


def decode_row(decoder: msgspec.msgpack.Decoder[Value], table: int, key: bytes, row: bytes) -> Value:
    """Decode a value whose seal was right.

    Raises:
        Corrupted: It is none of this table's all the same: another program, or a fault of this one, has written it.
    """
    try:
        return decoder.decode(row)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupted(table_name(table), key, f"its value is none of this table: {error}") from None


def checksum(table: int, key: bytes, value: bytes) -> int:
    """Compute the CRC-32C of a row."""
    crc: int = core.crc32c(value, core.crc32c(key, SEAL_STARTS[table]))
    return crc
