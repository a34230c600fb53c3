"""A commit group: who fails alone, who falls with it, and what is visible when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from crdtstore.command.command import Increment, Remove, Set, Update, Upsert
from crdtstore.crdt.value import Value
from crdtstore.errors import (
    CrdtStoreError,
    InvalidId,
    LimitExceeded,
    QuerySyntaxError,
    StoreClosed,
    StoreError,
    StoreFenced,
    StoreFull,
)
from crdtstore.storage.interface import Batch
from crdtstore.store import Store
from crdtstore.version.sequencer import Job, Sequencer
from tests.version.faulty import FaultyStorage
from tests.version.stores import Run, fresh, job_of, kept, log, origin_of, store_on


@pytest.fixture
def storage() -> FaultyStorage:
    """A storage that fails on demand."""
    return FaultyStorage()


def commit(store: Store, runs: Sequence[Run]) -> list[Future[Any]]:
    """Commit jobs as one group."""
    jobs = [Job(run, Future(), 0) for run in runs]
    store.sequencer.commit_group(jobs)
    assert all(job.future.done() for job in jobs)
    return [job.future for job in jobs]


def field_of(store: Store, collection: str, id: int, name: str) -> Any:
    """One field of a document that exists."""
    document = store.get(collection, id)
    assert document is not None
    return document.fields[name]


def deep(levels: int) -> Value:
    """An object in an object in an object."""
    value: Value = 1
    for _ in range(levels):
        value = {"k": value}
    return value


REFUSED: dict[str, tuple[list[Any], type[CrdtStoreError]]] = {
    "id": ([Upsert("new", {"fresh": 1}, id=1), Upsert("new", {}, id=[])], InvalidId),
    "query": ([Upsert("new", {"fresh": 1}, id=1), Remove("old", "==")], QuerySyntaxError),
    "limit": ([Upsert("new", {"fresh": 1}, id=1), Upsert("old", {"fresh": deep(70)}, id=1)], LimitExceeded),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_refused_job_fails_alone(storage: FaultyStorage, name: str) -> None:
    """The others of its group are committed, and of its names nothing is left, in memory or stored."""
    commands, error = REFUSED[name]
    store = store_on(storage)
    store.write([Upsert("old", {"x": 1}, id=1)])
    first, refused, last = commit(
        store,
        [
            job_of([Upsert("old", {"x": 2}, id=1)]),
            job_of(commands, origin_of(77)),
            job_of([Update("old", "_id == 1", [Increment("n", 2)])], origin_of(78)),
        ],
    )
    assert isinstance(refused.exception(), error)
    assert (first.result().txn, last.result().txn, store.applied) == (2, 3, 3)
    assert field_of(store, "old", 1, "x") == 2
    assert field_of(store, "old", 1, "n") == 2
    catalog = store.sequencer.catalog
    assert "new" not in catalog.by_name
    assert [known.name for known in catalog.collections] == ["old"]
    assert not [text for text in catalog.by_name["old"].paths.texts if b"fresh" in text]
    assert not [text for text in catalog.replicas.texts if text.startswith(origin_of(77))]
    assert kept(store) == fresh(storage)


def test_a_name_taken_back_is_given_again(storage: FaultyStorage) -> None:
    """The number of a refused collection goes to the next one; reading afterwards finds the right documents."""
    store = store_on(storage)
    refused, done = commit(
        store,
        [
            job_of([Upsert("a", {"left": 1}, id=1), Upsert("a", {}, id=[])], origin_of(5)),
            job_of([Upsert("b", {"right": 2}, id=1)], origin_of(6)),
        ],
    )
    assert refused.exception() is not None
    assert done.result().txn == 1
    assert store.get("a", 1) is None
    assert field_of(store, "b", 1, "right") == 2
    assert kept(store) == fresh(storage)


def test_a_group_of_refused_jobs_leaves_no_txn(storage: FaultyStorage) -> None:
    """Nothing moved: not the log, not the head, not the catalog."""
    store = store_on(storage)
    before = kept(store)
    futures = commit(store, [job_of([Upsert("a", {}, id=[])]), job_of([Remove("a", "==")])])
    assert all(isinstance(future.exception(), CrdtStoreError) for future in futures)
    assert kept(store) == fresh(storage) == before
    assert log(store) == []


def test_a_cancelled_job_does_not_run(storage: FaultyStorage) -> None:
    """A future that was cancelled in the queue is left out; the others are not."""
    store = store_on(storage)
    ran: list[int] = []
    jobs = [Job(lambda *_, number=number: ran.append(number), Future(), 0) for number in range(3)]
    jobs[1].future.cancel()
    store.sequencer.commit_group(jobs)
    assert ran == [0, 2]


@pytest.mark.parametrize("puts", range(8))
def test_a_full_disk_while_putting_aborts_the_group(storage: FaultyStorage, puts: int) -> None:
    """Every job of the group gets StoreFull; memory is what a fresh load gives; the next group is written."""
    store = store_on(storage)
    store.write([Upsert("old", {"x": 1}, id=1)])
    before = kept(store)
    storage.fail_put(puts, StoreFull("The disk is full."))
    runs = [
        job_of([Upsert("old", {"x": 2, "fresh": 1}, id=1), Upsert("new", {"y": 1}, id=1)], origin_of(5)),
        job_of([Upsert("old", {"x": 3}, id=1)], origin_of(6)),
    ]
    futures = commit(store, runs)
    assert storage.put_fault is None, "the fault was not reached"
    assert all(isinstance(future.exception(), StoreFull) for future in futures)
    assert kept(store) == fresh(storage) == before
    assert store.applied == 1
    again = commit(store, runs)
    assert [future.result().txn for future in again] == [2, 3]
    assert kept(store) == fresh(storage)
    assert field_of(store, "old", 1, "x") == 3


def test_a_full_disk_at_the_commit_is_known_not_to_be_written(storage: FaultyStorage) -> None:
    """LMDB says so: the group fails, the store goes on."""
    store = store_on(storage)
    storage.fail_commit(StoreFull("The disk is full."))
    with pytest.raises(StoreFull):
        store.write([Upsert("a", {"x": 1}, id=1)])
    assert kept(store) == fresh(storage)
    assert store.write([Upsert("a", {"x": 1}, id=1)]).txn == 1


def test_an_error_of_no_known_kind_aborts_the_group(storage: FaultyStorage) -> None:
    """A job that raises what nobody planned takes the group with it, and leaves nothing."""
    store = store_on(storage)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    futures = commit(store, [job_of([Upsert("a", {"x": 1}, id=1)]), broken])
    assert all(isinstance(future.exception(), ZeroDivisionError) for future in futures)
    assert kept(store) == fresh(storage)
    assert store.write([Upsert("a", {"x": 1}, id=1)]).txn == 1


@pytest.mark.parametrize("written", [False, True], ids=["lost", "written"])
@pytest.mark.parametrize("fault", [StoreFenced("unknown"), StoreError("I/O error"), OSError(5, "I/O error")], ids=repr)
def test_a_commit_of_unknown_outcome_fences(storage: FaultyStorage, fault: Exception, *, written: bool) -> None:
    """Whether it was written or not: no write is taken any more, reads go on, a waiter is not told."""
    store = store_on(storage)
    store.write([Upsert("a", {"x": 1}, id=1)])
    told: list[int] = []
    store.notify(2, lambda: told.append(2))
    storage.fail_commit(fault, written=written)
    for _ in range(3):
        with pytest.raises(StoreFenced):
            store.write([Upsert("a", {"y": 2}, id=1)])
    with pytest.raises(StoreFenced):
        store.apply([])
    with pytest.raises(StoreFenced):
        store.write_setting(b"k", b"v")
    assert (store.applied, told) == (1, [])
    assert field_of(store, "a", 1, "x") == 1
    assert [document.id for document in store.find("a").documents] == [1]


@pytest.mark.parametrize("at", ["put", "commit"])
def test_a_state_that_cannot_be_read_back_fences(storage: FaultyStorage, at: str) -> None:
    """The group's jobs are answered, with what failed first; no write is taken any more, reads go on."""
    store = store_on(storage)
    store.write([Upsert("a", {"x": 1}, id=1)])
    if at == "put":
        storage.fail_put(1, StoreFull("The disk is full."))
    else:
        storage.fail_commit(StoreFull("The disk is full."))
    storage.snapshot_fault = StoreError("I/O error")
    with pytest.raises(StoreFull):
        store.write([Upsert("a", {"x": 2}, id=1)])
    with pytest.raises(StoreFenced):
        store.write([Upsert("a", {"x": 3}, id=1)])
    assert (store.applied, field_of(store, "a", 1, "x")) == (1, 1)


