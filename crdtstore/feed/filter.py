"""A filter says which documents a reader of the feed is told of: the one place where that is decided.

Rules: it is judged on a document's bytes before and after, never decoded. A document that comes to match enters, one
that ceases to match leaves, whatever else became of it. Equal filters have equal keys, by which readers share work.
Where a document's bytes are not known, a condition cannot be judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtstore.query.find import filter_of
from crdtstore.query.tree import Literal, canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crdtstore.feed.event import DocumentChange, Event
    from crdtstore.query.program import Filter as Program
    from crdtstore.query.tree import Node


@dataclass(frozen=True, slots=True)
class Filter:
    """Collections, None for all, and the condition for their documents, None for none."""

    collections: frozenset[str] | None
    program: Program | None

    @property
    def key(self) -> tuple[object, bytes]:
        """What equal filters have in common."""
        return self.collections, b"" if self.program is None else canonical(self.program.node)

    def covers(self, collection: str) -> bool:
        """Whether documents of a collection are told at all."""
        return self.collections is None or collection in self.collections

    def judge(self, change: DocumentChange) -> Event | None:
        """What is told of a change, if anything."""
        if not self.covers(change.touched.collection.name):
            return None
        old, new = self.shows(change, change.before), self.shows(change, change.after)
        return change.event(old=old, new=new) if old or new else None

    def shows(self, change: DocumentChange, document: bytes) -> bool:
        """Whether a reader sees the document as these bytes."""
        if not document or self.program is None:
            return bool(document)
        collection, id_, _, _ = change.touched
        return self.program.matches(change.catalog, collection, id_, document)


def make_filter(collections: Iterable[str] | None, node: Node | None) -> Filter:
    """The filter of these collections and of a condition."""
    named = None if collections is None else frozenset(collections)
    always = node is None or (isinstance(node, Literal) and node.value is True)
    return Filter(named, None if always or node is None else filter_of(node))


EVERYTHING = make_filter(None, None)
