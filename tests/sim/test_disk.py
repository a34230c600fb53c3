"""The simulated disk: what a crash takes back, what a backup holds, how commits fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.errors import StoreClosed, StoreError, StoreFull
from crdtstore.sim.disk import Crash, Disk, Fault, disk_of
from crdtstore.storage.interface import Storage
from crdtstore.storage.tables import Table

TABLES = (Table.LOG, Table.DOCUMENTS)
Rows = dict[tuple[Table, bytes], bytes]

keys = st.tuples(st.sampled_from(TABLES), st.integers(1, 4).map(lambda number: number.to_bytes(8, "big")))
commits = st.dictionaries(keys, st.none() | st.binary(min_size=1, max_size=2), max_size=4)
steps = st.lists(commits | st.sampled_from(["sync", "crash", "backup", "restore"]), max_size=30)


def commit(disk: Storage, rows: dict[tuple[Table, bytes], bytes | None]) -> None:
    """Commit some rows; None removes."""
    with disk.batch() as batch:
        for (table, key), value in rows.items():
            if value is None:
                batch.delete(table, key)
            else:
                batch.put(table, key, value)
        batch.commit()


def content(disk: Storage) -> Rows:
    """All rows of a disk."""
    with disk.snapshot() as snapshot:
        return {(table, key): value for table in TABLES for key, value in snapshot.scan(table)}


@pytest.mark.parametrize("keeps", [True, False])
@settings(max_examples=100)
@given(steps=steps)
def test_a_crash_takes_back_what_was_not_durable(keeps: bool, steps: list[object]) -> None:  # noqa: FBT001  a parameter
    """The model: three copies of all rows; each step copies one over another."""
    disk, image = Disk(keeps=keeps), Disk(keeps=keeps).image()
    now: Rows = {}
    durable: Rows = {}
    saved: Rows = {}
    for step in steps:
        match step:
            case dict():
                commit(disk, step)
                now = {key: value for key, value in {**now, **step}.items() if value is not None}
                durable = now if keeps else durable
            case "sync":
                disk.sync()
                durable = now
            case "crash":
                disk = disk.crash()
                now = durable
            case "backup":
                image, saved = disk.image(), now
            case "restore":
                disk = disk_of(image, keeps=keeps)
                now = durable = saved
        assert content(disk) == now


def test_a_crashed_disk_is_closed_for_who_held_it() -> None:
    disk = Disk(keeps=True)
    snapshot = disk.snapshot()
    commit(disk, {(Table.LOG, b"k"): b"v"})
    found = disk.crash()
    with pytest.raises(StoreClosed):
        snapshot.get(Table.LOG, b"k")
    assert content(found) == {(Table.LOG, b"k"): b"v"}


@pytest.mark.parametrize(
    ("fault", "raised", "is_written"),
    [
        (Fault.FULL, StoreFull, False),
        (Fault.FAILS_UNWRITTEN, StoreError, False),
        (Fault.FAILS_WRITTEN, StoreError, True),
        (Fault.CRASH_BEFORE, Crash, False),
        (Fault.CRASH_AFTER, Crash, True),
    ],
)
def test_a_planned_fault_strikes_once(fault: Fault, raised: type[BaseException], is_written: bool) -> None:  # noqa: FBT001
    disk = Disk(keeps=True)
    disk.plan_fault(1, fault)
    commit(disk, {(Table.LOG, b"a"): b"1"})
    with pytest.raises(raised):
        commit(disk, {(Table.LOG, b"b"): b"2"})
    commit(disk, {(Table.LOG, b"c"): b"3"})
    assert disk.injected == [fault]
    assert ((Table.LOG, b"b") in content(disk)) == is_written
    assert [key for _, key in content(disk)][-1] == b"c"


def test_what_is_logged_is_noted_in_order() -> None:
    disk = Disk(keeps=False)
    commit(disk, {(Table.LOG, (2).to_bytes(8, "big")): b"two", (Table.LOG, (1).to_bytes(8, "big")): b"one"})
    commit(disk, {(Table.LOG, (1).to_bytes(8, "big")): None, (Table.DOCUMENTS, b"d"): b"x"})
    assert disk.logged == [(1, b"one"), (2, b"two")]
    assert disk.entries == 2
    assert disk.crash().entries == 0
