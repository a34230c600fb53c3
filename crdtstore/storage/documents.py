"""Documents in their table: keys that sort as ids do, and the long ids that a key cannot hold.

Rules: key = collection number (u32 BE) ‖ encoded id, while that takes at most KEY_PREFIX_BYTES; a longer one keeps
that many bytes, so ids stay in order, and ends in a 16-byte hash of the whole id. The value of a long key begins
with the id itself (u16 LE length ‖ id), which is compared on every read: a hash may collide, an id must not.
A buried document keeps its row, which is its grave; who reads for callers asks for living documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import Corrupted
from crdtstore.limits import KEY_PREFIX_BYTES
from crdtstore.storage.tables import SEAL_BYTES, Table

if TYPE_CHECKING:
    from crdtstore.crdt.names import Replicas
    from crdtstore.crdt.value import Value
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.interface import Batch, Snapshot, Storage

HASH_BYTES = 16
COLLECTION_NUMBER_BYTES = 4
ID_KEY_BYTES = KEY_PREFIX_BYTES - COLLECTION_NUMBER_BYTES
DOCUMENTS = int(Table.DOCUMENTS)


class Row(NamedTuple):
    """One stored document: its encoded id and its document bytes."""

    id: bytes
    document: bytes


def document_key(collection: Collection, encoded_id: bytes) -> bytes:
    """The key of a document."""
    return collection.prefix + id_key(encoded_id)


def id_key(encoded_id: bytes) -> bytes:
    """A document's key without its collection's number: the same in every store."""
    if len(encoded_id) <= ID_KEY_BYTES:
        return encoded_id
    return encoded_id[:ID_KEY_BYTES] + blake2b(encoded_id, digest_size=HASH_BYTES).digest()


def get_document(snapshot: Snapshot, collection: Collection, encoded_id: bytes) -> bytes:
    """A document's bytes; empty when it does not exist.

    Raises:
        Corrupted: The seal does not match, or another id lies under this key.
    """
    key = document_key(collection, encoded_id)
    value = snapshot.get(DOCUMENTS, key)
    if value is None:
        return b""
    row = split_row(collection, key, value)
    if row.id != encoded_id:
        raise Corrupted("documents", key, "another id of the same hash lies there")
    return row.document


def living_document(snapshot: Snapshot, collection: Collection, encoded_id: bytes) -> bytes:
    """As `get_document`; empty for a buried one too."""
    document = get_document(snapshot, collection, encoded_id)
    return b"" if is_grave(document) else document


def document_size(snapshot: Snapshot, collection: Collection, encoded_id: bytes) -> int:
    """How many bytes a document's row takes: key, value and seal, without what LMDB adds; 0 where there is none."""
    key = document_key(collection, encoded_id)
    value = snapshot.get(DOCUMENTS, key)
    return 0 if value is None else len(key) + len(value) + SEAL_BYTES


def put_document(batch: Batch, collection: Collection, encoded_id: bytes, document: bytes) -> None:
    """Store a document's bytes; empty bytes remove it."""
    key = document_key(collection, encoded_id)
    if not document:
        batch.delete(DOCUMENTS, key)
    elif len(key) <= KEY_PREFIX_BYTES:
        batch.put(DOCUMENTS, key, document)
    else:
        batch.put(DOCUMENTS, key, len(encoded_id).to_bytes(2, "little") + encoded_id + document)


def split_row(collection: Collection, key: bytes, value: bytes) -> Row:
    """The id and document of a stored row."""
    if len(key) <= KEY_PREFIX_BYTES:
        return Row(key[len(collection.prefix) :], value)
    end = 2 + int.from_bytes(value[:2], "little")
    return Row(value[2:end], value[end:])


def scan_documents(snapshot: Snapshot, collection: Collection) -> Iterator[Row]:
    """All documents of a collection, in the order of their ids (of the ids' prefixes where they are long)."""
    end = (collection.number + 1).to_bytes(4, "big")
    for key, value in snapshot.scan(DOCUMENTS, collection.prefix, end):
        yield split_row(collection, key, value)


def scan_living(snapshot: Snapshot, collection: Collection) -> Iterator[Row]:
    """As `scan_documents`, without the buried ones."""
    return (row for row in scan_documents(snapshot, collection) if not is_grave(row.document))


def read_json(storage: Storage, collection: Collection, id_: Value, replicas: Replicas) -> bytes | None:
    """A document as JSON by its id; None when it does not exist.

    Raises:
        InvalidId: What no id may be.
    """
    if core.lmdb_environment is not None and isinstance(storage, core.lmdb_environment):
        printed = core.read_json(storage, DOCUMENTS, collection.prefix, id_, collection.paths, replicas)
        if printed is not False:
            known: bytes | None = printed
            return known
    with storage.snapshot() as snapshot:
        return print_document(snapshot, collection, id_, replicas)


def read_json_many(
    snapshot: Snapshot, collection: Collection, ids: Sequence[Value], replicas: Replicas
) -> list[bytes | None]:
    """Each document of a list of ids as JSON, None where it does not exist, all of one snapshot."""
    if core.Snapshot is None or not isinstance(snapshot, core.Snapshot):
        return [print_document(snapshot, collection, id_, replicas) for id_ in ids]
    prefix, paths = collection.prefix, collection.paths
    known = core.read_json_many(snapshot, DOCUMENTS, prefix, ids, paths, replicas)
    return [
        print_document(snapshot, collection, id_, replicas) if printed is False else printed
        for id_, printed in zip(ids, known, strict=True)
    ]


def print_document(snapshot: Snapshot, collection: Collection, id_: Value, replicas: Replicas) -> bytes | None:
    """A document as JSON, through its bytes."""
    document = living_document(snapshot, collection, encode_id(id_))
    return core.document_json(document, collection.paths, replicas) if document else None
