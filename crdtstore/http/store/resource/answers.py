"""What answers about documents as resources look like, as types: see `http/store/answers.py`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crdtstore.http.store.answers import Natural
from crdtstore.http.store.find import SerializedAs


class DocumentArguments(msgspec.Struct, rename="camel"):
    """The query string of one document."""

    serialized_as: SerializedAs = "latestValues"


class WrittenAnswer(msgspec.Struct, rename="camel"):
    """A document was written."""

    id: str
    transaction_id: Natural
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class RemovedAnswer(msgspec.Struct, rename="camel"):
    """A document was removed, if there was one."""

    deleted: Natural
    transaction_id: Natural
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class HistoryArguments(msgspec.Struct):
    """The query string of a history."""

    limit: Natural | msgspec.UnsetType = msgspec.UNSET
    before: Natural | msgspec.UnsetType = msgspec.UNSET


class OperationAnswer(msgspec.Struct):
    """What was done at one place of the document, or, without a path, to the whole of it."""

    operation: Literal["write", "attach", "mark", "start", "restart", "increment", "remove", "bury"]
    path: str | msgspec.UnsetType = msgspec.UNSET
    value: Any = msgspec.UNSET
    amount: int | float | msgspec.UnsetType = msgspec.UNSET
    types: list[str] | msgspec.UnsetType = msgspec.UNSET
    initial: bool | msgspec.UnsetType = msgspec.UNSET


class TransactionAnswer(msgspec.Struct, rename="camel"):
    """A transaction that touched the document."""

    transaction_id: Natural
    timestamp: str
    actor: str
    origin: str
    operations: list[OperationAnswer]


class HistoryAnswer(msgspec.Struct, rename="camel"):
    """Transactions, the newest first; how far the log was read, and whether that is all."""

    transactions: list[TransactionAnswer]
    oldest: Natural
    complete: bool
    txn_id: Natural
