"""Documents that were deleted permanently: nobody sees them, their id is used up, and every store agrees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore.command.command import Remove, Set, Update, Upsert
from crdtstore.command.result import Removed, Updated, Upserted
from crdtstore.crdt.cell import CellType
from crdtstore.crdt.identifier import encode_id
from crdtstore.errors import DocumentBuried
from crdtstore.replication.local import sync
from crdtstore.storage.catalog import read_counts
from crdtstore.storage.documents import document_key, document_size, get_document
from crdtstore.storage.ranges import Ranges
from crdtstore.storage.tables import SEAL_BYTES
from crdtstore.store import Store
from tests.version.stores import KINDS, counts, fresh, kept, log, now, open_store

LONG = "long" * 150
"""An id that its key cannot hold."""

BURY = Remove("c", "true", deletes="permanent")


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with documents 1, 2 and a long one, of which 1 and the long one are buried."""
    with open_store(request.param, tmp_path / "store") as made:
        made.write([Upsert("c", {"x": id_}, id=id_) for id_ in (1, 2, LONG)])
        made.write([Remove("c", "_id == 1", deletes="permanent"), Remove("c", f"_id == '{LONG}'", deletes="permanent")])
        yield made


def test_no_reader_sees_it(store: Store) -> None:
    assert store.get("c", 1) is store.get("c", LONG) is None
    assert store.get_json("c", 1) is store.get_json("c", LONG) is None
    assert store.get_many_json("c", [1, 2, LONG]) == [None, b'{"x":2}', None]
    assert [found.id for found in store.find("c").documents] == [2]
    assert [found.id for found in store.find("c", "_id == 1 || _id == 2").documents] == [2]
    assert [found.id for found in store.scan("c")] == [2]
    assert store.conflicts("c", 1) == {}


def test_it_does_not_count(store: Store) -> None:
    assert store.stats().documents == 1
    assert store.stats().collections == {"c": 1}
    assert store.write([BURY]).results == (Removed(1),)
    assert store.stats().documents == 0
    assert store.collections() == ()


def test_the_row_stays_and_is_in_the_digests(store: Store) -> None:
    """The grave is in the digest, in range sums and in the collection's row."""
    assert counts(store)["c"][:2] == (3, 2)
    assert kept(store) == fresh(store.storage)
    assert [(cell.type, cell.path) for cell in store.cells("c", 1)] == [(CellType.GRAVE, b"")]
    digests = [int.from_bytes(store.document_digest("c", id_), "little") for id_ in (1, 2, LONG)]
    assert all(digests)
    assert int.from_bytes(store.digest(), "little") == sum(digests) % 2**128
    with store.view() as (snapshot, catalog):
        [row] = read_counts(snapshot)
        assert (row.documents, row.buried, row.living) == (3, 2, 1)
        [(whole, total)] = Ranges(snapshot, catalog).sums()
        pieces = [part for _, part in Ranges(snapshot, catalog).split(whole, 3)]
        assert total.documents == sum(part.documents for part in pieces) == 3


def test_its_id_is_used_up(store: Store) -> None:
    before = log(store)
    with pytest.raises(DocumentBuried, match="deleted permanently") as caught:
        store.write([Upsert("c", {"x": 5}, id=2), Upsert("c", {"x": 5}, id=1)])
    assert (caught.value.status, caught.value.code) == (409, "document-buried")
    assert store.write([Upsert("c", {"x": 5}, id=1, initial=True)]).results == (Upserted(1),)
    assert store.write([Update("c", "_id == 1", [Set("x", 5)]), Remove("c", "_id == 1")]).results == (
        Updated(0, 0),
        Removed(0),
    )
    assert log(store) == before


def test_in_one_transaction(store: Store) -> None:
    """What was written before it goes with it, and what comes behind is refused."""
    written = store.write([Upsert("c", {"x": 1}, id=7), BURY, Update("c", "true", [Set("x", 2)])])
    assert written.results == (Upserted(7), Removed(2), Updated(0, 0))
    assert counts(store)["c"][:2] == (4, 4)
    assert kept(store) == fresh(store.storage)
    with pytest.raises(DocumentBuried):
        store.write([Upsert("d", {"x": 1}, id=1), Remove("d", "true", deletes="permanent"), Upsert("d", {}, id=1)])


def test_a_concurrent_write_is_without_effect(store: Store) -> None:
    """Where a plain removal would let it survive; by delivery, by join, in either order."""
    with Store.in_memory(clock=now) as other, Store.in_memory(clock=now) as third:
        other.apply(log(store)[:1])
        other.write([Update("c", "true", [Set("x", 9)]), Upsert("c", {"y": 1}, id=1)])
        sync(third, other)
        sync(store, other)
        assert store.digest() == other.digest()
        store.trim(store.applied)
        assert sync(third, store).joined
        for each in (store, other, third):
            assert each.digest() == store.digest()
            assert [found.fields for found in each.scan("c")] == [{"x": 9}]
            assert counts(each) == counts(store)


def test_how_large_a_row_is(store: Store) -> None:
    with store.view() as (snapshot, catalog):
        known = catalog.by_name["c"]
        for id_, more in ((1, 0), (2, 0), (LONG, 2 + len(encode_id(LONG)))):
            key, document = document_key(known, encode_id(id_)), get_document(snapshot, known, encode_id(id_))
            assert document_size(snapshot, known, encode_id(id_)) == len(key) + more + len(document) + SEAL_BYTES
        assert document_size(snapshot, known, encode_id(99)) == 0