def test_a_closed_storage_fails_every_job(storage: FaultyStorage) -> None:
    """Futures are answered even when no batch can be opened."""
    store = store_on(storage)
    storage.close()
    assert all(isinstance(future.exception(), StoreClosed) for future in commit(store, [job_of([])] * 2))


# --- nothing is visible before it is on disk ---


class Eager(Sequencer):
    """A planted bug: it publishes before the commit."""

    def finish(self, batch: Batch, jobs: Sequence[Job], outcomes: Sequence[tuple[Any, Exception | None]]) -> None:
        """Publish, then commit."""
        self.waiters.publish(self.head.txn)
        super().finish(batch, jobs, outcomes)


def seen_before_commit(kind: Callable[[FaultyStorage], Sequencer]) -> list[str]:
    """What others could see of a write at the moment before it was committed."""
    storage = FaultyStorage()
    store = store_on(storage)
    store.sequencer = kind(storage)
    store.waiters = store.sequencer.waiters
    seen: list[str] = []
    futures: list[Future[Any]] = []
    base = storage.commits
    store.notify(1, lambda: seen.append("waiter") if storage.commits == base else None)

    def look() -> None:
        seen.extend(["applied"] * (store.applied > 0))
        seen.extend(["get"] * (store.get("a", 1) is not None))
        seen.extend(["find"] * bool(store.find("a").documents))
        seen.extend(["log"] * bool(log(store)))
        seen.extend(["answer"] * any(future.done() for future in futures))

    storage.before_commit = look
    job = Job(job_of([Upsert("a", {"x": 1}, id=1)]), Future(), 0)
    futures.append(job.future)
    store.sequencer.commit_group([job])
    assert job.future.result().txn == 1
    assert field_of(store, "a", 1, "x") == 1
    return seen


