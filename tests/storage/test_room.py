"""The data file is made longer ahead of its commits: seldom, by a part of itself, and never instead of an answer."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crdtstore import Store, Upsert, core
from crdtstore.errors import StoreFenced, StoreFull
from crdtstore.limits import FILE_ROOM_BYTES_MAX, FILE_ROOM_PART
from crdtstore.storage.environment import DATA_NAME, check_file, open_storage
from crdtstore.storage.interface import Storage
from crdtstore.storage.tables import Table

COMMITS = 400
ROW_BYTES = 20_000
SMALL_BYTES = 200_000

HERE = core.lmdb_environment is not None
"""The plain core makes no room."""


def put(storage: Storage, number: int) -> None:
    """Commit a row."""
    with storage.batch() as batch:
        batch.put(Table.LOG, number.to_bytes(8, "big"), bytes(ROW_BYTES))
        batch.commit()


def lengths_of(directory: Path, commits: int) -> Iterator[tuple[int, int]]:
    """The length of the data file after each commit of a row, and how much of it has been used."""
    with open_storage(directory, create=True, read_only=False) as storage:
        for number in range(commits):
            put(storage, number)
            yield (directory / DATA_NAME).stat().st_size, number * ROW_BYTES


def test_few_commits_lengthen_the_file(tmp_path: Path) -> None:
    lengths = [length for length, _ in lengths_of(tmp_path / "store", COMMITS)]
    grown = len(set(lengths))
    assert (grown <= COMMITS / 4) == HERE
    assert lengths == sorted(lengths)


def test_the_room_is_a_part_of_the_file(tmp_path: Path) -> None:
    for length, used in lengths_of(tmp_path / "store", COMMITS):
        needed = SMALL_BYTES + 2 * used
        assert length <= needed + min(needed / FILE_ROOM_PART, FILE_ROOM_BYTES_MAX)


def test_behind_what_is_used_there_are_zeros(tmp_path: Path) -> None:
    list(lengths_of(tmp_path / "store", 100))
    path = tmp_path / "store" / DATA_NAME
    page_bytes = check_file(path)
    with open_storage(tmp_path / "store", create=False, read_only=True) as storage:
        unused = storage.bytes_unused()
    tail = path.read_bytes()[-page_bytes * 4 :]
    assert (unused > len(tail) and not any(tail)) == HERE


def test_what_was_written_is_read_after_the_room_is_cut_off(tmp_path: Path) -> None:
    """Nothing counts on it: another program may have copied what is used only."""
    with Store.open(tmp_path / "store") as store:
        for number in range(100):
            store.write([Upsert("a", {"text": "x" * ROW_BYTES}, id=number)])
    path = tmp_path / "store" / DATA_NAME
    data = path.read_bytes().rstrip(b"\0")
    os.truncate(path, -(-len(data) // 4096) * 4096)
    with Store.open(tmp_path / "store") as store:
        store.write([Upsert("a", {"text": "x" * ROW_BYTES}, id="more")])
        assert store.stats().documents == 101
        assert all(len(each.json) > ROW_BYTES for each in store.scan("a"))


@contextmanager
def file_bytes_max(most: int) -> Iterator[None]:
    """Let no file become longer: writing behind it fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_no_room_can_be_made_commits_take_what_there_is(tmp_path: Path) -> None:
    with open_storage(tmp_path / "store", create=True, read_only=False) as storage:
        path = tmp_path / "store" / DATA_NAME
        for number in range(40):
            put(storage, number)
        length = path.stat().st_size
        with file_bytes_max(length + 1):
            done = until_full(storage, 40)
        assert path.stat().st_size <= length + 1
    with open_storage(tmp_path / "store", create=False, read_only=True) as storage, storage.snapshot() as snapshot:
        assert snapshot.count(Table.LOG) == done


def until_full(storage: Storage, first: int) -> int:
    """Put rows until one is refused; returns how many there are."""
    for number in range(first, first + COMMITS):
        try:
            put(storage, number)
        except (StoreFull, StoreFenced):
            return number
    raise AssertionError(COMMITS)


def test_a_full_map_stays_as_it_is(tmp_path: Path) -> None:
    map_bytes = 4 << 20
    with open_storage(tmp_path / "store", create=True, read_only=False, map_bytes=map_bytes) as storage:
        assert until_full(storage, 0) * ROW_BYTES > map_bytes / 2
        assert (tmp_path / "store" / DATA_NAME).stat().st_size <= map_bytes
