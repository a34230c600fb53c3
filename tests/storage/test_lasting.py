"""A store whose write-ahead log cannot be made goes on without, unless the log was asked for."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from crdtstore import Store, Upsert
from crdtstore.errors import NotAStore, StoreError, StoreFull, StoreLocked
from crdtstore.limits import WAL_SEGMENT_BYTES
from crdtstore.storage import environment
from crdtstore.storage.wal_file import NAME

SECONDS_MAX = 60


@pytest.fixture
def _small_files() -> Iterator[None]:
    """No file may become as large as a log is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (WAL_SEGMENT_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def kept(directory: Path) -> object:
    """What a store keeps when it is opened again."""
    with Store.open(directory) as store:
        return store.get("c", 1)


@pytest.mark.usefixtures("_small_files")
def test_it_goes_on_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = tmp_path / "store"
    for number in range(2):
        with caplog.at_level(logging.WARNING), Store.open(directory) as store:
            assert store.write([Upsert("c", {"n": number}, id=1)]).txn == number + 1
            assert not [path for path in directory.iterdir() if path.name.startswith("wal")]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "ask for sync" in caplog.text
    assert "File too large" in caplog.text
    assert kept(directory) is not None


def test_who_does_not_close_a_store_leaves_no_log(tmp_path: Path) -> None:
    """A process that ends closes what it opened, and what it inherited by fork() it leaves alone."""
    run_python(f"""
        import os
        from crdtstore import Store, Upsert
        store = Store.open({str(tmp_path / "store")!r})
        store.write([Upsert("c", {{"n": 1}}, id=1)])
        if os.fork() == 0:
            raise SystemExit
        os.wait()
        store.write([Upsert("c", {{"n": 2}}, id=2)])
    """)
    assert not (tmp_path / "store" / NAME).exists()
    with Store.open(tmp_path / "store", read_only=True) as store:
        assert [document.id for document in store.scan("c")] == [1, 2]


def run_python(program: str) -> None:
    """Run a program in a process of its own."""
    subprocess.run((sys.executable, "-c", dedent(program)), check=True, timeout=SECONDS_MAX)


@pytest.mark.usefixtures("_small_files")
def test_who_asks_for_a_log_gets_it_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="File too large"):
        Store.open(tmp_path / "store", durability="wal")
    with Store.open(tmp_path / "store", durability="sync") as store:
        store.write([Upsert("c", {}, id=1)])


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(environment, "create_wal", refuse)
        with pytest.raises(StoreFull):
            Store.open(tmp_path / "store", durability="wal")
        with Store.open(tmp_path / "store") as store:
            store.write([Upsert("c", {}, id=1)])
    assert "No space left" in caplog.text
    with Store.open(tmp_path / "store") as store:
        assert (tmp_path / "store" / NAME).exists()
        assert store.get("c", 1) is not None


def test_what_is_no_matter_of_the_log_is_told_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    with pytest.raises(NotAStore):
        Store.open(tmp_path / "else")
    with Store.open(tmp_path / "store"), pytest.raises(StoreLocked):
        Store.open(tmp_path / "store")
    assert caplog.text == ""
