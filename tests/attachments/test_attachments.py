"""Files beside the database: put, read, listed, collected and forgotten."""

from __future__ import annotations

import errno
import gc
import hashlib
import io
import os
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack
import pytest

from crdtstore import limits
from crdtstore.attachments import collecting
from crdtstore.attachments.attachments import Put
from crdtstore.attachments.references import referred_in_documents
from crdtstore.command.command import Remove, Upsert
from crdtstore.crdt.entry import is_join
from crdtstore.errors import Corrupted, LimitExceeded, LogTrimmed, Overloaded, StoreReadOnly, UnknownAttachment
from crdtstore.replication.local import sync
from crdtstore.storage.attachment_files import folder_of, name_of, path_of, remove_own
from crdtstore.storage.attachments import parse_id, read_attachment
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.stored_format import FORMAT_KEY, WITH_ATTACHMENTS
from crdtstore.storage.tables import Table
from crdtstore.store import Store
from tests.version.stores import KINDS, open_store


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on disk and in memory."""
    with open_store(request.param, tmp_path / "store") as made:
        yield made


def read(store: Store, id_: str) -> bytes:
    """The bytes of a file."""
    with store.attachments.open(id_) as file:
        return file.read()


def refer(store: Store, put: Put, document: int = 1) -> None:
    """Write a document that refers to a file."""
    token = {"id": put.id, "len": put.len, "metadata": {"name": "a"}}
    store.write([Upsert("c", {"f": token}, id=document, value_types={"f": "attachment"})])


def file_of(store: Store, put: Put) -> Path:
    """Where a file is on the disk."""
    with store.storage.snapshot() as snapshot:
        row = read_attachment(snapshot, parse_id(put.id) or b"")
    assert row is not None
    return path_of(folder_of(store.storage), row)


def test_a_file_is_named_by_what_is_in_it(store: Store) -> None:
    put = store.attachments.put(io.BytesIO(b"hello"))
    assert put == store.attachments.put([b"he", b"", b"llo"])
    assert (len(put.id), put.len) == (46, 5)
    assert urlsafe_b64decode(put.id + "==") == b"\x12\x20" + hashlib.sha256(b"hello").digest()
    assert read(store, put.id) == b"hello"
    assert [state.id for state in store.attachments.list()] == [put.id]
    assert store.attachments.stat(put.id).len == 5
    assert read(store, store.attachments.put([]).id) == b""


@pytest.mark.parametrize(
    "id_", ["", "a", "RUGM" + "a" * 42, "é" * 46, "A" * 46, "EiAs8k26X7CjDiboOyrFueKeGxYeXB-nQl5zBDNik4uYJB"]
)
def test_what_is_not_there_is_told(store: Store, id_: str) -> None:
    with pytest.raises(UnknownAttachment):
        store.attachments.open(id_)
    with pytest.raises(UnknownAttachment):
        store.attachments.stat(id_)


def test_a_file_that_is_too_long_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ATTACHMENT_BYTES_MAX", 4)
    with pytest.raises(LimitExceeded) as told:
        store.attachments.put([b"he", b"llo"])
    assert told.value.data["limit"] == "ATTACHMENT_BYTES_MAX"
    assert [path for path in folder_of(store.storage).rglob("*") if path.is_file()] == []


def test_a_sender_that_fails_leaves_nothing(store: Store) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"he"
        raise EOFError

    with pytest.raises(EOFError):
        store.attachments.put(pieces())
    assert [path for path in folder_of(store.storage).rglob("*") if path.is_file()] == []


def test_a_file_stays_while_a_document_refers_to_it(store: Store) -> None:
    put = store.attachments.put([b"hello"])
    refer(store, put)
    assert store.attachments.collect(0)[:3] == (0, 0, 1)
    store.write([Remove("c", "true")])
    assert store.attachments.collect(0)[:3] == (1, 5, 0)
    with pytest.raises(UnknownAttachment):
        store.attachments.open(put.id)
    assert list(folder_of(store.storage).glob("*-*")) == []


def test_a_file_stays_for_a_while_without_a_reference(tmp_path: Path) -> None:
    now = 1_000_000
    with Store.in_memory(clock=lambda: now) as store:
        put = store.attachments.put([b"hello"])
        now += 9_999
        assert store.attachments.collect(10).removed == 0
        now += 100_000
        assert store.attachments.collect(10).removed == 0, "it is found idle the first time"
        refer(store, put)
        now += 100_000
        assert store.attachments.collect(10).removed == 0
        assert store.attachments.stat(put.id).idle == 0
        store.write([Remove("c", "true")])
        assert store.attachments.collect(10).removed == 0
        now += 10_000
        assert store.attachments.collect(10).removed == 1


def test_losers_of_conflicts_and_initial_writes_refer_too(store: Store) -> None:
    one, two = store.attachments.put([b"one"]), store.attachments.put([b"two"])
    with Store.in_memory(clock=store.clock) as other:
        refer(other, one)
        refer(store, two)
        store.apply(entry.record for entry in other.changes())
    assert len(store.conflicts("c", 1)["f"]) == 2
    assert store.attachments.collect(0).removed == 0
    three = store.attachments.put([b"three"])
    token = {"id": three.id, "len": 5}
    store.write([Upsert("c", {"f": token}, id="new", value_types={"f": "attachment"}, initial=True)])
    assert store.attachments.collect(0).removed == 0


def test_who_has_a_file_open_keeps_it(store: Store) -> None:
    put = store.attachments.put([b"hello"])
    with store.attachments.open(put.id) as file:
        assert store.attachments.collect(0).removed == 1
        assert file.read() == b"hello"


def test_a_damaged_file_is_not_served_and_mended_by_putting_it_again(store: Store) -> None:
    put = store.attachments.put([b"hello"])
    file_of(store, put).unlink()
    with pytest.raises(Corrupted):
        store.attachments.open(put.id)
    assert store.attachments.put([b"hello"]) == put
    file_of(store, put).write_bytes(b"jello")
    assert store.attachments.put([b"hello"]) == put
    assert read(store, put.id) == b"hello"
    file_of(store, put).write_bytes(b"hell")
    with pytest.raises(Corrupted):
        store.attachments.open(put.id)
    store.attachments.forget(put.id)
    assert store.attachments.collect(0) == (0, 0, 0, 0)


def test_a_crash_leaves_what_the_next_collection_sweeps(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        put = store.attachments.put([b"hello"])
        kept = file_of(store, put)
        folder = kept.parent
        (folder / kept.name.replace(kept.name[:4], "0000", 1)).write_bytes(b"no row")
        (folder / "incoming" / "x.part").write_bytes(b"half")
    with Store.open(tmp_path / "store") as store:
        assert list((folder / "incoming").iterdir()) == []
        assert store.attachments.collect().swept == 1
        assert [path.name for path in folder.glob("*-*")] == [kept.name]
        assert read(store, put.id) == b"hello"


def test_files_of_a_store_in_memory_go_with_it_and_not_with_a_forked_child() -> None:
    store = Store.in_memory()
    put = store.attachments.put([b"hello"])
    folder = folder_of(store.storage).parent
    remove_own(str(folder), os.getpid() + 1)
    assert read(store, put.id) == b"hello"
    store.close()
    del store
    gc.collect()
    assert not folder.exists()


def test_what_cannot_be_removed_keeps_no_store_shut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path / "store") as store:
        put = store.attachments.put([b"hello"])
    (tmp_path / "store" / "attachments" / "incoming" / "x.part").write_bytes(b"half")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "refused")

    monkeypatch.setattr(Path, "unlink", refuse)
    with Store.open(tmp_path / "store") as store:
        assert read(store, put.id) == b"hello"


def test_a_store_says_that_it_has_attachments(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", durability="sync") as store:
        store.attachments.put([b"hello"])
        with store.storage.snapshot() as snapshot:
            record = msgpack.unpackb(snapshot.get(Table.META, FORMAT_KEY) or b"")
    assert record["format"] == WITH_ATTACHMENTS
    with Store.open(tmp_path / "store", read_only=True) as store:
        with pytest.raises(StoreReadOnly):
            store.attachments.put([b"x"])
        with pytest.raises(StoreReadOnly):
            store.attachments.collect()
        assert [state.len for state in store.attachments.list()] == [5]


def test_names_differ_by_generation(store: Store) -> None:
    put = store.attachments.put([b"hello"])
    first = file_of(store, put).name
    store.attachments.forget(put.id)
    store.attachments.put([b"hello"])
    assert file_of(store, put).name != first
    with store.storage.snapshot() as snapshot:
        row = read_attachment(snapshot, parse_id(put.id) or b"")
    assert row is not None
    assert name_of(row) == file_of(store, put).name


# --- what comes while a collection runs ---


def meanwhile(monkeypatch: pytest.MonkeyPatch, happen: Callable[[], object]) -> None:
    """Let something happen behind the reading of all documents, the first time."""
    happened = list[bool]()

    def read_first(snapshot: Snapshot) -> Iterator[bytes]:
        yield from referred_in_documents(snapshot)
        if not happened:
            happened.append(True)
            happen()

    monkeypatch.setattr(collecting, "referred_in_documents", read_first)


def test_a_reference_that_is_written_meanwhile_counts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put = store.attachments.put([b"hello"])
    meanwhile(monkeypatch, lambda: refer(store, put))
    assert store.attachments.collect(0)[:3] == (0, 0, 1)


def test_so_does_one_of_many_transactions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put = store.attachments.put([b"hello"])
    monkeypatch.setattr(limits, "COLLECT_ENTRIES_MAX", 2)
    monkeypatch.setattr(limits, "CHANGES_ENTRIES_MAX", 3)

    def happen() -> None:
        for number in range(20):
            store.write([Upsert("c", {"n": number}, id="n")])
        refer(store, put)

    meanwhile(monkeypatch, happen)
    assert store.attachments.collect(0).removed == 0


def test_so_does_one_in_a_snapshot_that_is_joined(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    put = store.attachments.put([b"hello"])
    with Store.in_memory(clock=store.clock) as other:
        refer(other, put)
        other.write([Upsert("c", {"n": 1}, id="n")])
        other.trim(1)
        meanwhile(monkeypatch, lambda: sync(store, other))
        assert store.attachments.collect(0).removed == 0
    assert any(is_join(entry.record) for entry in store.changes())
    assert read(store, put.id) == b"hello"


def test_a_log_that_is_trimmed_meanwhile_begins_a_collection_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = store.attachments.put([b"hello"])

    def happen() -> None:
        refer(store, put)
        store.write([Upsert("c", {"n": 1}, id="n")])
        store.trim(store.applied - 1)

    meanwhile(monkeypatch, happen)
    assert store.attachments.collect(0).removed == 0

    def trimmed(*_: object) -> bool:
        raise LogTrimmed("It was trimmed.")

    monkeypatch.setattr(collecting.Marks, "catch_up", trimmed)
    store.attachments.put([b"idle"])
    with pytest.raises(Overloaded):
        store.attachments.collect(0)


def test_a_damaged_document_ends_a_collection(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.attachments.put([b"hello"])

    def damaged(_snapshot: Snapshot) -> Iterator[bytes]:
        raise Corrupted("documents", b"x")

    monkeypatch.setattr(collecting, "referred_in_documents", damaged)
    with pytest.raises(Corrupted):
        store.attachments.collect(0)
    assert len(list(store.attachments.list())) == 1
