"""A condition says what a document must be for a transaction to run; it is asked on the transaction's draft.

Rules: a document is known by its digest, which is the same on every store that holds the same of it. Conditions are
asked before the first command runs, in the batch that the transaction becomes part of: nothing can come in between.
A document that was buried is not there.

Not here: how callers write conditions (`http/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from crdtstore import core
from crdtstore.command.execute import execute
from crdtstore.crdt.document import DIGEST_BYTES
from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.identifier import encode_id
from crdtstore.crdt.value import Value
from crdtstore.errors import PreconditionFailed
from crdtstore.storage.documents import get_document

if TYPE_CHECKING:
    from crdtstore.command.command import Command
    from crdtstore.command.result import Result
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.draft import Draft


class Condition(NamedTuple):
    """What must hold of one document.

    Args:
        collection: Its collection.
        id: Its id.
        digests: It is there, and has one of these digests; None: it is there, whatever it is.
        holds: Whether that must be so, or must not; None: the document is only named, for its digest afterwards.
    """

    collection: str
    id: Value
    digests: frozenset[bytes] | None = None
    holds: bool | None = None


def execute_when(
    commands: Sequence[Command], conditions: Sequence[Condition], draft: Draft
) -> tuple[tuple[Result, ...], tuple[bytes, ...]]:
    """Run commands if all conditions hold; their results, and the digests of the documents that conditions name.

    Raises:
        PreconditionFailed: A condition does not hold.
    """
    for condition in conditions:
        check_condition(condition, draft)
    return execute(commands, draft), tuple(digest_after(condition, draft) for condition in conditions)


def check_condition(condition: Condition, draft: Draft) -> None:
    """Refuse to go on where a condition does not hold.

    Raises:
        PreconditionFailed: It does not.
    """
    encoded_id = encode_id(condition.id)
    known = draft.catalog.by_name.get(condition.collection)
    document = get_document(draft.batch, known, encoded_id) if known else b""
    if known and draft.rules is not None:
        document = draft.rules.show(draft.catalog, known, encoded_id, document)
    is_there = bool(document) and not is_grave(document)
    if condition.digests is not None and known:
        is_there = is_there and digest_of(known, draft.catalog, encoded_id, document) in condition.digests
    if condition.holds is not None and is_there != condition.holds:
        what = "another one than the condition names" if condition.holds else "one that the condition excludes"
        message = f"Document {condition.id!r:.60} of collection {condition.collection} is {what}; nothing was written."
        raise PreconditionFailed(message, collection=condition.collection)


def digest_after(condition: Condition, draft: Draft) -> bytes:
    """The digest of a document as the transaction leaves it; zeros where there is none that is seen."""
    known = draft.catalog.by_name.get(condition.collection)
    if known is None:
        return bytes(DIGEST_BYTES)
    encoded_id = encode_id(condition.id)
    document = draft.document(known, encoded_id)
    if draft.rules is None:
        return digest_of(known, draft.catalog, encoded_id, document.document())
    seen = draft.rules.show(draft.catalog, known, encoded_id, document.living())
    return digest_of(known, draft.catalog, encoded_id, seen) if seen else bytes(DIGEST_BYTES)


def digest_of(collection: Collection, catalog: Catalog, encoded_id: bytes, document: bytes) -> bytes:
    """The digest of a document's bytes."""
    key = core.digest_key(collection.name, encoded_id)
    digest: bytes = core.document_digest(document, collection.paths, catalog.replicas, key)
    return digest
