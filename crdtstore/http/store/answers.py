"""What answers of the store API look like, as types: the documents of the API are made of them, and tests compare.

Rules: nothing is written by way of these types, since endpoints join bytes that are there already; every answer that
tests see is checked against them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Transaction: TypeAlias = Natural | msgspec.UnsetType
"""What was only tried out has none."""

Denied: TypeAlias = Natural | msgspec.UnsetType
"""How many documents match, are seen and may not be written; left out where there are none."""


class UpsertResult(msgspec.Struct, tag_field="method", tag="upsert", rename="camel"):
    """A document was written; `id` is the one that it has."""

    id: Any
    transaction_id: Transaction = msgspec.UNSET


class UpdateResult(msgspec.Struct, tag_field="method", tag="update", rename="camel"):
    """So many documents were changed, and so many left out for an error of the command."""

    updated: Natural
    error: Natural
    transaction_id: Transaction = msgspec.UNSET
    permission_denied: Denied = msgspec.UNSET


class RemoveResult(msgspec.Struct, tag_field="method", tag="remove", rename="camel"):
    """So many documents were removed."""

    deleted: Natural
    transaction_id: Transaction = msgspec.UNSET
    permission_denied: Denied = msgspec.UNSET


class WriteAnswer(msgspec.Struct, rename="camel"):
    """One result a command, in order."""

    results: list[UpsertResult | UpdateResult | RemoveResult]
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET
    dry_run: Literal[True] | msgspec.UnsetType = msgspec.UNSET


class FullUpdateResult(UpdateResult, tag_field="method", tag="update", rename="camel", kw_only=True):
    """The same with a count that is always zero, and that of documents that match and may not be written."""

    internal_error: Natural
    permission_denied: Natural


class FullRemoveResult(RemoveResult, tag_field="method", tag="remove", rename="camel", kw_only=True):
    """The same with a count that is always zero, and that of documents that match and may not be written."""

    internal_error: Natural
    permission_denied: Natural


class FullWriteAnswer(msgspec.Struct, rename="camel"):
    """One result a command, in order."""

    results: list[UpsertResult | FullUpdateResult | FullRemoveResult]
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET
    dry_run: Literal[True] | msgspec.UnsetType = msgspec.UNSET


class DocumentAnswer(msgspec.Struct):
    """A document: its id, and its fields without it."""

    id: Any
    fields: dict[str, Any]


class FindAnswer(msgspec.Struct, rename="camel"):
    """The documents that match, and the transaction that they were read at."""

    documents: list[DocumentAnswer]
    txn_id: Natural


class PageAnswer(FindAnswer, rename="camel"):
    """The same, and how to go on behind the last document, if there may be more."""

    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


class FoundByIdAnswer(msgspec.Struct, rename="camel"):
    """The document, or null where there is none, and a transaction that it reflects."""

    txn_id: Natural
    document: DocumentAnswer | None


class FoundAnswer(msgspec.Struct, rename="camel"):
    """The document, and a transaction that it reflects."""

    id: Any
    fields: dict[str, Any]
    txn_id: Natural


class CountAnswer(msgspec.Struct, rename="camel"):
    """How many documents match, and the transaction at which they were counted."""

    count: Natural
    txn_id: Natural


class Warned(msgspec.Struct):
    """A warning."""

    description: str


class StatementFault(msgspec.Struct):
    """What went wrong; empty where nothing did."""

    description: str | msgspec.UnsetType = msgspec.UNSET
    code: int | msgspec.UnsetType = msgspec.UNSET
    data: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class StatementAnswer(msgspec.Struct, rename="camel"):
    """What came of a statement; of one that failed, too."""

    query_type: Literal["select", "mutation", "unknown"]
    items: list[Any]
    mutated_document_ids: list[Any]
    error: StatementFault
    warnings: list[Warned]
    total_warnings_count: Natural
    transaction_id: Transaction = msgspec.UNSET
    dry_run: Literal[True] | msgspec.UnsetType = msgspec.UNSET


class StatementsAnswer(msgspec.Struct):
    """What came of several statements, in order."""

    results: list[StatementAnswer]


class PeerFault(msgspec.Struct):
    """What went wrong at a peer."""

    description: str


class PeerAnswer(msgspec.Struct, rename="camel"):
    """What one peer answers."""

    peer: str
    items: list[Any]
    elapsed_milliseconds: Natural
    warnings: list[Warned]
    total_warnings_count: Natural
    error: PeerFault | msgspec.UnsetType = msgspec.UNSET


class RemoteAnswer(msgspec.Struct):
    """What the peers answer that fulfil the condition."""

    result: list[PeerAnswer]
