"""Opening: creation is whole or not at all, and what must not be mapped is refused before it is."""

from __future__ import annotations

import errno
import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import msgpack
import pytest

from crdtstore.errors import Corrupted, FormatTooNew, NotAStore, StoreError, StoreFull, StoreReadOnly
from crdtstore.storage import environment
from crdtstore.storage.attachment_files import FOLDER_NAME
from crdtstore.storage.environment import open_storage
from crdtstore.storage.stored_format import FORMAT, FORMAT_KEY, FORMAT_MADE
from crdtstore.storage.tables import TABLE_NAMES, TABLES_ADDED, Table, seal
from tests.storage import children
from tests.storage.engines import DISK, content, fill, open_engine

ROWS = {b"%04d" % number: b"value" * 40 for number in range(400)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def stored(disk_engine: str, path: Path) -> Path:
    """Return the directory of a closed store with rows."""
    with open_engine(disk_engine, path) as storage:
        fill(storage, ROWS)
    return path


def test_a_store_is_created_for_its_owner_only(disk_engine: str, path: Path) -> None:
    with open_engine(disk_engine, path) as storage:
        assert path.stat().st_mode & 0o777 == 0o700
        assert {entry.name: entry.stat().st_mode & 0o777 for entry in path.iterdir()} == dict.fromkeys(
            environment.OWN_NAMES - {FOLDER_NAME}, 0o600
        )
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        with storage.snapshot() as snapshot:
            record = msgpack.unpackb(snapshot.get(Table.META, FORMAT_KEY))
        assert record.keys() == {"format", "page_bytes", "created_by"}
        assert (record["format"], record["page_bytes"]) == (FORMAT_MADE, 4_096)
        assert storage.bytes_on_disk() == (path / "data.mdb").stat().st_size


def test_a_store_stays_when_it_is_closed(disk_engine: str, stored: Path) -> None:
    for options in ({}, {"create": False}, {"read_only": True}, {"durable": True}):
        with open_engine(disk_engine, stored, **options) as storage:
            assert content(storage) == ROWS
            assert storage.read_only == options.get("read_only", False)


def test_a_read_only_store_refuses_batches(disk_engine: str, stored: Path) -> None:
    with open_engine(disk_engine, stored, read_only=True) as storage, pytest.raises(StoreReadOnly):
        storage.batch()


def test_the_chosen_engine_opens_a_path_of_any_kind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    for name in ("store", Path("store"), str(path), "./store/../store/"):
        open_storage(name, create=True, read_only=False).close()
    assert [entry.name for entry in path.parent.iterdir()] == ["store"]


# --- what is no store ---


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}])
def test_what_is_not_there_is_no_store(disk_engine: str, path: Path, options: dict[str, bool]) -> None:
    with pytest.raises(NotAStore):
        open_engine(disk_engine, path, **options)
    path.mkdir()
    with pytest.raises(NotAStore):
        open_engine(disk_engine, path, **options)
    assert list(path.parent.rglob("*")) == [path]


