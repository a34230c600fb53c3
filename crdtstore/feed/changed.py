"""The documents that entries of the log touch.

Rules: each document stands once, in the order in which it was first touched. What a joined snapshot brought is not in
the log, so after one everything may have changed.

Not here: what was done to them (`crdt/record.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import msgpack

from crdtstore.crdt.entry import is_join, is_record
from crdtstore.storage.log import LogEntry

DocumentKey: TypeAlias = tuple[str, bytes]
"""A collection's name and an encoded id."""


class Changed(NamedTuple):
    """The documents, and whether a joined snapshot may have changed any other as well."""

    documents: tuple[DocumentKey, ...]
    anything: bool


def changed(entries: Iterable[LogEntry]) -> Changed:
    """Read what entries touch."""
    documents: dict[DocumentKey, None] = {}
    anything = False
    for entry in entries:
        documents.update(dict.fromkeys(documents_of(entry.record)))
        anything = anything or is_join(entry.record)
    return Changed(tuple(documents), anything)


def documents_of(entry: bytes) -> list[DocumentKey]:
    """The documents that one entry names; an entry of this store's own log was checked before it was appended."""
    if not is_record(entry):
        return []
    *_, changes = msgpack.unpackb(entry, raw=False, strict_map_key=False)
    return [(collection, encoded_id) for collection, encoded_id, _ in changes]
