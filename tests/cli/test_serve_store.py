"""A server whose write-ahead log cannot be made goes on without, unless it was asked for the log."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.cli.serve_store import open_served
from crdtstore.errors import NotAStore, StoreError, StoreFull, StoreLocked
from crdtstore.limits import WAL_SEGMENT_BYTES
from crdtstore.settings import Settings
from crdtstore.storage import environment
from crdtstore.storage.wal_file import NAME


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
        with caplog.at_level(logging.WARNING), open_served(directory, Settings()) as store:
            assert store.write([Upsert("c", {"n": number}, id=1)]).txn == number + 1
            assert not [path for path in directory.iterdir() if path.name.startswith("wal")]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "--durability sync" in caplog.text
    assert "File too large" in caplog.text
    assert kept(directory) is not None


@pytest.mark.usefixtures("_small_files")
def test_who_asks_for_a_log_gets_it_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="File too large"):
        open_served(tmp_path / "store", Settings(durability="wal"))
    with open_served(tmp_path / "store", Settings(durability="sync")) as store:
        store.write([Upsert("c", {}, id=1)])


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(environment, "create_wal", refuse)
        with pytest.raises(StoreFull):
            open_served(tmp_path / "store", Settings(durability="wal"))
        with open_served(tmp_path / "store", Settings()) as store:
            store.write([Upsert("c", {}, id=1)])
    assert "No space left" in caplog.text
    with open_served(tmp_path / "store", Settings()) as store:
        assert (tmp_path / "store" / NAME).exists()
        assert store.get("c", 1) is not None


def test_what_is_no_matter_of_the_log_is_told_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "file").touch()
    with pytest.raises(NotAStore):
        open_served(tmp_path / "else", Settings())
    with open_served(tmp_path / "store", Settings()), pytest.raises(StoreLocked):
        open_served(tmp_path / "store", Settings())
    assert caplog.text == ""