def test_an_empty_directory_becomes_a_store(disk_engine: str, path: Path) -> None:
    path.mkdir(mode=0o755)
    open_engine(disk_engine, path).close()
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["letter.txt", "lock.mdb", ".hidden"])
def test_a_directory_with_other_content_is_left_alone(disk_engine: str, path: Path, name: str) -> None:
    path.mkdir()
    (path / name).write_text("mine")
    with pytest.raises(NotAStore, match="other files"):
        open_engine(disk_engine, path)
    assert (path / name).read_text() == "mine"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_is_no_store(disk_engine: str, path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(NotAStore, match="is a file"):
        open_engine(disk_engine, path)
    with pytest.raises(StoreError):
        open_engine(disk_engine, path / "below")


def test_a_parent_must_exist(disk_engine: str, path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        open_engine(disk_engine, path / "below")
    assert not path.exists()


def rewrite(path: Path, record: bytes | None, tables: tuple[str, ...] = TABLE_NAMES) -> None:
    """Make an LMDB environment with some tables and a format record, as another program would."""
    path.mkdir(exist_ok=True)
    with lmdb.open(str(path), max_dbs=20, lib_version=0) as other, other.begin(write=True) as transaction:
        for name in tables:
            table = other.open_db(name.encode("ascii"), transaction)
            if name == "meta" and record is not None:
                transaction.put(FORMAT_KEY, seal(Table.META, FORMAT_KEY, record), db=table)


def test_another_lmdb_environment_is_no_store(disk_engine: str, path: Path) -> None:
    for tables in ((), ("meta",), ("documents", "log")):
        rewrite(path, None, tables)
        with pytest.raises(NotAStore):
            open_engine(disk_engine, path)


def test_a_store_without_its_format_is_none(disk_engine: str, path: Path) -> None:
    rewrite(path, None)
    with pytest.raises(NotAStore, match="format record"):
        open_engine(disk_engine, path)


def test_tables_that_were_added_later_are_made_or_count_as_empty(disk_engine: str, path: Path) -> None:
    rewrite(path, msgpack.packb({"format": FORMAT_MADE}), TABLE_NAMES[:-TABLES_ADDED])
    with open_engine(disk_engine, path, create=False, read_only=True) as storage, storage.snapshot() as snapshot:
        for table in (Table.INDEXES, Table.ENTRIES):
            assert snapshot.get(table, b"key") is None
            assert list(snapshot.scan(table)) == list(snapshot.scan(table, b"a", b"b")) == []
            assert snapshot.first(table) is snapshot.last(table) is None
            assert snapshot.count(table) == 0
    with open_engine(disk_engine, path) as storage:
        fill(storage, ROWS, Table.ENTRIES)
    for engine in DISK:
        with open_engine(engine, path, read_only=True) as storage:
            assert content(storage, Table.ENTRIES) == ROWS


@pytest.mark.parametrize("missing", ["peers", "documents"])
def test_other_tables_are_not_made(disk_engine: str, path: Path, missing: str) -> None:
    rewrite(path, msgpack.packb({"format": FORMAT_MADE}), tuple(name for name in TABLE_NAMES if name != missing))
    with pytest.raises(NotAStore):
        open_engine(disk_engine, path)


def test_a_newer_format_is_refused(disk_engine: str, path: Path) -> None:
    rewrite(path, msgpack.packb({"format": FORMAT + 1}))
    with pytest.raises(FormatTooNew) as caught:
        open_engine(disk_engine, path)
    assert caught.value.data == {"found": FORMAT + 1, "newest": FORMAT}


@pytest.mark.parametrize(
    "record", [b"", b"\xc1", b"\x01", b"\x91\x01", b"\xff" * 9, msgpack.packb({"format": "1"}), b"\x80"]
)
def test_a_damaged_format_record_is_refused(disk_engine: str, path: Path, record: bytes) -> None:
    rewrite(path, record)
    with pytest.raises(Corrupted, match="no format record"):
        open_engine(disk_engine, path)


def test_a_refused_store_can_be_opened_by_others(disk_engine: str, path: Path) -> None:
    rewrite(path, msgpack.packb({"format": FORMAT + 1}))
    with pytest.raises(FormatTooNew):
        open_engine(disk_engine, path)
    rewrite(path, msgpack.packb({"format": FORMAT}))
    open_engine(disk_engine, path).close()


# --- creation that fails half way ---


def fails_at(number: int, original: Callable[..., None], code: int) -> Callable[..., None]:
    """Let the call of a number fail, and the others pass."""
    calls = iter(range(1, 100))

    def call(*arguments: object) -> None:
        if next(calls) == number:
            raise OSError(code, os.strerror(code))
        original(*arguments)

    return call


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize(
    ("function", "number", "created"),
    [("mkdir", 1, False), ("fsync", 1, False), ("fsync", 2, False), ("rename", 1, False), ("fsync", 3, True)],
)
def test_a_creation_that_fails_leaves_a_whole_store_or_none(
    disk_engine: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    number: int,
    created: bool,  # noqa: FBT001 - a column of the table above.
    code: int,
) -> None:
    with monkeypatch.context() as planted:
        planted.setattr(os, function, fails_at(number, getattr(os, function), code))
        with pytest.raises(StoreFull if code == errno.ENOSPC else StoreError, match=os.strerror(code)):
            open_engine(disk_engine, path)
    assert path.exists() == created
    if created:
        open_engine(disk_engine, path, create=False).close()
    with open_engine(disk_engine, path) as storage:
        fill(storage, {b"a": b"1"})
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_what_a_crash_left_is_removed(disk_engine: str, path: Path) -> None:
    new = path.with_name("store.new")
    new.mkdir()
    (new / "data.mdb").write_bytes(b"half a page")
    (new / "writer.lock").write_text("1 long ago")
    open_engine(disk_engine, path).close()
    assert not new.exists()


def test_what_no_crash_left_is_not_removed(disk_engine: str, path: Path) -> None:
    new = path.with_name("store.new")
    new.mkdir()
    (new / "letter.txt").write_text("mine")
    with pytest.raises(NotAStore, match="other files"):
        open_engine(disk_engine, path)
    assert (new / "letter.txt").read_text() == "mine"
    assert not path.exists()


def test_a_store_that_appears_meanwhile_is_opened(
    disk_engine: str, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False])
    found = environment.holds_store
    monkeypatch.setattr(environment, "holds_store", lambda directory: next(answers, found(directory)))
    with open_engine(disk_engine, stored) as storage:
        assert content(storage) == ROWS
    assert [entry.name for entry in stored.parent.iterdir()] == [stored.name]


def test_a_mount_point_is_explained(disk_engine: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "rename", fails_at(1, os.rename, errno.EBUSY))
    with pytest.raises(StoreError, match="mount point"):
        open_engine(disk_engine, path)


# --- the check before the file is mapped ---


@pytest.mark.parametrize("page", [0, 4_096])
@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (10, struct.pack("=H", 0), "no meta page"),
        (16, b"\0\0\0\0", "no meta page"),
        (20, struct.pack("=I", 999), "LMDB format 999"),
        (40, struct.pack("=I", 0), "pages of 0 bytes"),
        (40, struct.pack("=I", 12_345), "pages of 12345 bytes"),
    ],
)
def test_a_damaged_meta_page_is_refused(
    disk_engine: str, stored: Path, page: int, offset: int, value: bytes, reason: str
) -> None:
    file = stored / "data.mdb"
    data = bytearray(file.read_bytes())
    data[page + offset : page + offset + len(value)] = value
    file.write_bytes(data)
    with pytest.raises(Corrupted, match=reason) as caught:
        open_engine(disk_engine, stored)
    assert caught.value.table == "meta"


