"""What the change feed answers, as types: see `http/store/answers.py`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from crdtstore.http.store.answers import Natural
from crdtstore.http.store.resource.answers import OperationAnswer


class ChangeAnswer(msgspec.Struct, rename="camel"):
    """What became of a document: its old and new value, its last one, or, without these, what was done."""

    method: Literal["upsert", "update", "remove"]
    old_value: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    new_value: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    value: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    id: Any = msgspec.UNSET
    operations: list[OperationAnswer] | msgspec.UnsetType = msgspec.UNSET


class DocumentChanged(msgspec.Struct, tag_field="type", tag="documentChanged", rename="camel"):
    """A document changed."""

    txn_id: Natural
    collection: str
    change: ChangeAnswer


class RequeryRequired(msgspec.Struct, tag_field="type", tag="requeryRequired", rename="camel"):
    """What changed cannot be told: read the documents anew, at this transaction or a later one."""

    txn_id: Natural
    documents: list[Any]
    txn_id_too: Natural = msgspec.field(name="txnID")


class CutLine(msgspec.Struct, tag_field="type", tag="cut"):
    """The last line of an answer that breaks off: go on behind this transaction."""

    next: Natural


class ChangesAnswer(msgspec.Struct, rename="camel"):
    """A page of changes; the next one is what comes since `next`."""

    changes: list[DocumentChanged | RequeryRequired]
    txn_id: Natural
    next: Natural
