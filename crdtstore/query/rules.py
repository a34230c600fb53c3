"""Rules say which documents somebody sees, and which ones he may write: a condition for each collection.

Rules of rules: a rule for reading is conjoined to every condition before it is planned, so that no count, order, cursor
or index tells of a document that is not seen; to its reader it is not there. A rule for writing holds of a document
before a transaction and after it: who may write only his own documents can neither take one of others nor give one
away. It is conjoined to the conditions of updates and removals, and checked on every document of a transaction's draft
before anything of it is written. A collection without a rule is seen, or written, whole.

Not here: whose rules these are, and whether a collection may be touched at all (`auth/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import Forbidden
from crdtstore.query.find import filter_of
from crdtstore.query.language import language_of
from crdtstore.query.tree import And, Node

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.draft import Draft, DraftDocument

NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class Rules(NamedTuple):
    """Conditions by collection."""

    read: Mapping[str, Node] = NONE
    write: Mapping[str, Node] = NONE

    def seen(self, collection: str, node: Node) -> Node:
        """A condition, for the documents that are seen."""
        return conjoin(node, self.read.get(collection))

    def written(self, collection: str, node: Node) -> Node:
        """A condition, for the documents that may be written."""
        return conjoin(node, self.write.get(collection))

    def shows(self, catalog: Catalog, collection: Collection, encoded_id: bytes, document: bytes) -> bool:
        """Whether a document is seen that is there as these bytes."""
        rule = self.read.get(collection.name)
        return rule is None or filter_of(rule).matches(catalog, collection, encoded_id, document)


EVERYTHING: Final = Rules()


def make_rules(
    read: Mapping[str, str] = NONE, write: Mapping[str, str] = NONE, *, language: str = "legacy", now: int = 0
) -> Rules:
    """Read rules that are written in one of the languages of queries.

    Args:
        read: By collection, which documents are seen.
        write: By collection, which may be written.
        language: See `docs/query.md`.
        now: What a rule takes for the time, in milliseconds since 1970, where it asks.

    Raises:
        QuerySyntaxError: One cannot be parsed.
    """

    def read_all(texts: Mapping[str, str]) -> Mapping[str, Node]:
        return {name: language_of(language).read(text, None, now) for name, text in texts.items()}

    return Rules(read_all(read), read_all(write))


def conjoin(node: Node, rule: Node | None) -> Node:
    """A condition and a rule, if there is one."""
    return node if rule is None else And((node, rule))


def check_draft(draft: Draft) -> None:
    """Refuse a transaction that changes a document against the rules that it runs under.

    Raises:
        Forbidden: A document breaks one before the transaction, or after it.
    """
    rules: Rules = draft.rules
    for document in draft.documents.values():
        rule = rules.write.get(document.collection.name)
        if rule is not None and document.document() != document.before:
            check_document(draft.catalog, document, rule)


def check_document(catalog: Catalog, document: DraftDocument, rule: Node) -> None:
    """Refuse to change one document."""
    holds = filter_of(rule)
    before = b"" if is_grave(document.before) else document.before
    for when, seen in (("before", before), ("after", document.living())):
        if seen and not holds.matches(catalog, document.collection, document.id, seen):
            id_, name = decode_id(document.id), document.collection.name
            message = f"Document {id_!r:.60} of collection {name!r} may not be written: a rule does not hold of it"
            raise Forbidden(f"{message} {when} the transaction.", verb="write", collection=name)