def test_a_file_shorter_than_it_says_is_refused(disk_engine: str, stored: Path) -> None:
    file = stored / "data.mdb"
    data = file.read_bytes()
    lengths = [0, 1, 151, 152, 4_095, 4_096, 4_247, 4_248, *range(8_192, len(data), 4_096), len(data) - 1]
    for length in lengths:
        file.write_bytes(data[:length])
        for options in ({}, {"read_only": True}):
            with pytest.raises(Corrupted, match=r"ends in its meta page|its meta page says"):
                open_engine(disk_engine, stored, **options)
    file.write_bytes(data)
    with open_engine(disk_engine, stored) as storage:
        assert content(storage) == ROWS


@pytest.mark.crash
def test_no_signal_comes_of_a_short_file(disk_engine: str, stored: Path) -> None:
    file = stored / "data.mdb"
    os.truncate(file, file.stat().st_size // 8_192 * 4_096)
    assert children.run(children.read_all, disk_engine, stored) == (0, "corrupted")


@pytest.mark.crash
def test_the_check_is_what_prevents_it(path: Path) -> None:
    """Without the check a process that reads through LMDB alone ends by the signal."""
    with open_engine("adapter", path) as storage:
        fill(storage, ROWS)
    os.truncate(path / "data.mdb", 4 * 4_096)
    assert children.run(children.read_all_unchecked, "adapter", path) == (-signal.SIGBUS, None)


@pytest.mark.crash
def test_a_file_cut_off_under_an_open_store_ends_no_process(path: Path) -> None:
    with open_engine("compiled", path) as storage:
        fill(storage, ROWS)
    assert children.run(children.cut_off_while_open, "compiled", path) == (0, ["corrupted"] * len(Table))


@pytest.mark.crash
def test_a_file_cut_off_under_reads_ends_no_process(path: Path) -> None:
    assert children.run(children.cut_off_under_reads, path) == (0, [[100, 2_000], ["corrupted"] * 2])
