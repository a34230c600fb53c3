"""The writer's thread: groups, the bound of its queue, its end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from crdtstore.command.command import Increment, Update, Upsert
from crdtstore.command.result import Updated
from crdtstore.errors import CrdtStoreError, InvalidId, Overloaded, StoreClosed, StoreFenced
from crdtstore.limits import COMMAND_BYTES
from crdtstore.storage.identity import give_identity
from crdtstore.store import Store
from crdtstore.version import writer
from crdtstore.version.writer import Inline, Writer
from tests.version.faulty import FaultyStorage
from tests.version.stores import fresh, job_of, kept, now, open_store, origin_of


class Held:
    """A store with a writer's thread whose next group can be held back just before its commit."""

    def __init__(self) -> None:
        self.storage = FaultyStorage()
        give_identity(self.storage, origin_of(1))
        self.entered, self.release = Event(), Event()
        self.store = Store(self.storage, Writer, now)
        self.base = self.storage.commits

    def hold(self) -> Future[Any]:
        """Submit a write and return once the writer stands before its commit."""

        def wait() -> None:
            self.storage.before_commit = None
            self.entered.set()
            assert self.release.wait(60)

        self.storage.before_commit = wait
        future = self.store.submit([Upsert("held", {"x": 1}, id=1)])
        assert self.entered.wait(60)
        return future

    @property
    def commits(self) -> int:
        """Groups that were committed."""
        return self.storage.commits - self.base


@pytest.fixture
def held() -> Iterator[Held]:
    """A store whose writer can be held; closed in the end."""
    made = Held()
    yield made
    made.release.set()
    made.store.close()


def test_what_waits_is_one_group(held: Held) -> None:
    """Everything that arrived during a commit shares the next one; refused ones fail alone."""
    first = held.hold()
    bad = held.store.submit([Upsert("a", {}, id=[])])
    futures = [held.store.submit([Upsert("a", {"n": number}, id=number)]) for number in range(50)]
    held.release.set()
    assert [future.result(60).txn for future in [first, *futures]] == list(range(1, 52))
    assert isinstance(bad.exception(60), InvalidId)
    assert held.commits == 2
    assert kept(held.store) == fresh(held.storage)


