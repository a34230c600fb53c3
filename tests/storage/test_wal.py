"""The write-ahead log: what it holds, what is made of it after a crash, and who is refused.

Rules: a crash is a copy of the files while the store is open. What power cuts leave is in `tests/faults`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any

import msgpack
import pytest

from crdtstore import Increment, Remove, Store, Update, Upsert
from crdtstore.errors import Corrupted, FormatTooNew, NotRecovered, StoreFull
from crdtstore.storage import stored_format, wal_file, wal_recovery, wal_zeros
from crdtstore.storage.adapter_batch import Batch
from crdtstore.storage.backup import back_up
from crdtstore.storage.compact import compact
from crdtstore.storage.interface import Storage
from crdtstore.storage.stored_format import FORMAT_KEY, WITH_IMAGES, WITH_INDEXES, WITH_LOG
from crdtstore.storage.tables import Table
from crdtstore.storage.verify import verify_storage
from crdtstore.storage.wal import KEY, Wal, create_wal
from crdtstore.storage.wal_zeros import Zeros
from crdtstore.version.restore import restore
from tests.storage import children
from tests.storage.engines import content, fill, open_engine

SEGMENT_BYTES = 64 * 1_024
ZEROS_BYTES = 3_000
FILLED = SEGMENT_BYTES // 2 + ZEROS_BYTES
"""As far as zeros go at the opening: until a checkpoint is due."""

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs are small here."""
    monkeypatch.setitem(create_wal.__kwdefaults__ or {}, "segment_bytes", SEGMENT_BYTES)
    monkeypatch.setitem(create_wal.__kwdefaults__ or {}, "zeros_bytes", ZEROS_BYTES)


def crashed(path: Path, *names: str, name: str = "crashed") -> Path:
    """What is left of a store that is open if its process ends now; `names`: of its files, all by default."""
    copy = path.with_name(name)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for each in names or ("data.mdb", "wal.log"):
        shutil.copyfile(path / each, copy / each)
    return copy


def everything(storage: Storage) -> dict[Table, dict[bytes, bytes]]:
    """All rows but those that say that there is a log."""
    rows = {table: content(storage, table) for table in Table}
    rows[Table.META].pop(KEY, None)
    del rows[Table.META][FORMAT_KEY]
    return rows


def key(number: int) -> bytes:
    """The key of a number."""
    return number.to_bytes(8, "big")


# --- what it holds ---


def test_rows_and_frames_come_back_as_they_were() -> None:
    random = Random(1)
    rows = [
        (random.randrange(13), random.randbytes(9), random.choice((None, b"", random.randbytes(50)))) for _ in "x" * 99
    ]
    data = b"".join(
        wal_file.encode_delete(table, key) if value is None else wal_file.encode_put(table, key, value)
        for table, key, value in rows
    )
    assert list(wal_file.decode_rows(data)) == rows
    frame = wal_file.encode_frame(b"i" * 16, 7, wal_file.ROWS, data)
    read = wal_file.decode_frame(b"i" * 16, b"12345678" + frame, 8, 0)
    assert read is not None
    assert (read.sequence, read.kind, read.content) == (7, wal_file.ROWS, data)
    assert wal_file.decode_frame(b"j" * 16, frame, 0, 0) is None, "It is of another log."


def test_every_altered_byte_of_a_frame_or_header_is_found(tmp_path: Path) -> None:
    frame = wal_file.encode_frame(b"i" * 16, 7, wal_file.ROWS, b"rows of a batch!")
    header = wal_file.encode_header(wal_file.Header(3, 8, 1, SEGMENT_BYTES, b"i" * 16, b"m" * wal_file.META_BYTES))
    for at in range(len(frame)):
        assert wal_file.decode_frame(b"i" * 16, altered(frame, at), 0, 0) is None
    for at in range(len(header)):
        (tmp_path / "log").write_bytes(altered(header, at))
        with (tmp_path / "log").open("rb") as file, pytest.raises(Exception, match="write-ahead log"):
            wal_file.read_header(file.fileno())


def altered(data: bytes, at: int) -> bytes:
    """Bytes of which one bit is another."""
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def test_nothing_of_the_compiled_core_changes_rows_past_the_log() -> None:
    calls = ("lmdb_put(", "lmdb_delete(", "lmdb_replace(")
    files = [file.name for file in (ROOT / "ext").glob("*.pxi") if any(call in file.read_text() for call in calls)]
    assert sorted(files) == ["lmdb_batch.pxi", "lmdb_library.pxi"]


