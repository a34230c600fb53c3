"""A draft is one transaction in progress: the documents it touches, as they will be.

Rules: a draft reads through to the commit group's batch and writes nothing there; it is accepted whole (`put`) or
dropped. Each document keeps its bytes from before and one fold of what the transaction does to it; its bytes
after are the fold merged into the bytes before, by the same function that applies a record from elsewhere. So the
transaction's own commands see what earlier ones did, and the record says exactly what was done. A transaction of plain
upserts is staged instead: the compiled core makes its documents ready in one pass. As soon as somebody asks for one of
them, all of them become documents of the draft.

Not here: what a command does; see `command/`. What makes it a transaction; see `version/`.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

from crdtstore import core
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.fold import Fold
from crdtstore.crdt.identifier import decode_id
from crdtstore.crdt.path import ROOT
from crdtstore.crdt.record import encode_changes
from crdtstore.errors import LimitExceeded
from crdtstore.limits import DOCUMENT_BYTES_MAX
from crdtstore.storage.documents import get_document, put_document
from crdtstore.storage.index_entries import ID_FIELD, change_entries

if TYPE_CHECKING:
    from array import array

    from crdtstore.crdt.stamp import Stamp
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.interface import Batch


class Changes(NamedTuple):
    """What a transaction changes: the collections in the order in which it does, the documents as a record has them."""

    collections: tuple[str, ...]
    encoded: bytes


class DraftDocument:
    """One document of a draft."""

    __slots__ = ("after", "before", "collection", "digest", "draft", "fold", "id", "key", "operations")

    def __init__(self, draft: Draft, collection: Collection, encoded_id: bytes, before: bytes) -> None:
        self.draft = draft
        self.collection = collection
        self.id = encoded_id
        self.before = before
        self.key: bytes = core.digest_key(collection.name, encoded_id)
        self.fold = Fold()
        self.operations = b""
        self.digest = bytearray(16)
        self.after: bytes | None = before

    @property
    def is_buried(self) -> bool:
        """Whether the document was buried, before or by this transaction."""
        return self.fold.buried or is_grave(self.before)

    def living(self) -> bytes:
        """As `document`; empty for a buried one."""
        return b"" if self.is_buried else self.document()

    def changed(self) -> None:
        """Note that the fold changed: the bytes after are to be made anew."""
        self.after = None

    def keep_fold(self) -> Fold:
        """A copy of the fold, to be put back when a command fails half way."""
        return deepcopy(self.fold)

    def restore_fold(self, fold: Fold) -> None:
        """Put a fold back."""
        self.fold = fold
        self.changed()

    def document(self) -> bytes:
        """The document's bytes with all that the transaction did so far.

        Raises:
            LimitExceeded: It would take more than DOCUMENT_BYTES_MAX bytes.
        """
        if self.after is None:
            self.after = self.merge()
        return self.after

    def merge(self) -> bytes:
        """Merge the fold into the bytes before."""
        self.operations = core.encode_operations(self.fold.operations())
        self.digest = bytearray(16)
        draft = self.draft
        merged: bytes = core.merge_document(
            self.before,
            self.operations,
            draft.stamp.timestamp,
            draft.replica,
            draft.coverage,
            self.collection.paths,
            draft.catalog.replicas,
            self.key,
            self.digest,
        )
        if len(merged) > DOCUMENT_BYTES_MAX:
            message = (
                f"Document {decode_id(self.id)!r:.60} of collection {self.collection.name} would take {len(merged)} "
                f"bytes, bookkeeping included; at most {DOCUMENT_BYTES_MAX} are allowed."
            )
            raise LimitExceeded(message, limit="DOCUMENT_BYTES_MAX", value=len(merged), maximum=DOCUMENT_BYTES_MAX)
        return merged


class Draft:
    """The documents of one transaction."""

    def __init__(self, batch: Batch, catalog: Catalog, stamp: Stamp, coverage: array[int]) -> None:
        self.batch = batch
        self.catalog = catalog
        self.stamp = stamp
        self.coverage = coverage
        self.replica: int = catalog.replicas.intern(stamp.replica)
        self.documents: dict[tuple[int, bytes], DraftDocument] = {}
        self.staged: Any = None
        self.rules: Any = None
        """What the transaction is held to by the layers above; None: nothing."""

    @property
    def is_empty(self) -> bool:
        """Whether no document was taken yet."""
        return not self.documents and self.staged is None

    def stage(self, staged: Any) -> None:
        """Take documents that the compiled core made ready (`core.stage_upserts`) into a draft without documents."""
        self.staged = staged

    def unstage(self) -> None:
        """Make staged documents the draft's own, so that more can be done to them."""
        staged, self.staged = self.staged, None
        staged.take_back()
        for collection, encoded_id, value in staged.documents():
            fields = {key: item for key, item in value.items() if key != ID_FIELD}
            document = self.document(collection, encoded_id)
            document.fold.write_all(core.flatten(fields, ROOT))
            document.changed()

    def document(self, collection: Collection, encoded_id: bytes, before: bytes | None = None) -> DraftDocument:
        """A document, whether it exists or not, taken into the draft; `before` are its stored bytes if known."""
        if self.staged is not None:
            self.unstage()
        known = self.documents.get((collection.number, encoded_id))
        if known is None:
            if before is None:
                before = get_document(self.batch, collection, encoded_id)
            known = self.documents[collection.number, encoded_id] = DraftDocument(self, collection, encoded_id, before)
        return known

    def touched(self, collection: Collection) -> list[DraftDocument]:
        """The documents of a collection that the transaction has taken."""
        if self.staged is not None:
            self.unstage()
        return [document for (number, _), document in self.documents.items() if number == collection.number]

    def changes(self) -> Changes:
        """Every document that changes, for the record."""
        if self.staged is not None:
            return Changes(self.staged.names, self.staged.encoded())
        changed = [document for document in self.documents.values() if document.document() != document.before]
        rows = [(document.collection.name, document.id, document.operations) for document in changed]
        return Changes(tuple(name for name, _, _ in rows), encode_changes(rows))

    def put(self) -> None:
        """Accept the draft: its documents go to the batch, in the order of their keys."""
        if self.staged is not None:
            self.staged.put()
        for _, document in sorted(self.documents.items()):
            after = document.document()
            if after != document.before:
                put_document(self.batch, document.collection, document.id, after)
                if document.collection.indexes:
                    change_entries(self.batch, document.collection, self.catalog, document.id, document.before, after)
                buried = document.is_buried - is_grave(document.before)
                document.collection.count(bool(after) - bool(document.before), bytes(document.digest), buried)

    def sizes(self) -> list[tuple[str, int]]:
        """(collection, bytes) of every changed document; neither those only looked at nor staged ones, all small."""
        changed = [document for document in self.documents.values() if document.document() != document.before]
        return [(document.collection.name, len(document.document())) for document in changed]
