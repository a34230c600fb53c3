"""Small worlds of stores for the tests of the exchange: made, written to, and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crdtstore.command.command import Upsert
from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.document import canonical_form
from crdtstore.crdt.identifier import encode_id
from crdtstore.replication.compare import rows_of
from crdtstore.replication.missing import head_of
from crdtstore.storage.documents import scan_documents
from crdtstore.store import Store

NOW = 1_700_000_000_000


class Ticking:
    """A clock that goes on by a millisecond each time it is read."""

    def __init__(self, start: int = NOW) -> None:
        self.now = start

    def __call__(self) -> int:
        self.now += 1
        return self.now


def origin_of(number: int) -> bytes:
    """The origin of the n-th store."""
    return make_actor(number, 1)


def make(number: int, scope: Sequence[str] | None = None, start: int = NOW) -> Store:
    """The n-th store of a world."""
    return Store.in_memory(clock=Ticking(start), origin=origin_of(number), scope=scope)


def put(store: Store, id_: Any, collection: str = "a", **fields: Any) -> int:
    """Write fields of a document; the txn id."""
    return store.write([Upsert(collection, fields, id=id_)]).txn


def rows(store: Store) -> Any:
    """A store's vector with its chain digests."""
    with store.storage.snapshot() as snapshot:
        return rows_of(head_of(snapshot))


def state(store: Store) -> dict[tuple[str, bytes], bytes]:
    """The canonical form of every document."""
    with store.view() as (snapshot, catalog):
        found = {}
        for name, collection in catalog.by_name.items():
            for row in scan_documents(snapshot, collection):
                found[name, row.id] = b"".join(sorted([canonical_form(cells_of(store, name, row.id))]))
        return found


def cells_of(store: Store, collection: str, encoded_id: bytes) -> Any:
    """The cells of a document by its encoded id."""
    from crdtstore.crdt.document_bytes import unpack_document
    from crdtstore.storage.documents import get_document

    with store.view() as (snapshot, catalog):
        known = catalog.by_name[collection]
        return unpack_document(get_document(snapshot, known, encoded_id), known.paths, catalog.replicas)


def assert_equal(*stores: Store) -> None:
    """Vectors, digests and canonical forms are the same everywhere."""
    first = stores[0]
    for other in stores[1:]:
        assert [row[:3] for row in rows(other)] == [row[:3] for row in rows(first)]
        assert other.digest() == first.digest()
        assert state(other) == state(first)


def has(store: Store, id_: Any, collection: str = "a") -> bool:
    """Whether a document exists."""
    return (collection, encode_id(id_)) in state(store)