# --- crashes ---


def test_a_crash_after_any_batch_gives_what_was_committed(disk_engine: str, tmp_path: Path) -> None:
    random, rows = Random(2), dict[bytes, bytes]()
    with open_engine(disk_engine, tmp_path / "store", logged=True) as storage:
        for number in range(60):
            with storage.batch() as batch:
                for _ in range(random.choice((1, 10))):
                    at, value = key(random.randrange(50)), random.randbytes(random.choice((1, 2_000)))
                    batch.put(Table.LOG, at, value)
                    rows[at] = value
                if rows and random.random() < 0.5:
                    gone = random.choice(list(rows))
                    assert batch.delete(Table.LOG, gone)
                    del rows[gone]
                batch.commit()
            if number % 7 == 0:
                with open_engine(disk_engine, crashed(tmp_path / "store")) as left:
                    assert content(left) == rows
        with storage.batch() as batch:
            batch.put(Table.LOG, b"dropped", b"")
    with open_engine(disk_engine, tmp_path / "store") as storage:
        assert content(storage) == rows


def test_a_batch_that_is_greater_than_a_segment_is_held_too(disk_engine: str, tmp_path: Path) -> None:
    rows = {}
    with open_engine(disk_engine, tmp_path / "store", logged=True) as storage:
        for number in range(6):
            rows[key(number)] = bytes([number]) * (SEGMENT_BYTES * (number % 3) + 10)
            fill(storage, {key(number): rows[key(number)]})
            with open_engine(disk_engine, crashed(tmp_path / "store")) as left:
                assert content(left) == rows


def history(store: Store, random: Random) -> Iterator[None]:
    """Everything that changes rows of a store; between two of them it may crash."""
    other = Store.in_memory()
    for number in range(40):
        ids = [random.randrange(30) for _ in range(random.choice((1, 8)))]
        fields = {"number": number, "text": random.randbytes(random.choice((3, 900))).hex(), "tags": {"a": number % 3}}
        store.write([Upsert("cities", {**fields, "of": one}, id=one) for one in set(ids)])
        store.write([Update("cities", "number < 9", [Increment("visits", 1)])])
        store.write([Remove("cities", f"_id == {ids[0]}")])
        if number == 9:
            store.indexes.create("cities", ["number"])
        if number == 20:
            store.indexes.create("cities", ["of", "text"])
        other.write([Upsert("rivers", fields, id=number)])
        store.apply(entry.record for entry in other.changes(since=other.applied - 1))
        if number == 30:
            store.trim(store.applied - 5)
        yield


def test_every_row_that_a_store_changes_is_in_the_log(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="wal") as store:
        for number, _ in enumerate(history(store, Random(3))):
            if number % 10 == 9:
                expected = everything(store.storage)
                with open_engine("compiled", crashed(tmp_path / "store")) as left:
                    assert {table.name for table in Table if everything(left)[table] != expected[table]} == set()
    with Store.open(tmp_path / "store") as store:
        assert everything(store.storage).keys() == expected.keys()
        assert list(verify_storage(store.storage)) == []


def test_a_commit_that_the_engine_refuses_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Batch, transaction: Any) -> None:
        transaction.abort()
        raise StoreFull("No room.")

    with open_engine("adapter", tmp_path / "store", logged=True) as storage:
        for number in range(9):
            with monkeypatch.context() as patch:
                if number % 3 == 1:
                    patch.setattr(Batch, "commit_lmdb", refuse)
                with suppress(StoreFull):
                    fill(storage, {key(number): b"x" * 40})
        left = crashed(tmp_path / "store")
        expected = content(storage)
    assert len(expected) == 6
    with open_engine("adapter", left) as storage:
        assert content(storage) == expected


