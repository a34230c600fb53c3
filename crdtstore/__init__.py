"""A document store whose every field is a CRDT, with one totally ordered line of transactions.

The public names are the ones here; everything else may change.
"""

from __future__ import annotations

from crdtstore import errors
from crdtstore._version import __version__
from crdtstore.command.command import Command, Increment, Remove, ReplaceWithCounter, Set, SetAttachment, Update, Upsert
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
