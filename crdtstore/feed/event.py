"""An event: what a transaction did to one document, as readers of the feed are told.

Rules: a document that comes is told as an upsert without an old value, one that changes as an update, one that goes as
a remove with its last value. Where no images can be had, the operations are told instead. `requeryRequired` says that
what changed up to its transaction cannot be told: who keeps a copy reads the documents anew, at that transaction or a
later one, and goes on behind it. An event is printed once, whoever reads it.

Not here: which events a reader is told (`filter`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from crdtstore import core
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.identifier import encode_id, read_id
from crdtstore.crdt.json_output import write_json
from crdtstore.crdt.operation import Bury, Remove
from crdtstore.crdt.operation_json import show_operation
from crdtstore.crdt.path import ROOT
from crdtstore.query.find import Document

if TYPE_CHECKING:
    from crdtstore.crdt.operation import Operation
    from crdtstore.crdt.value import Value
    from crdtstore.feed.images import Touched
    from crdtstore.storage.catalog import Catalog

Method: TypeAlias = Literal["upsert", "update", "remove"]

CHANGED: Final = "documentChanged"
REQUERY: Final = "requeryRequired"

EVENT_BYTES: Final = 600
"""What an event takes beside its text."""

HEAD: Final = b'{"txnId":%d,"type":"documentChanged","collection":%b,"change":{"method":"%b",'


@dataclass(frozen=True)
class Event:
    """What became of one document, or, with a kind of its own, that it cannot be told."""

    txn: int
    kind: str = CHANGED
    collection: str = ""
    id: Value = None
    method: Method | None = None
    old: Document | None = None
    new: Document | None = None
    operations: tuple[Operation, ...] = field(default=(), repr=False)
    """What was done, where there are no images: `old` and `new` are None then."""

    partly: bool = False
    """Whether only the new image was kept."""

    @cached_property
    def json(self) -> bytes:
        """The event as JSON."""
        if self.kind == REQUERY:
            return b'{"txnId":%d,"txnID":%d,"type":"requeryRequired","documents":[]}' % (self.txn, self.txn)
        assert self.method is not None
        head = HEAD % (self.txn, msgspec.json.encode(self.collection), self.method.encode())
        return head + self.change() + b"}}"

    def change(self) -> bytes:
        """The members of the change, behind its method."""
        if self.operations:
            shown: list[dict[str, Any]] = [show_operation(operation) for operation in self.operations]
            return b'"id":%b,"operations":%b' % (write_json(self.id), write_json(shown))
        if self.partly:
            return b'"id":%b' % write_json(self.id) if self.new is None else b'"newValue":' + self.whole(self.new)
        if self.method == "remove":
            return b'"value":' + self.whole(self.old)
        return b'"oldValue":%b,"newValue":%b' % (self.whole(self.old), self.whole(self.new))

    def whole(self, document: Document | None) -> bytes:
        """A document with its id, or null."""
        return b"null" if document is None else core.whole_json(encode_id(self.id), document.json)

    @property
    def size(self) -> int:
        """About how many bytes it takes: its text, in chunks once more, and what it is made of."""
        return 3 * len(self.json) + EVENT_BYTES


def requery(txn: int) -> Event:
    """Say that what changed up to a transaction is not told."""
    return Event(txn, REQUERY)


class DocumentChange:
    """A document that a transaction changed, to be told to readers who see it before, after, or both."""

    __slots__ = ("after", "before", "catalog", "events", "touched", "txn")

    def __init__(self, txn: int, catalog: Catalog, touched: Touched) -> None:
        self.txn = txn
        self.catalog = catalog
        self.touched = touched
        self.before = b"" if is_grave(touched.before) else touched.before
        """Its bytes before, empty where readers saw none."""
        self.after = b"" if is_grave(touched.after) else touched.after
        self.events: dict[tuple[bool, bool], Event] = {}

    def event(self, *, old: bool, new: bool) -> Event:
        """What is told to readers who saw the document before, and who see it now."""
        made = self.events.get((old, new))
        if made is None:
            made = self.events[old, new] = self.make(old=old, new=new)
        return made

    def make(self, *, old: bool, new: bool) -> Event:
        """Make that event."""
        method: Method = "remove" if not new else "update" if old else "upsert"
        name, id_ = self.touched.collection.name, read_id(self.touched.id)
        before = self.show(id_, self.before) if old else None
        after = self.show(id_, self.after) if new else None
        return Event(self.txn, CHANGED, name, id_, method, before, after)

    def show(self, id_: Value, document: bytes) -> Document:
        """One of the two images."""
        printed = core.document_json(document, self.touched.collection.paths, self.catalog.replicas)
        return Document(id_, printed)


def told_by_new(txn: int, catalog: Catalog, touched: Touched) -> Event:
    """An event of a document that was there, and whose old image was not kept."""
    change = DocumentChange(txn, catalog, touched)
    id_ = read_id(touched.id)
    new = change.show(id_, change.after) if change.after else None
    method: Method = "remove" if new is None else "update"
    return Event(txn, CHANGED, touched.collection.name, id_, method, new=new, partly=True)


def told_by_operations(txn: int, collection: str, encoded_id: bytes, operations: tuple[Operation, ...]) -> Event:
    """An event without images: what only removes is a removal, anything else may have made the document, too."""
    first, *others = operations
    removes = not others and isinstance(first, Bury | Remove) and first.path == ROOT
    method: Method = "remove" if removes else "upsert"
    return Event(txn, CHANGED, collection, read_id(encoded_id), method, operations=operations)
