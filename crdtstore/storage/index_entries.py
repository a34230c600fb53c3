"""The entries of a document in an index: made from its bytes, changed with the document, taken apart by who searches.

Rules: key = index (u32 BE) ‖ part (u8) ‖ columns ‖ id; value = the length of the id at the key's end (u8). The id is
the document's key without its collection's number; a longer one than INDEX_ID_BYTES_MAX stands there as its BLAKE2b of
16 bytes, the length is 0, and the value goes on with the whole of it. A column is the value key of what is visible at
one path, cut to INDEX_COLUMN_BYTES_MAX. Parts:

  WHOLE    one entry for each living document: the values at the paths, in order
  ITEM     only with one path: an entry for each further value that it finds when it is spread, each column once
  ANY      no columns: the document has to be looked at by whoever asks for spread values. Several paths of which one
           finds further values, or more than INDEX_ITEMS_MAX of them, which have no ITEM entries then
  RIVALS   of an index of conflicts, which has no others: the encoded paths at which more than one value lives

Compiled twin: `ext/index.pxi`.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import core
from crdtstore.crdt.document import conflicts
from crdtstore.crdt.document_bytes import is_grave, unpack_document
from crdtstore.crdt.field import MISSING, step_into
from crdtstore.crdt.identifier import decode_id
from crdtstore.crdt.path import encode_path
from crdtstore.crdt.spread import spread
from crdtstore.errors import Corrupted
from crdtstore.limits import INDEX_COLUMN_BYTES_MAX, INDEX_ID_BYTES_MAX, INDEX_ITEMS_MAX
from crdtstore.storage.documents import HASH_BYTES, ID_KEY_BYTES, id_key
from crdtstore.storage.index import ANY, ITEM, NUMBER_BYTES, RIVALS, WHOLE, Index, Path
from crdtstore.storage.tables import Table

if TYPE_CHECKING:
    from crdtstore.crdt.names import Names, Replicas
    from crdtstore.crdt.value import Value
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Batch

ENTRIES: Final = int(Table.ENTRIES)
ID_FIELD: Final = "_id"

HEAD_BYTES: Final = NUMBER_BYTES + 1
"""What an entry's key begins with: the index's number, and the part of the index."""


class Made(NamedTuple):
    """Entries of documents in one index, and how many of the WHOLE ones are inexact."""

    rows: dict[bytes, bytes]
    inexact: int


NONE: Final = Made({}, inexact=0)


def entries_of(
    index: Index, encoded_id: bytes, document: bytes, paths: Names, replicas: Replicas
) -> dict[bytes, bytes]:
    """The entries of a document, key -> value; none for one that is not living."""
    return make_entries(index, encoded_id, document, paths, replicas).rows


def make_entries(index: Index, encoded_id: bytes, document: bytes, paths: Names, replicas: Replicas) -> Made:
    """As `entries_of`, and whether the WHOLE entry is inexact."""
    if core.index_entry is not None:
        known = core.index_entry(index, encoded_id, document, paths, replicas)
        if known is not False:
            return NONE if known is None else Made(dict.fromkeys(known[0], known[1]), known[2])
    return make_plain(index, encoded_id, document, paths, replicas)


def make_plain(index: Index, encoded_id: bytes, document: bytes, paths: Names, replicas: Replicas) -> Made:
    """The same, whatever the document holds."""
    if not document or is_grave(document):
        return NONE
    key = id_key(encoded_id)
    short = len(key) <= INDEX_ID_BYTES_MAX
    end = key if short else blake2b(key, digest_size=HASH_BYTES).digest()
    value = bytes([len(key)]) if short else b"\0" + key
    if index.kind == "conflicts":
        rivals = conflicts(unpack_document(document, paths, replicas))
        columns = {encode_path(path)[:INDEX_COLUMN_BYTES_MAX] for path in rivals}
        return Made({part_prefix(index, RIVALS) + column + end: value for column in columns}, inexact=0)
    fields = {**core.read_field(document, (), paths, replicas), ID_FIELD: decode_id(encoded_id)}
    return make_field_entries(index, fields, end, value, hashed=not short)


def make_field_entries(index: Index, fields: dict[str, Value], end: bytes, value: bytes, *, hashed: bool) -> Made:
    """The entries of a document's values, the id among them under `_id`."""
    lookup = partial(walk, fields)
    keys = [core.value_key(lookup(path)) for path in index.paths]
    columns = [key[:INDEX_COLUMN_BYTES_MAX] for key in keys]
    rows = {part_prefix(index, WHOLE) + b"".join(columns) + end: value}
    further = [
        {core.value_key(found)[:INDEX_COLUMN_BYTES_MAX] for found in spread(lookup, path)} - {column}
        for path, column in zip(index.paths, columns, strict=True)
    ]
    if any(further) and (len(further) > 1 or len(further[0]) > INDEX_ITEMS_MAX):
        rows[part_prefix(index, ANY) + end] = value
    elif any(further):
        rows |= {part_prefix(index, ITEM) + column + end: value for column in further[0]}
    return Made(rows, int(hashed or columns != keys))


