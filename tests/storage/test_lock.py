"""Who may open a store: one writer among all processes, one opening in a process, nobody after fork()."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crdtstore.errors import StoreLocked
from crdtstore.storage import lock
from crdtstore.storage.lock import LOCK_NAME, hold_store
from tests.storage import children
from tests.storage.engines import content, fill, open_engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_process_opens_a_store_once(disk_engine: str, path: Path) -> None:
    other_name = path.with_name("link")
    other_name.symlink_to(path)
    open_before = dict(lock.open_stores)
    for first in (False, True):
        with open_engine(disk_engine, path, read_only=first):
            for name in (path, other_name):
                for second in (False, True):
                    with pytest.raises(StoreLocked) as caught:
                        open_engine(disk_engine, name, read_only=second)
                    assert caught.value.data["pid"] == os.getpid()
        assert lock.open_stores == open_before


def test_a_renamed_store_is_still_the_one_that_is_open(disk_engine: str, path: Path) -> None:
    with open_engine(disk_engine, path):
        path.rename(path.with_name("renamed"))
        with pytest.raises(StoreLocked):
            open_engine(disk_engine, path.with_name("renamed"))
        open_engine(disk_engine, path).close()


def test_a_dropped_store_is_released(disk_engine: str, path: Path) -> None:
    fill(open_engine(disk_engine, path), {b"a": b"1"})
    with open_engine(disk_engine, path) as storage:
        assert content(storage) == {b"a": b"1"}


def test_the_lock_names_who_holds_it(path: Path) -> None:
    path.mkdir()
    held = hold_store(str(path), writer=True)
    pid, since = (path / LOCK_NAME).read_text().split()
    assert pid == str(os.getpid())
    assert len(since) == len("2026-01-01T00:00:00Z")
    assert opened_below(path)
    held.release()
    held.release()
    assert not opened_below(path)
    hold_store(str(path), writer=True).release()


def test_what_cannot_be_held_leaves_nothing_behind(path: Path) -> None:
    open_before = dict(lock.open_stores)
    with pytest.raises(FileNotFoundError):
        hold_store(str(path), writer=True)
    path.mkdir()
    (path / LOCK_NAME).mkdir()
    with pytest.raises(IsADirectoryError):
        hold_store(str(path), writer=True)
    assert lock.open_stores == open_before
    assert not opened_below(path)


def opened_below(folder: Path) -> list[str]:
    """What this process has open of a folder; other files may be closed at any time, by the garbage of other tests."""
    targets = (os.path.realpath(each) for each in Path("/proc/self/fd").iterdir())
    return [each for each in targets if f"{each}/".startswith(f"{folder}/")]


@pytest.mark.crash
def test_a_second_writer_is_refused_with_the_pid_of_the_first(disk_engine: str, path: Path) -> None:
    with open_engine(disk_engine, path) as storage:
        fill(storage, {b"a": b"1"})
    with children.running(children.hold, disk_engine, path) as child:
        assert child.ask() == {"count": 1}
        with pytest.raises(StoreLocked, match=str(child.process.pid)) as caught:
            open_engine(disk_engine, path)
        assert caught.value.data == {"pid": child.process.pid}
        with open_engine(disk_engine, path, read_only=True) as reader:
            assert content(reader) == {b"a": b"1"}
        child.kill()
        with open_engine(disk_engine, path) as storage:
            assert content(storage) == {b"a": b"1"}
            fill(storage, {b"b": b"2"})


@pytest.mark.crash
def test_a_creation_is_left_to_the_first(disk_engine: str, path: Path) -> None:
    """The lock of the directory that is being built keeps a second creator out."""
    new = path.with_name("store.new")
    new.mkdir()
    held = hold_store(str(new), writer=True)
    with pytest.raises(StoreLocked):
        open_engine(disk_engine, path)
    held.release()
    open_engine(disk_engine, path).close()


@pytest.mark.crash
def test_readers_see_what_is_committed_meanwhile(disk_engine: str, path: Path) -> None:
    with open_engine(disk_engine, path) as storage:
        with children.running(children.read_beside, disk_engine, path) as reader:
            assert reader.ask(b"\n") == []
            for number in range(5):
                fill(storage, {b"%d" % number: b"x"})
                assert reader.ask(b"\n") == [str(key) for key in range(number + 1)]
        fill(storage, {b"z": b"x"})


@pytest.mark.crash
def test_a_forked_child_does_not_keep_the_lock(disk_engine: str, path: Path) -> None:
    with children.running(children.hold_and_fork, disk_engine, path) as child:
        assert child.ask() == "forked"
        child.process.wait(children.SECONDS_MAX)
        with open_engine(disk_engine, path) as storage:
            assert content(storage) == {b"a": b"1"}


@pytest.mark.crash
def test_nothing_is_used_after_a_fork(disk_engine: str, path: Path) -> None:
    code, seen = children.run(children.use_after_fork, disk_engine, path)
    assert code == 0
    inherited, ended, opened = seen["child"][:7], seen["child"][7:10], seen["child"][10:]
    assert inherited == ["forked-process"] * 7
    assert ended == ["done"] * 3
    assert opened == ["store-locked", "done" if disk_engine == "compiled" else "store"]
    assert seen["parent"] == ["before"]
