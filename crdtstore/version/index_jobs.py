"""Jobs of a commit group that make, build and drop indexes; indexes are not replicated, and no transaction.

Rules: a job that fails has written nothing, and fails alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtstore.crdt.scope import format_scope, holds
from crdtstore.errors import CrdtStoreError, OutsideScope
from crdtstore.storage.index_build import (
    add_index,
    find_index,
    mark_dropped,
    read_dropped,
    read_piece,
    remove_dropped,
    write_piece,
)
from crdtstore.version.transaction import RefusedTransaction

if TYPE_CHECKING:
    from crdtstore.storage.catalog import Catalog
    from crdtstore.storage.head import Head
    from crdtstore.storage.index import Kind, Path
    from crdtstore.storage.interface import Batch


def create_index(
    batch: Batch, catalog: Catalog, head: Head, *, collection: str, name: str, kind: Kind, paths: tuple[Path, ...]
) -> int:
    """Add an index to a collection, which need not exist yet; returns its number.

    Raises:
        InvalidIndex: As `add_index`.
        OutsideScope: The store does not hold the collection.
    """
    if not holds(head.scope, collection):
        message = f"Collection {collection!r} is not in this store, which was made for {format_scope(head.scope)}."
        raise OutsideScope(message, collection=collection, scope=list(head.scope or ()))
    catalog.begin()
    try:
        return add_index(batch, catalog, catalog.intern(collection), name, kind, paths).number
    except CrdtStoreError:
        catalog.rollback()
        raise


def drop_index(_batch: Batch, catalog: Catalog, _head: Head, *, number: int) -> None:
    """Take an index out of use; `advance_index` removes it."""
    mark_dropped(catalog, number)


def advance_index(batch: Batch, catalog: Catalog, _head: Head, *, number: int) -> tuple[int, bool]:
    """Build or drop one piece of an index; how many documents it has now passed, and whether there is more to do.

    Raises:
        UnknownIndex: It is gone.
        RefusedTransaction: What has to be read is damaged. Carries `Corrupted`.
    """
    collection, index = find_index(catalog, number)
    if index.ready:
        return index.documents, False
    try:
        if index.dropping:
            keys = read_dropped(batch, index)
        else:
            piece = read_piece(batch, catalog, collection, index)
    except CrdtStoreError as error:
        raise RefusedTransaction(error) from error
    if index.dropping:
        remove_dropped(batch, catalog, collection, index, keys)
        return 0, bool(keys)
    write_piece(batch, catalog, collection, index, piece)
    return index.documents, not index.ready
