"""What the events of a live query say, as types: see `http/store/answers.py`."""

from __future__ import annotations

import msgspec

from crdtstore.http.store.answers import DocumentAnswer, Natural


class RowsEvent(msgspec.Struct, rename="camel"):
    """The event `rows`: all documents that match, in their order, at a transaction."""

    documents: list[DocumentAnswer]
    txn_id: Natural


class PlacedAnswer(msgspec.Struct):
    """A document, and its place among the rows that are now."""

    index: Natural
    document: DocumentAnswer


class MoveAnswer(msgspec.Struct):
    """A row's place among the rows that were told before, and among those that are now."""

    source: Natural = msgspec.field(name="from")
    target: Natural = msgspec.field(name="to")


class DiffEvent(msgspec.Struct, rename="camel"):
    """The event `diff`: what leads from the rows that were told before to those that are now."""

    deletions: list[Natural]
    insertions: list[PlacedAnswer]
    updates: list[PlacedAnswer]
    moves: list[MoveAnswer]
    txn_id: Natural


class CutEvent(msgspec.Struct, rename="camel"):
    """The event `cut`: nothing comes any more on this answer; why, if something broke."""

    txn_id: Natural
    code: str | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