def test_nothing_is_visible_before_the_commit() -> None:
    """Not to reads, not to the log's readers, not to waiters, not to the writer itself."""
    assert seen_before_commit(Sequencer) == []


def test_a_sequencer_that_publishes_first_is_caught() -> None:
    """The check above sees a planted bug."""
    assert "waiter" in seen_before_commit(Eager)
    assert "applied" in seen_before_commit(Eager)


def test_the_answer_comes_after_the_waiters(storage: FaultyStorage) -> None:
    """Who has the answer may read at that txn id at once."""
    store = store_on(storage)
    order: list[str] = []
    store.notify(1, lambda: order.append("published"))
    future: Future[Any] = Future()
    future.add_done_callback(lambda _: order.append(f"answered at {store.applied}"))
    store.sequencer.commit_group([Job(job_of([Upsert("a", {"x": 1}, id=1)]), future, 0)])
    assert order == ["published", "answered at 1"]


def test_an_update_that_finds_nothing_is_no_transaction(storage: FaultyStorage) -> None:
    """It answers with the newest txn id and leaves no name."""
    store = store_on(storage)
    written = store.write([Update("nowhere", "true", [Set("x", 1)]), Remove("nowhere", "true")])
    assert written.txn == 0
    assert kept(store) == fresh(storage)
    assert store.sequencer.catalog.collections == []
