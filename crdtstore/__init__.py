"""A document store whose every field is a CRDT, with one totally ordered line of transactions.

Rules: the public names are the ones of `__all__`; everything else may change. A name is imported when it is first
asked for, so that what needs none of them, like help on the command line, starts at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crdtstore import errors
from crdtstore._version import __version__

if TYPE_CHECKING:
    from crdtstore.command.command import (
        Command,
        Increment,
        Remove,
        ReplaceWithCounter,
        Set,
        SetAttachment,
        Update,
        Upsert,
    )
    from crdtstore.command.condition import Condition
    from crdtstore.command.result import Removed, Updated, Upserted, Written
    from crdtstore.crdt.actor import format_actor, make_actor, parse_actor
    from crdtstore.crdt.document import Sibling
    from crdtstore.errors import CrdtStoreError, VersionNotAvailable
    from crdtstore.finding import Found
    from crdtstore.live.difference import Difference
    from crdtstore.live.observation import Observation
    from crdtstore.live.query import Change
    from crdtstore.query.find import Document
    from crdtstore.query.rules import make_rules
    from crdtstore.storage.log import LogEntry
    from crdtstore.storage.stats import Stats
    from crdtstore.store import Store
    from crdtstore.writing import Applied

__all__ = [
    "Applied",
    "Change",
    "Command",
    "Condition",
    "CrdtStoreError",
    "Difference",
    "Document",
    "Found",
    "Increment",
    "LogEntry",
    "Observation",
    "Remove",
    "Removed",
    "ReplaceWithCounter",
    "Set",
    "SetAttachment",
    "Sibling",
    "Stats",
    "Store",
    "Update",
    "Updated",
    "Upsert",
    "Upserted",
    "VersionNotAvailable",
    "Written",
    "__version__",
    "errors",
    "format_actor",
    "make_actor",
    "make_rules",
    "parse_actor",
]

PLACES = {
    "Applied": "crdtstore.writing",
    "Change": "crdtstore.live.query",
    "Command": "crdtstore.command.command",
    "Condition": "crdtstore.command.condition",
    "CrdtStoreError": "crdtstore.errors",
    "Difference": "crdtstore.live.difference",
    "Document": "crdtstore.query.find",
    "Found": "crdtstore.finding",
    "Increment": "crdtstore.command.command",
    "LogEntry": "crdtstore.storage.log",
    "Observation": "crdtstore.live.observation",
    "Remove": "crdtstore.command.command",
    "Removed": "crdtstore.command.result",
    "ReplaceWithCounter": "crdtstore.command.command",
    "Set": "crdtstore.command.command",
    "SetAttachment": "crdtstore.command.command",
    "Sibling": "crdtstore.crdt.document",
    "Stats": "crdtstore.storage.stats",
    "Store": "crdtstore.store",
    "Update": "crdtstore.command.command",
    "Updated": "crdtstore.command.result",
    "Upsert": "crdtstore.command.command",
    "Upserted": "crdtstore.command.result",
    "VersionNotAvailable": "crdtstore.errors",
    "Written": "crdtstore.command.result",
    "format_actor": "crdtstore.crdt.actor",
    "make_actor": "crdtstore.crdt.actor",
    "make_rules": "crdtstore.query.rules",
    "parse_actor": "crdtstore.crdt.actor",
}
"""Where each name stands."""


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