def split_entry(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Take an entry apart.

    Returns:
        Its group, which is the key without the id (HEAD_BYTES, then the columns), and the id key of its document.

    Raises:
        Corrupted: It is none.
    """
    length = value[0] if value else -1
    behind = len(value) - 1
    if length == 0 and 0 < behind <= ID_KEY_BYTES + HASH_BYTES:
        length, behind = HASH_BYTES, 0
    if length <= 0 or behind or HEAD_BYTES + length > len(key):
        raise Corrupted("entries", key, "it is no index entry")
    end = len(key) - length
    return key[:end], key[end:] if value[0] else value[1:]


def walk(value: Value, path: Path) -> Value:
    """What a path leads to in a value, or MISSING."""
    for step in path:
        value = step_into(value, step)
        if value is MISSING:
            break
    return value


def part_prefix(index: Index, part: int) -> bytes:
    """With what the keys of a part begin."""
    return index.prefix + bytes([part])


def change_entries(
    batch: Batch, collection: Collection, catalog: Catalog, encoded_id: bytes, before: bytes, after: bytes
) -> None:
    """Bring the entries of a document that changes along, in every index of its collection that covers it.

    Args:
        batch: What the document is written to.
        collection: The document's.
        catalog: The writer's.
        encoded_id: The document's id.
        before: Its bytes until now, empty where there were none.
        after: Its bytes from now on.
    """
    catalog.dirty.add(collection)
    compiled = core.Batch is not None and isinstance(batch, core.Batch)
    if compiled and core.change_entries(batch, collection, catalog, encoded_id, before, after, ENTRIES):
        return
    key = id_key(encoded_id)
    for index in collection.indexes:
        if index.covers(key):
            change_index(batch, collection, catalog, index, encoded_id, before, after)


def change_index(
    batch: Batch,
    collection: Collection,
    catalog: Catalog,
    index: Index,
    encoded_id: bytes,
    before: bytes,
    after: bytes,
) -> None:
    """The same in one index."""
    made = (
        make_entries(index, encoded_id, document, collection.paths, catalog.replicas) for document in (before, after)
    )
    replace_entries(batch, index, *made)


def replace_entries(batch: Batch, index: Index, before: Made, after: Made) -> None:
    """Remove and put what differs."""
    for key in sorted(before.rows.keys() - after.rows.keys()):
        batch.delete(ENTRIES, key)
        index.counts[key[NUMBER_BYTES]] -= 1
    for key in sorted(after.rows.keys() - before.rows.keys()):
        batch.put(ENTRIES, key, after.rows[key])
        index.counts[key[NUMBER_BYTES]] += 1
    index.inexact += after.inexact - before.inexact
