"""A raw document: its fields with `_id` before them, as one JSON object."""

from __future__ import annotations

from crdtstore.http.respond import encode
from crdtstore.query.find import Document

EMPTY = b"{}"


def raw(document: Document) -> bytes:
    """Write a document; its fields are taken as they are."""
    id_ = encode(document.id)
    if document.json == EMPTY:
        return b'{"_id":%b}' % id_
    return b'{"_id":%b,%b' % (id_, document.json[1:])
