"""POST /api/v1/collections/{collection}/distinct_values: what the documents that match have at some paths.

Not here: what is told apart (`crdtstore.query.distinct_paths`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from crdtstore import limits
from crdtstore.finding import Matching
from crdtstore.http.call import Call
from crdtstore.http.headers import at_of
from crdtstore.http.respond import Answer, encode
from crdtstore.http.store.find import Natural
from crdtstore.query.distinct_paths import distinct_paths


class DistinctBody(msgspec.Struct, frozen=True):
    """The body of a request; keys that are not named here are tolerated."""

    paths: list[str]
    filter: str | None = None
    timeout_millis: Natural | None = None


class DistinctAnswer(msgspec.Struct):
    """The different values at each path, under the path."""

    item: dict[str, list[Any]]


async def distinct_values(call: Call) -> Answer:
    """Answer with the different values at each path."""
    asked = await call.decode(DistinctBody)
    collection, at = call.parameters["collection"], at_of(call.request)
    await call.until_readable(collection)
    seconds = limits.LISTING_SECONDS_MAX
    if asked.timeout_millis is not None:
        seconds = min(seconds, asked.timeout_millis / 1_000)

    def search() -> Answer:
        with call.session.matching(collection, asked.filter or "true", at=at, seconds=seconds) as found:
            values = distinct_paths(fields_of(found), asked.paths)
        return Answer(200, encode({"item": values}), found.txn)

    return await call.in_thread(search)


def fields_of(found: Matching) -> Iterator[dict[str, Any]]:
    """The fields of documents, the id among them."""
    return ({**document.fields, "_id": document.id} for document in found.documents)
