"""What fails while a store is open: no room, no reader slot, a disk that refuses, a file that is damaged."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from crdtstore.errors import Overloaded, StoreError, StoreFull
from crdtstore.storage.tables import Table
from tests.storage import children
from tests.storage.engines import content, fill, open_engine

MAP_BYTES = 1_024 * 1_024


def test_a_full_store_is_read_and_takes_what_fits(disk_engine: str, tmp_path: Path) -> None:
    with open_engine(disk_engine, tmp_path / "store", map_bytes=MAP_BYTES) as storage:
        fill(storage, {b"a": b"1"})
        with storage.batch() as batch:
            batch.put(Table.LOG, b"b", b"2")
            with pytest.raises(StoreFull):
                batch.put(Table.LOG, b"large", bytes(2 * MAP_BYTES))
            with pytest.raises(StoreError, match="nothing of it is stored"):
                batch.commit()
        assert content(storage) == {b"a": b"1"}
        fill(storage, {b"c": b"3"})
        assert content(storage) == {b"a": b"1", b"c": b"3"}


def test_a_store_is_filled_to_the_end(disk_engine: str, tmp_path: Path) -> None:
    rows: dict[bytes, bytes] = {}
    with open_engine(disk_engine, tmp_path / "store", map_bytes=MAP_BYTES) as storage:

        def go_on() -> None:
            for number in range(2_000):
                fill(storage, {b"%04d" % number: bytes(1_000)})
                rows[b"%04d" % number] = bytes(1_000)

        with pytest.raises(StoreFull):
            go_on()
        assert len(rows) > 500
        assert content(storage) == rows
    with open_engine(disk_engine, tmp_path / "store", map_bytes=2 * MAP_BYTES) as storage:
        fill(storage, {b"more": bytes(1_000)})
        assert content(storage) == rows | {b"more": bytes(1_000)}


def test_reader_slots_run_out_and_come_back(disk_engine: str, tmp_path: Path) -> None:
    with open_engine(disk_engine, tmp_path / "store", readers_max=5) as storage:
        snapshots = [storage.snapshot() for _ in range(5)]
        with pytest.raises(Overloaded):
            storage.snapshot()
        snapshots.pop().close()
        snapshots.append(storage.snapshot())
        fill(storage, {b"a": b"1"})
        for snapshot in snapshots:
            snapshot.close()
        assert content(storage) == {b"a": b"1"}


@pytest.mark.crash
def test_the_slots_of_a_dead_reader_are_taken_over(disk_engine: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with open_engine(disk_engine, path, readers_max=5) as storage:
        with children.running(children.take_readers, disk_engine, path, 4) as child:
            assert child.ask() == 4
            child.kill()
            snapshots = [storage.snapshot() for _ in range(5)]
        for snapshot in snapshots:
            snapshot.close()


@pytest.mark.crash
def test_pages_that_cannot_be_written_leave_nothing(disk_engine: str, tmp_path: Path) -> None:
    code, seen = children.run(children.fail_writes, disk_engine, tmp_path / "store", "pages")
    assert (code, seen) == (
        0,
        {"seen": ["store", "store-closed", "done", "done"], "rows": ["a", "c", "d"]},
    )


@pytest.mark.crash
def test_a_meta_page_that_cannot_be_written_fences_the_store(disk_engine: str, tmp_path: Path) -> None:
    code, seen = children.run(children.fail_writes, disk_engine, tmp_path / "store", "meta")
    assert code == 0
    assert seen["seen"] == ["store-fenced", "store-closed", "store-fenced", "done"]
    assert seen["rows"] in (["a", "d"], ["a", "b", "d"])


@pytest.mark.crash
def test_no_damage_ends_the_process_or_is_served(tmp_path: Path) -> None:
    code, outcomes = children.run(children.damage_and_use, "compiled", tmp_path / "store", 0, 150)
    assert code == 0
    assert sum(outcomes.values()) == 150
    assert outcomes["corrupted"] > 10


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.parametrize("part", range(1, 11))
def test_no_damage_of_many_ends_the_process_or_is_served(tmp_path: Path, part: int) -> None:
    first = part * 1_000
    code, outcomes = children.run(children.damage_and_use, "compiled", tmp_path / "store", first, first + 1_000)
    assert (code, sum(outcomes.values())) == (0, 1_000)


@pytest.mark.crash
def test_the_same_damage_ends_a_process_without_the_guard(tmp_path: Path) -> None:
    code, _ = children.run(children.damage_and_use, "adapter", tmp_path / "store", 0, 150)
    assert code == -signal.SIGABRT
