"""Backup, restore and compact: what comes of them, beside a writer too, and what they refuse."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.errors import CallerError, Corrupted, NotAStore, NotRestored, StoreError, StoreLocked
from crdtstore.storage import backup as backup_module
from crdtstore.storage.backup import back_up, copied, receive
from crdtstore.storage.backup_record import read_backup
from crdtstore.storage.compact import compact, packed
from crdtstore.version.restore import restore
from tests.replication.worlds import state

DOCUMENTS = 50


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with pages that it does not use any more."""
    path = tmp_path / "data"
    with Store.open(path) as store:
        for step in range(3):
            for number in range(DOCUMENTS):
                store.submit([Upsert("c", {"step": step, "text": "x" * 500}, id=number)])
        store.write_setting(b"api-key/1", b"kept")
        store.trim(2 * DOCUMENTS)
    return path


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def content(path: Path) -> tuple[object, ...]:
    with Store.open(path, read_only=True) as store:
        return store.applied, store.digest(), state(store), list(store.changes(2 * DOCUMENTS))


def test_a_backup_holds_what_the_store_held_and_a_restored_store_too(data: Path, tmp_path: Path) -> None:
    before = content(data)
    copy = back_up(data, tmp_path / "backup", created=17)
    assert content(tmp_path / "backup") == before
    restored = restore(tmp_path / "backup", tmp_path / "again")
    assert content(tmp_path / "again") == before == content(data)
    assert (copy.moment.documents, copy.moment.txn) == (DOCUMENTS, 3 * DOCUMENTS)
    assert (restored.backup.created, restored.backup.moment) == (17, copy.moment)
    assert (tmp_path / "again" / "data.mdb").stat().st_mode & 0o777 == 0o600
    with Store.open(tmp_path / "again") as store:
        assert store.origin == restored.origin != copy.moment.origin
        assert store.read_setting(b"api-key/1") == b"kept"
        assert store.write([Upsert("c", {"n": 1}, id=1)]).txn == 3 * DOCUMENTS + 1


