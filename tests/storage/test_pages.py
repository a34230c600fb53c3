"""What is read in LMDB's pages is what was written, whatever the trees look like, and damaged pages end no process."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from crdtstore.limits import KEY_BYTES_MAX
from crdtstore.storage.interface import Storage
from crdtstore.storage.tables import Table
from tests.storage import children
from tests.storage.engines import DISK, open_engine

SHAPES = {
    "few": (5, 20, 100),
    "short keys": (6_000, 12, 8),
    "long keys": (1_500, KEY_BYTES_MAX, 30),
    "large values": (300, 60, 9_000),
}
"""How many rows, and how long keys and values are at most."""


def some_key(random: Random, bytes_max: int) -> bytes:
    """A key that shares its beginning with many, or begins with a number."""
    beginning = random.choice((b"a", b"b" * 9, b"\xff" * 8, b"%d" % random.randrange(100_000)))
    return beginning + random.randbytes(random.randrange(2, bytes_max - 9))


@pytest.fixture(params=DISK)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    with open_engine(request.param, tmp_path / "store") as opened:
        yield opened


def change(storage: Storage, rows: dict[bytes, bytes], random: Random, shape: str) -> None:
    """Write rows and delete some, in one batch."""
    count, key_bytes, value_bytes = SHAPES[shape]
    with storage.batch() as batch:
        for _ in range(count):
            key, value = some_key(random, key_bytes), random.randbytes(random.randrange(value_bytes))
            batch.put(Table.LOG, key, value)
            rows[key] = value
        for key in random.sample(sorted(rows), len(rows) // 3):
            batch.delete(Table.LOG, key)
            del rows[key]
        batch.commit()


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_rows_are_read_as_they_were_written(storage: Storage, shape: str) -> None:
    random, rows = Random(shape), dict[bytes, bytes]()
    for _ in range(3):
        before, held = dict(rows), storage.snapshot()
        change(storage, rows, random, shape)
        with storage.snapshot() as snapshot:
            assert dict(snapshot.scan(Table.LOG)) == rows
            ordered = sorted(rows)
            for key in random.sample(ordered, min(len(ordered), 400)):
                assert snapshot.get(Table.LOG, key) == rows[key]
                for other in (key[:-1], key + b"\0", b"\0" + key[1:]):
                    assert snapshot.get(Table.LOG, other) == rows.get(other)
            for _ in range(100):
                start, end = sorted(some_key(random, 20) for _ in range(2))
                wanted = ordered[bisect_left(ordered, start) : bisect_left(ordered, end)]
                assert [key for key, _ in snapshot.scan(Table.LOG, start, end)] == wanted
                assert [key for key, _ in snapshot.scan_back(Table.LOG, start, end)] == wanted[::-1]
        # An older view goes on seeing its own trees, whatever newer ones were read meanwhile.
        with held:
            assert dict(held.scan(Table.LOG)) == before
            assert all(held.get(Table.LOG, key) == before.get(key) for key in random.sample(ordered, 3))


def test_a_table_is_emptied_and_filled_again(storage: Storage) -> None:
    for number in range(3):
        rows = {b"%d %d" % (number, row): b"value" for row in range(300 * number)}
        with storage.batch() as batch:
            for key, value in rows.items():
                batch.put(Table.LOG, key, value)
            batch.commit()
        with storage.snapshot() as snapshot:
            assert dict(snapshot.scan(Table.LOG)) == rows
            assert snapshot.get(Table.LOG, b"0") is None
        with storage.batch() as batch:
            for key in rows:
                batch.delete(Table.LOG, key)
            batch.commit()
        with storage.snapshot() as snapshot:
            assert list(snapshot.scan(Table.LOG)) == []
            assert snapshot.get(Table.LOG, b"0 0") is None


def test_another_process_commits_are_seen(tmp_path: Path) -> None:
    with open_engine("compiled", tmp_path / "store"):
        pass
    with open_engine("compiled", tmp_path / "store", read_only=True, create=False) as reader:
        seen = []
        for _ in range(3):
            assert children.run(children.append_rows, "compiled", tmp_path / "store") == (0, "done")
            with reader.snapshot() as snapshot:
                seen.append(len(dict(snapshot.scan(Table.LOG))))
        assert all(later > earlier for earlier, later in pairwise(seen))


@pytest.mark.parametrize("seed", range(3))
def test_damaged_pages_end_no_process_and_serve_nothing_altered(tmp_path: Path, seed: int) -> None:
    code, found = children.run(children.damage_pages, "compiled", tmp_path / "store", seed)
    assert code == 0
    assert found["altered"] == 0
    # The control: what was damaged was looked at.
    assert found["met"] > 50
