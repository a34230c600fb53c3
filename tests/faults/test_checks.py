"""The checks after a fault see a store that is wrong in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from crdtstore import Store
from crdtstore.storage.interface import Batch
from crdtstore.storage.tables import Table
from tests.faults.checks import inconsistencies, make_twin
from tests.faults.work import Acknowledged, Name, commands, halves, missing, prepare

NAMES = [Name(0, 0, number) for number in range(20)]


def make_store(path: Path) -> list[Acknowledged]:
    with Store.open(path) as store:
        prepare(store)
        return [Acknowledged(name, store.write(commands(name)).txn) for name in NAMES]


def lose_a_document(batch: Batch) -> None:
    batch.delete(Table.DOCUMENTS, list(batch.scan(Table.DOCUMENTS))[5][0])


def lose_the_newest_record(batch: Batch) -> None:
    newest = batch.last(Table.LOG)
    assert newest is not None
    batch.delete(Table.LOG, newest[0])


def lose_a_record(batch: Batch) -> None:
    batch.delete(Table.LOG, (7).to_bytes(8, "big"))


def swap_two_records(batch: Batch) -> None:
    left, right = ((number).to_bytes(8, "big") for number in (7, 8))
    rows = [batch.get(Table.LOG, key) or b"" for key in (left, right)]
    batch.put(Table.LOG, left, rows[1])
    batch.put(Table.LOG, right, rows[0])


def lose_a_position(batch: Batch) -> None:
    batch.delete(Table.POSITIONS, list(batch.scan(Table.POSITIONS))[3][0])


def count_one_too_many(batch: Batch) -> None:
    key, row = next(batch.scan(Table.COLLECTIONS))
    name, documents, digest, *rest = msgpack.unpackb(row)
    batch.put(Table.COLLECTIONS, key, msgpack.packb([name, documents + 1, digest, *rest]))


def add_up_another_digest(batch: Batch) -> None:
    key, row = next(batch.scan(Table.COLLECTIONS))
    name, documents, digest, *rest = msgpack.unpackb(row)
    batch.put(Table.COLLECTIONS, key, msgpack.packb([name, documents, digest[::-1], *rest]))


def keep_an_old_document(batch: Batch) -> None:
    """A document that is whole, and of another id."""
    rows = list(batch.scan(Table.DOCUMENTS))
    batch.put(Table.DOCUMENTS, rows[4][0], rows[5][1])


DAMAGES = [
    lose_a_document,
    lose_the_newest_record,
    lose_a_record,
    swap_two_records,
    lose_a_position,
    count_one_too_many,
    add_up_another_digest,
    keep_an_old_document,
]


def test_a_store_that_was_left_alone_is_consistent(tmp_path: Path) -> None:
    acknowledged = make_store(tmp_path / "store")
    twin = make_twin()
    with Store.open(tmp_path / "store") as store:
        assert missing(store, acknowledged) + inconsistencies(store, twin) + halves(store) == []
        store.write(commands(Name(1, 0, 0)))
        assert inconsistencies(store, twin) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_wrong_row_is_seen(tmp_path: Path, damage: Callable[[Batch], None]) -> None:
    make_store(tmp_path / "store")
    with Store.open(tmp_path / "store") as store, store.storage.batch() as batch:
        damage(batch)
        batch.commit()
    with Store.open(tmp_path / "store") as store:
        assert inconsistencies(store, make_twin())


def test_an_acknowledged_transaction_that_is_not_there_is_missed(tmp_path: Path) -> None:
    acknowledged = make_store(tmp_path / "store")
    with Store.open(tmp_path / "store") as store:
        assert missing(store, [*acknowledged, Acknowledged(Name(1, 0, 0), 22)])
