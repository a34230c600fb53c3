"""A filter says which documents a reader of the feed is told of: the one place where that is decided.

Rules: it is judged on a document's bytes before and after, never decoded. A document that comes to match enters, one
that ceases to match leaves, whatever else became of it. Equal filters have equal keys, by which readers share work.
Where a document's bytes are not known, a condition cannot be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtstore.query.find import filter_of
from crdtstore.query.rules import EVERYTHING, Rules
from crdtstore.query.tree import Literal, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crdtstore.feed.event import DocumentChange, Event
    from crdtstore.query.program import Filter as Program
    from crdtstore.query.tree import Node


@dataclass(frozen=True, slots=True)
class Filter:
    """Collections, None for all, the condition for their documents, None for none, and what the reader sees at all."""

    collections: frozenset[str] | None
    program: Program | None
    rules: Rules = EVERYTHING
    without: str | None = None
    """What names of collections begin with that are not told of; None where all are."""

    @property
    def key(self) -> object:
        """What equal filters have in common."""
        condition = b"" if self.program is None else canonical(self.program.node)
        rules = frozenset((name, canonical(node)) for name, node in self.rules.read.items())
        return self.collections, condition, rules, self.rules.whole, self.without

    @property
    def judges(self) -> bool:
        """Whether it takes a document's bytes to say if it is told of."""
        return self.program is not None or bool(self.rules.read) or self.rules.whole is not None

    def covers(self, collection: str) -> bool:
        """Whether documents of a collection are told at all."""
        if self.without is not None and collection.startswith(self.without):
            return False
        return self.collections is None or collection in self.collections

    def judge(self, change: DocumentChange) -> Event | None:
        """What is told of a change, if anything."""
        if not self.covers(change.touched.collection.name):
            return None
        old, new = self.shows(change, change.before), self.shows(change, change.after)
        return change.event(old=old, new=new) if old or new else None

    def shows(self, change: DocumentChange, document: bytes) -> bool:
        """Whether a reader sees the document as these bytes."""
        collection, id_, _, _ = change.touched
        if not document or not self.rules.shows(change.catalog, collection, id_, document):
            return False
        return self.program is None or self.program.matches(change.catalog, collection, id_, document)


def make_filter(
    collections: Iterable[str] | None, node: Node | None, rules: Rules = EVERYTHING, without: str | None = None
) -> Filter:
    """The filter of these collections, but for some, and of a condition, for who sees what rules show."""
    for collection in rules.fields:
        rules.check_all_fields(collection)
    named = None if collections is None else frozenset(collections)
    always = node is None or (isinstance(node, Literal) and node.value is True)
    return Filter(named, None if always or node is None else filter_of(node), rules, without)
