"""A field is the visible value at one place of a document: where a reader's path leads.

Rules: a path's keys lead through maps and on into the arrays and objects that registers hold; an integer is
an index into an array, from 0. A value that is visible above hides what lives below it, and the reverse.
Where nothing is visible the answer is MISSING, which is not null.

Compiled twin: `ext/field.pxi`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from crdtstore.crdt.document import visible
from crdtstore.crdt.document_bytes import unpack_document
from crdtstore.crdt.names import Names, Replicas
from crdtstore.crdt.value import Value


class Missing(Enum):
    """The type of MISSING; an enumeration, so that checkers tell it from every value."""

    MISSING = "missing"

    def __repr__(self) -> str:
        """Show the name under which it is used."""
        return "MISSING"


MISSING: Final = Missing.MISSING
"""No value is there."""


def visible_document(document: bytes, paths: Names, replicas: Replicas) -> dict[str, Value] | None:
    """Show a document as a reader sees it.

    Args:
        document: Document bytes; empty for a document that does not exist.
        paths: The collection's dictionary.
        replicas: The store's.

    Returns:
        Its fields; None when it does not exist.

    Raises:
        Corrupted: The bytes are not a document's.
    """
    return visible(unpack_document(document, paths, replicas))


def read_field(document: bytes, path: tuple[str | int, ...], paths: Names, replicas: Replicas) -> Value | Missing:
    """Read the visible value at a path.

    Args:
        document: Document bytes; empty for a document that does not exist.
        path: Keys and indexes; empty for the whole document.
        paths: The collection's dictionary.
        replicas: The store's.

    Returns:
        The value, or MISSING.

    Raises:
        Corrupted: The bytes are not a document's.
    """
    shown = visible_document(document, paths, replicas)
    value: Value | Missing = MISSING if shown is None else shown
    for step in path:
        value = step_into(value, step)
    return value


def step_into(value: Value | Missing, step: str | int) -> Value | Missing:
    """Take one step of a path: a key of an object, or an index of an array, counted from the front only."""
    match value, step:
        case dict(), str():
            return value.get(step, MISSING)
        case list(), int() if 0 <= step < len(value):
            return value[step]
    return MISSING