def test_a_group_is_bounded(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its number of transactions, and by their bytes."""
    monkeypatch.setattr(writer, "GROUP_TRANSACTIONS_MAX", 4)
    bytes_max = 5 * COMMAND_BYTES
    monkeypatch.setattr(writer, "GROUP_BYTES_MAX", bytes_max)
    held.hold()
    small = [held.store.submit([Upsert("a", {"n": number}, id=number)]) for number in range(9)]
    submit = held.store.submitter.submit
    large = [submit(job_of([Upsert("b", {"n": number}, id=number)]), bytes_max) for number in range(3)]
    held.release.set()
    assert [future.result(60).txn for future in [*small, *large]] == list(range(2, 14))
    # One; then of the small ones 4 and 4 and, up to the bytes' bound, the last one with a large one; 2 large ones.
    assert held.commits == 1 + 3 + 2


def test_the_queue_is_bounded(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a write is refused at once; what waits is written all the same."""
    monkeypatch.setattr(writer, "QUEUE_TRANSACTIONS_MAX", 3)
    held.hold()
    futures = [held.store.submit([Upsert("a", {}, id=number)]) for number in range(3)]
    with pytest.raises(Overloaded) as refused:
        held.store.submit([Upsert("a", {}, id=9)])
    assert refused.value.data == {"limit": "QUEUE_TRANSACTIONS_MAX", "maximum": 3}
    held.release.set()
    assert [future.result(60).txn for future in futures] == [2, 3, 4]
    assert held.store.write([Upsert("a", {}, id=9)]).txn == 5


def test_a_cancelled_write_is_not_written(held: Held) -> None:
    """A caller that gives up while its write waits takes it back; a running one cannot be."""
    running = held.hold()
    waiting = held.store.submit([Upsert("a", {}, id=1)])
    after = held.store.submit([Upsert("a", {}, id=2)])
    assert waiting.cancel()
    assert not running.cancel()
    held.release.set()
    assert after.result(60).txn == 2
    assert held.store.get("a", 1) is None


def test_closing_lets_the_queue_run_empty(held: Held) -> None:
    """What was submitted before is written, what comes after is refused."""
    held.hold()
    futures = [held.store.submit([Upsert("a", {}, id=number)]) for number in range(20)]
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(held.store.submitter.close)
        held.release.set()
        closing.result(60)
    assert [future.result(0).txn for future in futures] == list(range(2, 22))
    with pytest.raises(StoreClosed):
        held.store.write([Upsert("a", {}, id=9)])
    held.store.submitter.close()


def test_inline_refuses_after_close() -> None:
    """The submitter without a thread keeps the same rule."""
    storage = FaultyStorage()
    give_identity(storage, origin_of(1))
    store = Store(storage, Inline, now)
    store.write([Upsert("a", {}, id=1)])
    store.submitter.close()
    with pytest.raises(StoreClosed):
        store.submit([Upsert("a", {}, id=2)])


@pytest.mark.parametrize("kind", ["lmdb", "memory"])
def test_many_threads(kind: str, tmp_path: Path) -> None:
    """Each write has its own txn id, the ids are dense, every result is its own, and no increment is lost."""
    threads, writes = 6, 25

    def work(store: Store, thread: int) -> list[tuple[int, int]]:
        done = []
        for number in range(writes):
            id_ = thread * 1_000 + number
            update = Update("sum", "_id == 0", [Increment("n", 1)])
            written = store.write([Upsert("a", {"thread": thread}, id=id_), update], actor=origin_of(thread))
            assert written.results[0] == (id_,)
            assert written.results[1] == Updated(1, 0)
            assert store.get("a", id_) is not None
            done.append((written.txn, id_))
        return done

    with open_store(kind, tmp_path / "store") as store, ThreadPoolExecutor(threads) as pool:
        store.write([Upsert("sum", {"other": 1}, id=0)])
        futures = [pool.submit(work, store, thread) for thread in range(threads)]
        done = [pair for future in futures for pair in future.result(120)]
        total = threads * writes
        assert sorted(txn for txn, _ in done) == list(range(2, total + 2))
        assert len({id_ for _, id_ in done}) == total
        document = store.get("sum", 0)
        assert document is not None
        assert document.fields == {"n": total, "other": 1}
        assert [entry.txn for entry in store.changes()] == list(range(1, total + 2))


def test_threads_with_refused_writes(tmp_path: Path) -> None:
    """Every other write is refused: the others' ids are dense all the same."""
    with open_store("lmdb", tmp_path / "store") as store, ThreadPoolExecutor(4) as pool:

        def write(number: int) -> int:
            id_: Any = number if number % 2 else [number]
            try:
                return store.write([Upsert(f"c{number}", {f"p{number}": 1}, id=id_)]).txn
            except CrdtStoreError:
                return 0

        txns = list(pool.map(write, range(60)))
        assert sorted(txn for txn in txns if txn) == list(range(1, 31))
        assert store.collections() == tuple(sorted(f"c{number}" for number in range(1, 60, 2)))
        assert kept(store) == fresh(store.storage)


def test_nobody_waits_for_a_thread_that_has_ended(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends it: who waits is told, who comes later is told, and reads go on."""
    first = held.hold()
    waiting = [held.store.submit([Upsert("a", {"x": 1}, id=1)]) for _ in range(3)]

    def fail(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(held.store.sequencer, "commit_group", fail)
    held.release.set()
    assert first.result(60).txn == 1
    for future in waiting:
        with pytest.raises(StoreFenced, match="outcome is unknown"):
            future.result(60)
    with pytest.raises(StoreFenced):
        held.store.write([Upsert("a", {"x": 1}, id=1)])
    assert held.store.get("held", 1) is not None
