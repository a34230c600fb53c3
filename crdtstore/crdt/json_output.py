"""JSON output is a document as a reader sees it, as one JSON object in UTF-8 without spaces.

Rules: keys of maps stand in the order of their UTF-8 bytes, those of an object inside a register as their
author ordered them. Only what JSON demands is escaped. A double is written as Python's repr, so it reads back
as itself and never looks like an integer; binary is Base64 text. A document that does not exist is null.

Compiled twin: `ext/json_output.pxi`, with `ext/json_text.pxi` and `ext/json_shape.pxi`.
"""

from __future__ import annotations

import json
from base64 import b64encode

from crdtstore.crdt.document import visible
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.identifier import read_id
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.value import Value
from crdtstore.errors import Corrupted


def document_json(document: bytes, paths: Names, replicas: Replicas) -> bytes:
    """Write a document as JSON.

    Args:
        document: Document bytes; empty for a document that does not exist.
        paths: The collection's dictionary.
        replicas: The store's.

    Returns:
        The JSON text in UTF-8.

    Raises:
        Corrupted: The bytes are not a document's.
    """
    return write_json(visible(unpack_document(document, paths, replicas)))


def whole_json(encoded_id: bytes, printed: bytes) -> bytes:
    """A document as JSON with its `_id` before the fields.

    Args:
        encoded_id: Its id, as a seal guards it.
        printed: Its fields, as `document_json` writes them.
    """
    shown = b'{"_id":' + write_json(read_id(encoded_id))
    return shown + (b"}" if printed == b"{}" else b"," + printed[1:])


def write_json(value: Value) -> bytes:
    """Write a value as JSON, as documents show it.

    Raises:
        Corrupted: A double in it is not finite.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=base64_text)
    except ValueError:
        raise Corrupted("documents", b"", "a double is not finite") from None
    return text.encode()


def base64_text(value: bytes) -> str:
    """Binary as JSON carries it."""
    return b64encode(value).decode("ascii")
