"""The documents of a draft that a command's query matches.

Rules: a query that names ids looks those documents up; any other reads the collection. Matches are taken before
the first of them changes, so a command never sees its own work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crdtstore.query.legacy import parse
from crdtstore.query.lookup import encode_ids
from crdtstore.query.point import point_ids
from crdtstore.query.program import compile_filter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from crdtstore.crdt.value import Value
    from crdtstore.storage.catalog import Collection
    from crdtstore.storage.draft import Draft, DraftDocument


def select(draft: Draft, collection: Collection, query: str, args: Mapping[str, Value] | None) -> list[DraftDocument]:
    """The matching documents, taken into the draft.

    Raises:
        QuerySyntaxError: The query cannot be parsed.
    """
    tree = parse(query, args)
    wanted = compile_filter(tree)
    ids = point_ids(tree)
    candidates = draft.existing(collection) if ids is None else look_up(draft, collection, ids)
    found = [
        (encoded_id, document)
        for encoded_id, document in candidates
        if wanted.matches(draft.catalog, collection, encoded_id, document)
    ]
    return [draft.document(collection, encoded_id, document) for encoded_id, document in found]


def look_up(draft: Draft, collection: Collection, ids: Iterable[Value]) -> Iterator[tuple[bytes, bytes]]:
    """The documents of the given ids that exist, each once; what cannot be an id names no document."""
    for encoded_id in encode_ids(ids):
        document = draft.document(collection, encoded_id).living()
        if document:
            yield encoded_id, document
