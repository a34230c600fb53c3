"""Backups hold the files of attachments, restored stores have them, and verification finds what is wrong with them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.client.backup import fetch_backup
from crdtstore.client.blocking import Client
from crdtstore.command.command import Upsert
from crdtstore.errors import Corrupted, CrdtStoreError, DamagedFile, Overloaded
from crdtstore.http.server import application
from crdtstore.storage import attachment_copy, verify_attachments
from crdtstore.storage.attachment_files import FOLDER_NAME, locked
from crdtstore.storage.backup import back_up, receive, sent
from crdtstore.storage.blocks import BlockReader
from crdtstore.storage.compact import compact
from crdtstore.storage.verify import verify
from crdtstore.store import Store
from crdtstore.version.restore import restore
from tests.http.calling import serving

FILES = (b"", b"hello", b"x" * 300_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The directory of a store with a few files, one of them idle."""
    with Store.open(tmp_path / "store") as store:
        for number, data in enumerate(FILES):
            put = store.attachments.put([data])
            token = {"id": put.id, "len": put.len}
            store.write([Upsert("c", {"f": token}, id=number, value_types={"f": "attachment"})])
        store.attachments.put([b"idle"])
    return tmp_path / "store"


def contents(path: Path) -> set[bytes]:
    """What the files of a store hold."""
    with Store.open(path, read_only=True) as store:
        found = set()
        for state in store.attachments.list():
            with store.attachments.open(state.id) as file:
                found.add(file.read())
        return found


def files_in(path: Path) -> list[Path]:
    return sorted(each for each in (path / FOLDER_NAME).iterdir() if each.is_file())


def test_a_backup_and_what_is_restored_from_it_have_the_files(path: Path, tmp_path: Path) -> None:
    assert back_up(path, tmp_path / "backup", created=0).attachments == 4
    restore(tmp_path / "backup", tmp_path / "again")
    for each in ("backup", "again"):
        assert contents(tmp_path / each) == {*FILES, b"idle"}
        assert list(verify(tmp_path / each)) == []


def test_a_backup_is_made_while_the_store_is_written_to(path: Path, tmp_path: Path) -> None:
    with Store.open(path) as store:
        assert back_up(path, tmp_path / "backup", created=0).attachments == 4
        store.attachments.put([b"more"])
        with locked(path / FOLDER_NAME, alone=False), pytest.raises(Overloaded):
            store.attachments.collect(0)
        assert store.attachments.collect(0).removed == 2


def test_compacting_leaves_the_files(path: Path) -> None:
    compact(path)
    assert contents(path) == {*FILES, b"idle"}
    assert list(verify(path)) == []


def test_a_server_sends_them(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)
    with Store.open(path) as store:
        ring = KeyRing(store)
        key = ring.create("root", Permission.full())
        with serving(application(store, ring)) as (host, port):
            client = Client(f"http://{host}:{port}", key, bytes(16))
            assert fetch_backup(client, tmp_path / "backup").attachments == 4
            client.close()
    assert contents(tmp_path / "backup") == {*FILES, b"idle"}


class Bytes:
    """A stream as a source."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read(self, size: int) -> bytes:
        taken, self.data = self.data[:size], self.data[size:]
        return taken


def payloads_of(path: Path) -> list[bytes]:
    """What a server would send, without the size."""
    with Store.open(path) as store:
        stream = b"".join(sent(store.storage, path / "data.mdb"))
    return list(BlockReader(Bytes(stream)).payloads(b"CRDTCOP2"))[1:]


SPOILED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "cut": lambda payloads: payloads[:-1],
    "a file less": lambda payloads: payloads[:-2],
    "no files": lambda payloads: payloads[: payloads.index(b"")],
    "other bytes": lambda payloads: [*payloads[:-1], bytes(len(payloads[-1]))],
    "more": lambda payloads: [*payloads, b"more"],
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_stream_without_all_files_is_no_backup(
    path: Path, tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]]
) -> None:
    payloads = payloads_of(path)
    with pytest.raises((DamagedFile, Corrupted)):
        receive(spoil(payloads), tmp_path / "backup", created=0)
    assert not (tmp_path / "backup").exists()
    assert receive(payloads, tmp_path / "backup", created=0).attachments == 4


def test_a_file_without_a_row_does_not_stay_in_a_backup(path: Path, tmp_path: Path) -> None:
    payloads = payloads_of(path)
    place = payloads.index(b"") + 1
    with Store.in_memory() as other:
        put = other.attachments.put([b"other"])
        row = other.attachments.row(put.id)
    head = attachment_copy.HEAD.pack(row.id, row.generation, row.length)
    receive([*payloads[:place], head, b"other", *payloads[place:]], tmp_path / "backup", created=0)
    assert len(files_in(tmp_path / "backup")) == 4


def remove(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def alter(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def lay_another(path: Path) -> None:
    other = path.with_name(path.name[:-1] + ("1" if path.name[-1] == "0" else "0"))
    shutil.copyfile(path, other)
    os.utime(other, (0, 0))


DAMAGES: dict[Callable[[Path], None], str] = {
    remove: "attachment",
    shorten: "attachment",
    alter: "attachment",
    lay_another: "stray",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damage_is_found(
    path: Path, tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(verify(path)) == []
    damage(max(files_in(path), key=lambda file: file.stat().st_size))
    [finding] = verify(path)
    assert (finding.code, finding.table) == (DAMAGES[damage], "attachments")
    assert finding.action
    if DAMAGES[damage] == "attachment":
        with pytest.raises(CrdtStoreError):
            back_up(path, tmp_path / "backup", created=0)
        assert not (tmp_path / "backup").exists()
    # The control: without the check nothing is found.
    monkeypatch.setattr(verify_attachments, "check_file_of", lambda *_: None)
    monkeypatch.setattr(verify_attachments, "names_in", lambda _: ())
    assert list(verify(path)) == []


def test_a_damaged_file_is_mended_or_forgotten(path: Path, tmp_path: Path) -> None:
    alter(max(files_in(path), key=lambda file: file.stat().st_size))
    with Store.open(path) as store:
        store.attachments.put([b"x" * 300_000])
    assert back_up(path, tmp_path / "one", created=0).attachments == 4
    remove(files_in(path)[0])
    with Store.open(path) as store:
        [gone] = [state.id for state in store.attachments.list() if not is_there(store, state.id)]
        store.attachments.forget(gone)
    assert back_up(path, tmp_path / "two", created=0).attachments == 3


def is_there(store: Store, id_: str) -> bool:
    try:
        store.attachments.open(id_).close()
    except Corrupted:
        return False
    return True
