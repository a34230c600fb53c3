"""What each command answers, and what a write answers as a whole."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from crdtstore.crdt.value import Value


class Upserted(NamedTuple):
    """An upsert wrote the document of this id."""

    id: Value


class Updated(NamedTuple):
    """An update changed `updated` documents; on `error` more it matched, its field commands failed.

    It left out `denied` more, which are seen and may not be written.
    """

    updated: int
    error: int
    denied: int = 0


class Removed(NamedTuple):
    """A remove took away `deleted` documents, and left out `denied` more, which are seen and may not be written."""

    deleted: int
    denied: int = 0


Result: TypeAlias = Upserted | Updated | Removed


class Written(NamedTuple):
    """A transaction that is on disk: its txn id, each command's result in order, and warnings for people.

    `digests` are those of the documents that its conditions name, as it left them.
    """

    txn: int
    results: tuple[Result, ...]
    warnings: tuple[str, ...] = ()
    digests: tuple[bytes, ...] = ()
