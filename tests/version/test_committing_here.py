"""Who waits for a write commits it in his own thread, and no signal's handler leaves a store half written."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from shutil import copyfile
from threading import Event, Thread, get_ident
from time import sleep
from typing import Any

import pytest

from crdtstore import Store, Upsert, core
from crdtstore.errors import StoreError
from crdtstore.storage.catalog import Catalog
from crdtstore.storage.head import Head
from crdtstore.storage.interface import Batch
from crdtstore.storage.wal import create_wal
from crdtstore.version.writer import ALONE_JOBS, Writer

SEGMENT_BYTES = 16 * 1_024
SIGNALS_SEEN = 60
WRITES_MAX = 20_000
SECONDS_MAX = 0.000_6

HERE = core.lmdb_environment is not None
"""The plain core leaves all to the writer."""


class Interrupted(BaseException):
    """What a handler raises."""


@pytest.fixture(params=["none", "wal"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with a writer's thread, and with a log that goes round often or with none."""
    monkeypatch.setitem(create_wal.__kwdefaults__ or {}, "segment_bytes", SEGMENT_BYTES)
    monkeypatch.setitem(create_wal.__kwdefaults__ or {}, "zeros_bytes", SEGMENT_BYTES // 4)
    with Store.open(tmp_path / "store", durability=request.param) as made:
        yield made


def thread_of(batch: Batch, catalog: Catalog, head: Head) -> int:
    """A job that says where it runs."""
    return get_ident()


def writer_of(store: Store) -> Writer:
    """Its writer."""
    assert isinstance(store.submitter, Writer)
    return store.submitter


def test_who_waits_commits(store: Store) -> None:
    assert [store.run(thread_of) for _ in range(ALONE_JOBS)].count(get_ident()) < ALONE_JOBS
    assert (store.run(thread_of) == get_ident()) == HERE
    assert store.submitter.submit(thread_of).result() == writer_of(store).thread.ident


def test_whoever_comes_meanwhile_leaves_it_to_the_writer(store: Store) -> None:
    entered, release, threads = Event(), Event(), []

    def hold(*_: Any) -> None:
        entered.set()
        assert release.wait(60)

    first = Thread(target=store.run, args=(hold,))
    first.start()
    assert entered.wait(60)
    others = [Thread(target=lambda: threads.append(store.run(thread_of))) for _ in range(3)]
    for other in others:
        other.start()
    while len(writer_of(store).queue) < len(others):
        sleep(0.001)
    release.set()
    for thread in (first, *others):
        thread.join(60)
    assert threads == [writer_of(store).thread.ident] * 3
    # There were others to share a flush with, and may be again.
    assert [store.run(thread_of) for _ in range(ALONE_JOBS)].count(get_ident()) <= 1
    assert (store.run(thread_of) == get_ident()) == HERE


def test_a_write_within_a_write_is_refused(store: Store) -> None:
    def write(*_: Any) -> None:
        with pytest.raises(StoreError, match="another one of its own thread"):
            store.write([Upsert("a", {}, id=1)])

    store.run(write)
    assert store.write([Upsert("a", {}, id=1)]).txn == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # raised where nothing can be
def test_signals_leave_no_write_half_done(store: Store, tmp_path: Path) -> None:
    """A handler raises at any moment of many writes: each is there whole or not at all, and the store goes on."""
    random, interrupted = Random(5), 0

    def raise_(_number: int, _frame: object) -> None:
        raise Interrupted

    before, ends = signal.signal(signal.SIGALRM, raise_), signal.getitimer(signal.ITIMER_REAL)
    try:
        for number in range(WRITES_MAX):
            if interrupted == SIGNALS_SEEN:
                break
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_001, SECONDS_MAX))
                store.write([Upsert("a", {"n": number}, id=number), Upsert("b", {"n": number}, id=number)])
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                interrupted += 1
            # Of one snapshot: who was interrupted while he waited for the writer's thread left it at work.
            assert store.stats().documents % 2 == 0
            assert not store.sequencer.fenced
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *ends)  # what ends a test that hangs
    assert interrupted == SIGNALS_SEEN
    last = store.write([Upsert("a", {}, id="last")]).txn
    assert last == store.sequencer.head.txn == whole(store) + 1
    if store.storage.wal is not None:  # type: ignore[attr-defined]
        with Store.open(crashed(store, tmp_path)) as left:
            assert left.sequencer.head.txn == last == whole(left) + 1


def whole(store: Store) -> int:
    """How many writes are there, each of them whole."""
    numbers = {each.id for each in store.scan("b")}
    assert {each.id for each in store.scan("a")} == numbers | {"last"}
    return len(numbers)


def crashed(store: Store, folder: Path) -> Path:
    """What is left of a store if its process ends now."""
    left = folder / "left"
    left.mkdir()
    for name in ("data.mdb", "wal.log"):
        copyfile(folder / "store" / name, left / name)
    return left
