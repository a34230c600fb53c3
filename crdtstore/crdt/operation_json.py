"""Operations as JSON shows them: in the history of a document, and in a feed that has no images.

Rules: an operation has its name, its path, which the document as a whole has none of, and what it carries.
"""

from __future__ import annotations

from typing import Any

from crdtstore.crdt.cell import CellType
from crdtstore.crdt.operation import (
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Remove,
    Restart,
    Start,
    Write,
)
from crdtstore.crdt.path import ROOT, format_path
from crdtstore.crdt.value import decode_value


def show_operation(operation: Operation) -> dict[str, Any]:
    """One operation: its name, its path, which the document as a whole has none of, and what it carries."""
    if isinstance(operation, Initial):
        return {**show_operation(operation.write), "initial": True}
    shown: dict[str, Any] = {"operation": type(operation).__name__.lower()}
    if operation.path != ROOT:
        shown["path"] = format_path(operation.path)
    return {**shown, **carried(operation)}


def carried(operation: Operation) -> dict[str, Any]:
    """What an operation carries beside its path."""
    match operation:
        case Write(_, value) | Attach(_, value):
            return {"value": decode_value(value)}
        case Start(_, amount) | Increment(_, _, amount):
            return {"amount": amount}
        case Restart(_, start):
            return {"value": start}
        case Remove(_, types):
            return {"types": [kind.name.lower() for kind in CellType if types & 1 << kind]}
        case Mark() | Bury() | Initial():
            return {}