def test_recovering_waits_for_who_looks_and_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, _ = log_of(tmp_path / "store", "adapter")
    restored = list[bytes]()
    monkeypatch.setattr(wal_recovery, "restore_meta", lambda _, header: restored.append(header.meta))
    look = os.open(left, os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    timer = Timer(0.1, os.close, (look,))
    timer.start()
    open_engine("adapter", left).close()
    timer.join()
    assert len(restored) == 1


# --- zeros ---


def fill_and_crash(engine: str, path: Path) -> tuple[dict[bytes, bytes], Path]:
    """Write until the log has gone round, and crash: what was written, and what is left."""
    rows = {key(number): bytes([number]) * (SEGMENT_BYTES * 3 // 4 if number == 99 else 700) for number in range(250)}
    with open_engine(engine, path, logged=True) as storage:
        for each, value in rows.items():
            fill(storage, {each: value})
        return rows, crashed(path)


def recovered(engine: str, left: Path) -> dict[bytes, bytes]:
    """What an opening makes of what is left."""
    with open_engine(engine, left) as storage:
        return content(storage)


def test_zeros_go_ahead_of_frames(disk_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled, fill_zeros = list[tuple[int, int]](), Zeros.fill

    def note(self: Zeros, segment: int, size: int) -> None:
        fill_zeros(self, segment, size)
        filled.append((segment, self.filled[segment]))

    monkeypatch.setattr(Zeros, "fill", note)
    with open_engine(disk_engine, tmp_path / "opened", logged=True):
        assert {size for _, size in filled} == {ZEROS_BYTES, FILLED}, "An opening writes no more."
    rows, left = fill_and_crash(disk_engine, tmp_path / "store")
    assert recovered(disk_engine, left) == rows
    assert (0, FILLED) in filled, "As far as the other, before frames go there."
    assert max(size for _, size in filled) > SEGMENT_BYTES * 3 // 4, "Where a frame needs them."


def test_the_check_finds_zeros_that_are_written_under_frames(
    disk_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {key(number): bytes([number]) * 700 for number in range(60)}
    monkeypatch.setattr(Wal, "attend", lambda _: None)
    monkeypatch.setattr(Wal, "has_room", lambda *_: True)
    with open_engine(disk_engine, tmp_path / "store", logged=True) as storage:
        log: Any = storage
        for each, value in rows.items():
            fill(storage, {each: value})
        log.wal.zeros.fill(log.wal.segment, SEGMENT_BYTES)
        left = crashed(tmp_path / "store")
    assert len(recovered(disk_engine, left)) < len(rows)


def raising(error: Exception) -> Callable[..., None]:
    """What refuses whatever it is called with."""

    def refuse(*_: object) -> None:
        raise error

    return refuse


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError()])
def test_where_no_zeros_can_be_written_frames_go_without(
    disk_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(wal_zeros, "write_all", raising(error))
    rows, left = fill_and_crash(disk_engine, tmp_path / "store")
    assert recovered(disk_engine, left) == rows


def test_a_file_system_that_reserves_nothing_is_written_to(
    disk_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", raising(OSError(95, "Operation not supported")))
    with open_engine(disk_engine, tmp_path / "store", logged=True) as storage:
        log: Any = storage
        assert log.wal.zeros.filled == [SEGMENT_BYTES] * 2
    assert (tmp_path / "store" / "data.mdb").exists()


# --- damage ---


def log_of(path: Path, engine: str) -> tuple[Path, list[wal_file.Frame]]:
    """A store that crashed with some frames in its log."""
    with open_engine(engine, path, logged=True) as storage:
        for number in range(5):
            fill(storage, {key(number): bytes([number]) * 40})
        copy = crashed(path)
    with (copy / "wal.log").open("rb") as file:
        return copy, wal_file.read_frames(file.fileno(), wal_file.read_header(file.fileno()))


def test_only_the_last_frame_may_be_damaged(disk_engine: str, tmp_path: Path) -> None:
    left, frames = log_of(tmp_path / "store", disk_engine)
    log = left / "wal.log"
    data = log.read_bytes()
    for frame in frames:
        log.write_bytes(altered(data, frame.place.at + wal_file.FRAME.size + 9))
        if frame is not frames[-1]:
            with pytest.raises(Corrupted, match="stands behind"):
                open_engine(disk_engine, left)
    with open_engine(disk_engine, left) as storage:
        assert sorted(content(storage)) == [key(number) for number in range(4)]


def test_a_damaged_header_is_refused(disk_engine: str, tmp_path: Path) -> None:
    left, _ = log_of(tmp_path / "store", disk_engine)
    data = (left / "wal.log").read_bytes()
    (left / "wal.log").write_bytes(altered(data, wal_file.HEADER_PLACE_BYTES + 40))
    with pytest.raises(Corrupted, match="header"):
        open_engine(disk_engine, left)


def test_a_log_that_was_taken_away_or_is_another_stores_is_refused(disk_engine: str, tmp_path: Path) -> None:
    left, _ = log_of(tmp_path / "store", disk_engine)
    log = (left / "wal.log").read_bytes()
    (left / "wal.log").unlink()
    with pytest.raises(Corrupted, match="not there"):
        open_engine(disk_engine, left)
    (left / "wal.log").write_bytes(log)
    with open_engine(disk_engine, left) as storage:
        assert len(content(storage)) == 5


# --- beside others ---


def test_a_clean_end_leaves_a_store_as_any_other(disk_engine: str, tmp_path: Path) -> None:
    for logged in (True, False, True, True):
        with open_engine(disk_engine, tmp_path / "store", durable=True, logged=logged) as storage:
            assert (tmp_path / "store" / "wal.log").exists() == logged
            fill(storage, {key(len(content(storage))): b""})
    assert not (tmp_path / "store" / "wal.log").exists()
    with open_engine(disk_engine, tmp_path / "store", read_only=True) as storage:
        assert len(content(storage)) == 4
        assert content(storage, Table.META).keys() == {b"format"}


def format_of(path: Path) -> int:
    """The format that a data file says it has, to who knows of no log."""
    with open_engine("adapter", path, read_only=True) as storage:
        found: int = msgpack.unpackb(content(storage, Table.META)[FORMAT_KEY])["format"]
        return found


def test_a_version_that_knows_no_log_refuses_a_store_that_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    with Store.open(path, durability="wal") as store:
        assert format_of(crashed(path, "data.mdb")) == WITH_LOG
        store.indexes.create("c", ("f",))
        left = crashed(path)
        assert format_of(crashed(path, "data.mdb", name="file")) == WITH_LOG
    for each in (left, path):
        Store.open(each).close()
        assert format_of(each) == WITH_INDEXES
    with Store.open(path, durability="wal"):
        file = crashed(path, "data.mdb")
        monkeypatch.setattr(stored_format, "FORMAT", WITH_IMAGES)
        with pytest.raises(FormatTooNew):
            Store.open(file)
    Store.open(path).close()


def test_who_only_reads_is_refused_until_somebody_recovered(disk_engine: str, tmp_path: Path) -> None:
    left, _ = log_of(tmp_path / "store", disk_engine)
    with pytest.raises(NotRecovered, match="for writing"):
        open_engine(disk_engine, left, read_only=True)
    with pytest.raises(NotRecovered):
        back_up(left, tmp_path / "backup", created=0)
    assert compact(left).after > 0
    with open_engine(disk_engine, left, read_only=True) as storage:
        assert len(content(storage)) == 5


@pytest.mark.crash
def test_readers_see_each_commit_and_are_not_disturbed_by_recovering(disk_engine: str, tmp_path: Path) -> None:
    path = tmp_path / "store"
    open_engine(disk_engine, path).close()
    with children.running(children.write_logged, disk_engine, path) as writer:
        assert writer.ask(b"\n") == 1
        with children.running(children.read_beside, disk_engine, path) as reader:
            for number in range(2, 7):
                assert writer.ask(b"\n") == number
                assert reader.ask(b"\n") == [str(each) for each in range(number)]
            writer.kill()
            assert len(reader.ask(b"\n")) == 6
            with pytest.raises(NotRecovered):
                open_engine(disk_engine, path, read_only=True)
            for logged in (True, False):
                with open_engine(disk_engine, path, durable=True, logged=logged) as storage:
                    before = len(content(storage))
                    for number in range(before, before + 20):
                        fill(storage, {b"%d" % number: b"x"})
                        assert len(reader.ask(b"\n")) == number + 1
    with open_engine(disk_engine, path, read_only=True) as storage:
        assert len(content(storage)) == 46


def test_a_backup_of_a_store_with_a_log_is_whole_by_itself(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="wal") as store:
        store.write([Upsert("cities", {"name": "Basel"}, id=1)])
        back_up(tmp_path / "store", tmp_path / "backup", created=0)
    restore(tmp_path / "backup", tmp_path / "restored")
    with Store.open(tmp_path / "restored") as store:
        found: Any = store.get("cities", 1)
        assert found.fields == {"name": "Basel"}
