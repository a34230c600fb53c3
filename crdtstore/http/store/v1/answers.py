"""What version 1 takes in query strings and answers, as types: for the documents of the API.

Not here: what later versions answer (`crdtstore.http.store.answers`).
"""

from __future__ import annotations

import msgspec

from crdtstore import limits
from crdtstore.http.store.answers import Natural


class CollectionsAnswer(msgspec.Struct):
    """The collections that the caller may read."""

    collections: list[str]


class Accepted(msgspec.Struct):
    """The transaction that was written."""

    txn_id: Natural


class ListingArguments(msgspec.Struct):
    """Which documents are listed, at most how many, and how long that may take."""

    find: str = "true"
    limit: Natural = limits.FIND_LIMIT_DEFAULT
    timeout_millis: Natural | msgspec.UnsetType = msgspec.UNSET
