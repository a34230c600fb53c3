"""Altered bytes of a store are refused and never served: `Corrupted`, or the row is not found under its key.

The control runs the same harness with an adapter that does not check seals: it must see altered data served.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import Corrupted
from crdtstore.storage import adapter_snapshot, tables
from crdtstore.storage.interface import Snapshot, Storage
from crdtstore.storage.tables import TABLE_NAMES, Table, seal, unseal
from tests.storage.engines import fill, open_engine

P = ParamSpec("P")
R = TypeVar("R")

ROWS = {b"key %04d!" % number: b"<value %04d>" % number * (1 + number % 9 * 60) for number in range(40)}


def positions(data: bytes, part: bytes) -> list[int]:
    """Find every place of a part of the file: old pages keep copies."""
    found, at = [], data.find(part)
    while at >= 0:
        found.append(at)
        at = data.find(part, at + 1)
    return found


def build(engine: str, path: Path) -> Path:
    """Store the rows and return the data file."""
    storage = open_engine(engine, path)
    fill(storage, ROWS)
    storage.close()
    return path / "data.mdb"


def damage(file: Path, part: bytes, offset: int, bit: int) -> None:
    """Flip one bit at an offset of a part, wherever that part stands in the file."""
    data = bytearray(file.read_bytes())
    places = positions(bytes(data), part)
    assert places
    for place in places:
        data[place + offset] ^= 1 << bit
    file.write_bytes(data)


def unless_corrupted(read: Callable[P, R], *place: P.args, **names: P.kwargs) -> R | None:
    """Return what was read, or None if it was refused."""
    try:
        return read(*place, **names)
    except Corrupted:
        return None


def served(storage: Storage) -> Iterator[tuple[bytes, bytes]]:
    """Read every row in every way, past the rows that are refused."""
    with storage.snapshot() as snapshot:
        for key in ROWS:
            value = unless_corrupted(snapshot.get, Table.LOG, key)
            if value is not None:
                yield key, value
        for edge in (snapshot.first, snapshot.last):
            row = unless_corrupted(edge, Table.LOG)
            if row is not None:
                yield row
        start = b""
        while True:
            try:
                for row in snapshot.scan(Table.LOG, start):
                    yield row
            except Corrupted as error:
                if error.key < start:
                    break
                start = error.key + b"\0"
            else:
                break
        yield from served_back(snapshot)


def served_back(snapshot: Snapshot) -> Iterator[tuple[bytes, bytes]]:
    """Read every row from the last down, past the rows that are refused."""
    end = None
    while True:
        try:
            yield from snapshot.scan_back(Table.LOG, b"", end)
        except Corrupted as error:
            if end is not None and error.key >= end:
                return
            end = error.key
        else:
            return


def missing(storage: Storage) -> tuple[set[bytes], bool]:
    """Return the rows that were not served, and whether any served row was altered."""
    rows = list(served(storage))
    return set(ROWS) - {key for key, _ in rows}, any(ROWS.get(key) != value for key, value in rows)


def test_all_rows_are_served_as_long_as_nothing_is_damaged(disk_engine: str, tmp_path: Path) -> None:
    build(disk_engine, tmp_path / "store")
    with open_engine(disk_engine, tmp_path / "store") as storage:
        assert missing(storage) == (set(), False)


@pytest.mark.parametrize("number", [0, 7, 8, 39])
@pytest.mark.parametrize("place", ["value", "seal", "key"])
def test_a_flipped_bit_is_not_served(disk_engine: str, tmp_path: Path, number: int, place: str) -> None:
    file = build(disk_engine, tmp_path / "store")
    key, value = list(ROWS.items())[number]
    chance = random.Random(number)
    if place == "key":
        damage(file, key, chance.randrange(len(key)), chance.randrange(8))
    else:
        stored = seal(Table.LOG, key, value)
        first = 0 if place == "value" else len(value)
        damage(file, stored, chance.randrange(first, len(stored)), chance.randrange(8))
    with open_engine(disk_engine, tmp_path / "store") as storage:
        lost, altered = missing(storage)
        assert not altered
        assert key in lost
        # A key that looks like another may hide its neighbours from a search by halves, never alter them.
        assert lost == {key} or place == "key"


def test_a_value_under_another_key_is_refused(disk_engine: str, tmp_path: Path) -> None:
    file = build(disk_engine, tmp_path / "store")
    data = file.read_bytes()
    first, second = (seal(Table.LOG, key, ROWS[key]) for key in (b"key 0009!", b"key 0018!"))
    assert len(first) == len(second)
    file.write_bytes(data.replace(first, b"\0" + second[1:]).replace(second, first))
    with open_engine(disk_engine, tmp_path / "store") as storage:
        assert missing(storage) == ({b"key 0009!", b"key 0018!"}, False)


def test_rows_before_a_damaged_one_are_given(disk_engine: str, tmp_path: Path) -> None:
    file = build(disk_engine, tmp_path / "store")
    key = b"key 0020!"
    damage(file, seal(Table.LOG, key, ROWS[key]), 3, 3)
    with open_engine(disk_engine, tmp_path / "store") as storage, storage.snapshot() as snapshot:
        scan = snapshot.scan(Table.LOG)
        assert [next(scan)[0] for _ in range(20)] == list(ROWS)[:20]
        with pytest.raises(Corrupted) as caught:
            next(scan)
        assert (caught.value.table, caught.value.key) == ("log", key)
        assert list(scan) == []
        back = snapshot.scan_back(Table.LOG)
        assert [next(back)[0] for _ in range(19)] == list(reversed(ROWS))[:19]
        with pytest.raises(Corrupted) as caught:
            next(back)
        assert (caught.value.table, caught.value.key) == ("log", key)
        assert list(back) == []


@pytest.mark.parametrize("way", ["scan", "scan_back"])
def test_a_row_out_of_order_is_refused(disk_engine: str, tmp_path: Path, way: str) -> None:
    file = build(disk_engine, tmp_path / "store")
    damage(file, b"key 0020!", 0, {"scan": 0, "scan_back": 2}[way])
    with open_engine(disk_engine, tmp_path / "store") as storage, storage.snapshot() as snapshot:
        scan = getattr(snapshot, way)(Table.LOG)
        with pytest.raises(Corrupted, match="out of order"):
            list(scan)


def test_a_damaged_row_can_be_replaced(disk_engine: str, tmp_path: Path) -> None:
    file = build(disk_engine, tmp_path / "store")
    key = b"key 0020!"
    damage(file, seal(Table.LOG, key, ROWS[key]), 3, 3)
    with open_engine(disk_engine, tmp_path / "store") as storage:
        with storage.batch() as batch:
            with pytest.raises(Corrupted):
                batch.get(Table.LOG, key)
            batch.put(Table.LOG, key, ROWS[key])
            batch.commit()
        assert missing(storage) == (set(), False)


def test_the_harness_sees_altered_data_where_seals_are_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter_snapshot, "unseal", lambda table, key, stored: stored[: -tables.SEAL_BYTES])
    file = build("adapter", tmp_path / "store")
    key = b"key 0020!"
    damage(file, seal(Table.LOG, key, ROWS[key]), 3, 3)
    with open_engine("adapter", tmp_path / "store") as storage:
        assert missing(storage) == (set(), True)


def test_each_engine_reads_what_the_other_wrote(tmp_path: Path) -> None:
    for number, (writer, reader) in enumerate([("compiled", "adapter"), ("adapter", "compiled")]):
        build(writer, tmp_path / str(number))
        with open_engine(reader, tmp_path / str(number)) as storage:
            assert missing(storage) == (set(), False)


@given(st.sampled_from(Table), st.binary(min_size=1, max_size=40), st.binary(max_size=100), st.data())
def test_a_seal_covers_table_key_and_value(table: Table, key: bytes, value: bytes, data: st.DataObject) -> None:
    stored = seal(table, key, value)
    assert unseal(table, key, stored) == value
    altered = bytearray(stored)
    altered[data.draw(st.integers(0, len(stored) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    other = data.draw(st.sampled_from([number for number in Table if number is not table]))
    for wrong in (
        (table, key, bytes(altered)),
        (other, key, stored),
        (table, key + b"\0", stored),
        (table, key, stored[:-1]),
        (table, key, b""),
        (table, key, b"\0\0\0"),
    ):
        with pytest.raises(Corrupted) as caught:
            unseal(*wrong)
        assert caught.value.data == {"table": TABLE_NAMES[wrong[0]], "key": wrong[1].hex()}