def test_each_restoring_has_an_origin_of_its_own(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup", created=1)
    origins = {restore(tmp_path / "backup", tmp_path / str(number)).origin for number in range(3)}
    assert len(origins) == 3
    assert {origin[:8] for origin in origins} == {next(iter(origins))[:8]}


def test_a_backup_is_made_beside_a_writer_and_is_of_one_moment(data: Path, tmp_path: Path) -> None:
    """Each transaction writes two documents alike; a copy of no single moment would hold two that differ."""
    stop = threading.Event()
    with Store.open(data) as store:

        def write() -> None:
            while not stop.is_set():
                number = store.applied
                store.write([Upsert("c", {"n": number}, id="left"), Upsert("c", {"n": number}, id="right")])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            txns = [back_up(data, tmp_path / f"backup-{turn}", created=1).moment.txn for turn in range(4)]
        finally:
            stop.set()
            writer.join()
    assert txns == sorted(txns)
    for turn in range(4):
        with Store.open(tmp_path / f"backup-{turn}", read_only=True) as found:
            left, right = found.get("c", "left"), found.get("c", "right")
            assert left is None or right is None or left.fields == right.fields


def test_a_backup_is_read_and_not_written_to(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup", created=1)
    with pytest.raises(NotRestored):
        Store.open(tmp_path / "backup")
    with Store.open(tmp_path / "backup", read_only=True) as store, store.storage.snapshot() as snapshot:
        assert read_backup(snapshot) is not None
    with pytest.raises(NotRestored):
        compact(tmp_path / "backup")


def test_a_backup_of_a_backup_is_restored_as_itself(data: Path, tmp_path: Path) -> None:
    moment = back_up(data, tmp_path / "one", created=1).moment
    assert back_up(tmp_path / "one", tmp_path / "two", created=2).moment == moment
    assert restore(tmp_path / "two", tmp_path / "again").backup.moment == moment


def test_what_ran_without_durability_is_backed_up_and_restored_durably(tmp_path: Path) -> None:
    with Store.open(tmp_path / "data", durability="none") as store:
        store.write([Upsert("c", {"n": 1}, id=1)])
        back_up(tmp_path / "data", tmp_path / "backup", created=1)
    origin = restore(tmp_path / "backup", tmp_path / "again").origin
    with Store.open(tmp_path / "again") as again:
        assert again.origin == origin


def test_a_store_is_restored_from_a_backup_only(data: Path, tmp_path: Path) -> None:
    with pytest.raises(NotAStore, match="no backup"):
        restore(data, tmp_path / "again")
    with pytest.raises(NotAStore):
        restore(tmp_path / "nothing", tmp_path / "again")
    assert names(tmp_path) == ["data"]


def test_no_store_is_replaced(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup", created=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    before = content(data)
    for make in (lambda where: back_up(data, where, created=1), lambda where: restore(tmp_path / "backup", where)):
        with pytest.raises(CallerError, match="holds a store already"):
            make(data)
        with pytest.raises(NotAStore):
            make(tmp_path / "other")
    assert content(data) == before
    assert names(tmp_path) == ["backup", "data", "other"]


def test_an_empty_directory_is_replaced(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    back_up(data, tmp_path / "backup", created=1)
    assert content(tmp_path / "backup") == content(data)


def test_a_copy_that_breaks_off_is_no_backup(data: Path, tmp_path: Path) -> None:
    pieces = list(copied(data))
    whole = b"".join(pieces)
    for size in (0, 1, 4_096, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Corrupted):
            receive([whole[:size]], tmp_path / "backup", created=1)
        assert names(tmp_path) == ["data"]
    assert receive([whole], tmp_path / "backup", created=1).moment.documents == DOCUMENTS


def test_a_backup_that_was_altered_is_not_restored(data: Path, tmp_path: Path) -> None:
    """What nobody can repair must not become a store under a new origin, from which it would spread."""
    back_up(data, tmp_path / "backup", created=1)
    file = tmp_path / "backup" / "data.mdb"
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    with pytest.raises(Corrupted):
        restore(tmp_path / "backup", tmp_path / "again")
    other = tmp_path / "other"
    with Store.open(other) as store:
        store.write([Upsert("c", {"n": 1}, id=1)])
    back_up(other, tmp_path / "other-backup", created=1)
    with Store.open(tmp_path / "other-backup", read_only=True) as store, store.storage.snapshot() as snapshot:
        record = read_backup(snapshot)
    assert record is not None
    file.write_bytes(good)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crdtstore.version.restore.read_backup", lambda _: record)
        with pytest.raises(Corrupted, match="its record says"):
            restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "again.new").exists()


def test_a_copying_process_that_dies_is_an_error(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killer = tmp_path / "killer.py"
    for text, said in (
        ("import os, signal; os.write(1, b'x' * 9000); os.kill(os.getpid(), signal.SIGABRT)", "signal 6"),
        ("import sys; sys.exit('no such page')", "no such page"),
    ):
        killer.write_text(text)
        monkeypatch.setattr(backup_module, "COPY_PROCESS", killer)
        with pytest.raises(StoreError, match=said):
            back_up(data, tmp_path / "backup", created=1)
        assert names(tmp_path) == ["data", "killer.py"]


def test_who_stops_reading_ends_the_copying_process(data: Path) -> None:
    pieces = copied(data)
    next(pieces)
    pieces.close()  # waits for the process, which would wait for ever otherwise


def test_compacting_frees_what_is_not_used_and_loses_nothing(data: Path) -> None:
    before = content(data)
    with Store.open(data, read_only=True) as store:
        origin = store.origin
    done = compact(data)
    assert done.after < done.before
    assert (data / "data.mdb").stat().st_size == done.after
    assert content(data) == before
    assert "data.new" not in names(data)
    with Store.open(data) as store:
        assert store.origin == origin
        assert store.write([Upsert("c", {"n": 1}, id=1)]).txn == 3 * DOCUMENTS + 1
    assert content(data)[0] == 3 * DOCUMENTS + 1


def test_a_store_that_hides_rows_is_not_compacted(data: Path) -> None:
    """A branch page with a child less: what is below could still be mended, and would be gone from a new file."""
    file = data / "data.mdb"
    damaged = bytearray(file.read_bytes())
    branches = [page for page in range(0, len(damaged), 4096) if damaged[page + 10 : page + 12] == b"\1\0"]
    assert branches
    for page in branches:
        (lower,) = struct.unpack_from("<H", damaged, page + 12)
        struct.pack_into("<H", damaged, page + 12, lower - 2)
    file.write_bytes(damaged)
    with pytest.raises(StoreError, match="rows of table"):
        compact(data)
    assert file.read_bytes() == damaged
    assert "data.new" not in names(data)


def test_what_an_interrupted_compacting_left_is_removed(data: Path) -> None:
    (data / "data.new").mkdir()
    (data / "data.new" / "data.mdb").write_bytes(b"half")
    before = content(data)
    compact(data)
    assert content(data) == before
    assert "data.new" not in names(data)


def test_a_store_that_is_open_is_not_compacted(data: Path) -> None:
    for read_only in (True, False):
        with Store.open(data, read_only=read_only), pytest.raises(StoreLocked):
            compact(data)


def test_a_store_that_another_process_reads_is_not_compacted(data: Path) -> None:
    program = f"from crdtstore import Store; kept = Store.open({str(data)!r}, read_only=True); print(flush=1); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        with pytest.raises(StoreLocked, match="Another process has the store"):
            compact(data)
        reader.communicate(b"\n", timeout=120)
    compact(data)


def test_a_store_that_is_compacted_is_not_opened(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to read it: a file that was replaced meanwhile would be read for ever."""
    seen = []

    def look(directory: Path, new: Path) -> Generator[int, None, None]:
        for read_only in (True, False):
            code, answered = open_elsewhere(directory, read_only=read_only)
            seen.append((code, "compacts" in answered))
        with pytest.raises(StoreLocked):
            back_up(directory, directory.with_name("backup"), created=1)
        return packed(directory, new)

    monkeypatch.setattr("crdtstore.storage.compact.packed", look)
    compact(data)
    assert seen == [(3, True), (3, True)]


def open_elsewhere(path: Path, *, read_only: bool) -> tuple[int, str]:
    """Try to open a store in a process of its own."""
    program = (
        "import sys; from crdtstore import Store; from crdtstore.errors import StoreLocked\n"
        f"try: Store.open({str(path)!r}, read_only={read_only})\n"
        "except StoreLocked as error: print(error); sys.exit(3)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout


def test_a_store_without_room_for_its_copy_stays_as_it_is(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(data)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crdtstore.storage.compact.packed", full)
    with pytest.raises(StoreError, match="cannot be compacted"):
        compact(data)
    assert content(data) == before
    shutil.rmtree(data)
