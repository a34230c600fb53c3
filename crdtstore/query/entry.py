"""An entry of an index as a reader takes it apart: its columns, and the id key of its document.

Rules: the bytes are as `storage/index_entries.py` makes them; what is none of them is `Corrupted`.
"""

from __future__ import annotations

from crdtstore.query.search import ENTRY_HEAD_BYTES, entry_id_key, entry_id_length
from crdtstore.storage.tables import Table


def columns_of(key: bytes, value: bytes) -> bytes:
    """The columns of an entry, one behind the other."""
    return key[ENTRY_HEAD_BYTES : len(key) - entry_id_length(Table.ENTRIES, key, value)]


def id_key_of(key: bytes, value: bytes) -> bytes:
    """The id key of the document that an entry belongs to."""
    return entry_id_key(Table.ENTRIES, key, value)
