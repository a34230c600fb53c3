"""What version 1 takes in query strings and answers, as types: for the documents of the API.

Not here: what later versions answer (`crdtstore.http.store.answers`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from crdtstore import limits
from crdtstore.http.store.answers import Natural


class CollectionsAnswer(msgspec.Struct):
    """The collections that the caller may read."""

    collections: list[str]


class CallFound(msgspec.Struct, rename="camel"):
    """Raw documents that match, and the transaction that they were read at; `version` is its older name."""

    documents: list[dict[str, Any]]
    txn_id: Natural
    version: Natural


class CallFoundById(msgspec.Struct, rename="camel"):
    """The raw document, or null, and a transaction that it reflects; `version` is its older name."""

    document: dict[str, Any] | None
    txn_id: Natural
    version: Natural


class Accepted(msgspec.Struct):
    """The transaction that was written."""

    txn_id: Natural


class ListingArguments(msgspec.Struct):
    """Which documents are listed, at most how many, and how long that may take."""

    find: str = "true"
    limit: Natural = limits.FIND_LIMIT_DEFAULT
    timeout_millis: Natural | msgspec.UnsetType = msgspec.UNSET
