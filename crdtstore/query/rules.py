"""Rules say which documents somebody sees, and which ones he may write: a condition for each collection.

Rules of rules: a rule for reading is conjoined to every condition before it is planned, so that no count, order, cursor
or index tells of a document that is not seen; to its reader it is not there. A rule for writing holds of a document
before a transaction and after it: who may write only his own documents can neither take one of others nor give one
away. It is conjoined to the conditions of updates and removals, and checked on every document of a transaction's draft
before anything of it is written. A collection without a rule is seen, or written, whole; where it is said which are
seen, any other one is empty to its reader.
Where only some fields of the documents of a collection are shown, a document is to its reader what it would be without
the others, whatever form it is read in; a condition, an order or a statement that names another field is refused, and
so is what could tell of them in another way: the past, what goes on, and statements that write there.

Not here: whose rules these are, and whether a collection may be touched at all (`auth/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdtstore.crdt.document_bytes import is_grave
from crdtstore.crdt.identifier import decode_id
from crdtstore.errors import Forbidden
from crdtstore.query.find import filter_of
from crdtstore.query.language import language_of
from crdtstore.query.mask import mask
from crdtstore.query.tree import ID_PATH, And, Literal, Node, Path, paths_in

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog, Collection
    from crdtstore.storage.draft import Draft, DraftDocument

NONE: Final[Mapping[str, Any]] = MappingProxyType({})
NO_DOCUMENT: Final = Literal(False)


class Rules(NamedTuple):
    """Conditions by collection."""

    read: Mapping[str, Node] = NONE
    write: Mapping[str, Node] = NONE
    whole: frozenset[str] | None = None
    """The collections that are seen whole; None for all without a rule."""

    fields: Mapping[str, frozenset[str]] = NONE
    """The fields that are shown of the documents of a collection, besides the `_id`; all of one that is not named."""

    def to_read(self, collection: str) -> Node | None:
        """The rule for the documents that are seen of a collection; None where all are."""
        rule = self.read.get(collection)
        return NO_DOCUMENT if rule is None and self.whole is not None and collection not in self.whole else rule

    def to_write(self, collection: str) -> Node | None:
        """The rule for the documents of a collection that may be written; None where all may."""
        return self.write.get(collection)

    def narrow(self, collections: Iterable[str]) -> Rules:
        """What of the rules for reading is about some collections, for who reads these alone."""
        rules = {name: rule for name in collections if (rule := self.to_read(name)) is not None}
        fields = {name: self.fields[name] for name in rules if name in self.fields}
        return Rules(rules, fields=fields) if rules else EVERYTHING

    def check_lasting(self, collection: str) -> None:
        """Refuse what tells of the past of a document, unless a document that is seen was seen as long as it is there.

        Raises:
            Forbidden: What is seen of the collection depends on more than the `_id`, or is not all of a document.
        """
        self.check_all_fields(collection)
        rule = self.to_read(collection)
        if rule is not None and not is_about_id(rule):
            message = (
                f"A rule shows some documents of the collection {collection!r}, by more than the `_id`: what they were "
                "like before is not told."
            )
            raise Forbidden(message, verb="read", collection=collection)

    def check_unruled(self, collection: str) -> None:
        """Refuse what tells how much there is in a collection of which not everything is seen.

        Raises:
            Forbidden: A rule is for it.
        """
        if self.to_read(collection) is not None:
            message = f"A rule shows some documents of the collection {collection!r}: how they are found is not told."
            raise Forbidden(message, verb="read", collection=collection)

    def check_all_fields(self, collection: str) -> None:
        """Refuse what could tell of fields that are not shown.

        Raises:
            Forbidden: Only some fields of the collection are.
        """
        if collection in self.fields:
            message = f"Only some fields of the collection {collection!r} are shown: this could tell of the others."
            raise Forbidden(message, verb="read", collection=collection)

    def check_paths(self, collection: str, paths: Iterable[Path]) -> None:
        """Refuse what asks for a field that is not shown.

        Raises:
            Forbidden: A path is in one, or is that of the whole document.
        """
        shown = self.fields.get(collection)
        if shown is None:
            return
        for path in paths:
            if path[:1] != ID_PATH and (not path or path[0] not in shown):
                name = f"the field {path[0]!r:.60}" if path else "a document as a whole"
                message = f"This key may not read {name} of the collection {collection!r}."
                raise Forbidden(message, verb="read", collection=collection)

    def check_node(self, collection: str, node: Node) -> None:
        """The same of what a condition asks for; mostly there is nothing to look at.

        Raises:
            Forbidden: As `check_paths`.
        """
        if collection in self.fields:
            self.check_paths(collection, paths_in(node))

    def seen(self, collection: str, node: Node) -> Node:
        """A condition, for the documents that are seen."""
        return conjoin(node, self.to_read(collection))

    def written(self, collection: str, node: Node) -> Node:
        """A condition, for the documents that may be written."""
        return conjoin(node, self.to_write(collection))

    def shows(self, catalog: Catalog, collection: Collection, encoded_id: bytes, document: bytes) -> bool:
        """Whether a document is seen that is there as these bytes."""
        rule = self.to_read(collection.name)
        return rule is None or filter_of(rule).matches(catalog, collection, encoded_id, document)

    def show(self, catalog: Catalog, collection: Collection, encoded_id: bytes, document: bytes) -> bytes:
        """The bytes of a document as it is seen; none of one that is not there, or not seen."""
        if self is EVERYTHING:
            return document
        if not document or not self.shows(catalog, collection, encoded_id, document):
            return b""
        return mask(catalog.replicas, collection, document, self.fields.get(collection.name))


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


def is_about_id(rule: Node) -> bool:
    """Whether a rule asks for nothing but the `_id`, which never changes."""
    return all(path[:1] == ID_PATH for path in paths_in(rule))


def conjoin(node: Node, rule: Node | None) -> Node:
    """A condition and a rule, if there is one."""
    return node if rule is None else And((node, rule))


def check_draft(draft: Draft) -> None:
    """Refuse a transaction that changes a document against the rules that it runs under.

    Raises:
        Forbidden: A document breaks one before the transaction, or after it.
    """
    rules: Rules = draft.rules
    if not rules.write:
        return
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
