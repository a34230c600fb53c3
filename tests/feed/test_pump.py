"""The pump tells each listener everything from where it began, in order and without a gap, and then that it is over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import Queue
from random import Random
from threading import Event, Thread

import pytest

from crdtstore import Store
from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import StoreClosed, StoreReadOnly
from crdtstore.feed.changed import changed
from crdtstore.feed.pump import Place, Pump, Round
from crdtstore.storage.catalog import read_counts, sum_digests
from tests.version.pasts import KINDS, engine

SECONDS = 120


class Ear:
    """A listener that keeps what it heard."""

    def __init__(self, fail_at: int | None = None, gate: Event | None = None) -> None:
        self.began: int | None = None
        self.rounds: list[tuple[int, int, tuple[int, ...], tuple[bytes, bytes]]] = []
        self.ended: Queue[Exception | None] = Queue()
        self.fail_at = fail_at
        self.gate = gate
        self.heard = Event()
        self.taken: Queue[int] = Queue()

    def begin(self, place: Place) -> None:
        self.began = place.txn
        self.heard.set()

    def take(self, heard: Round) -> None:
        if self.gate is not None:
            assert self.gate.wait(SECONDS)
        if self.fail_at is not None and heard.txn >= self.fail_at:
            raise ValueError("planted")
        assert heard.changed().documents
        digests = (sum_digests(read_counts(heard.before)), sum_digests(read_counts(heard.after)))
        self.rounds.append((heard.since, heard.txn, tuple(entry.txn for entry in heard.entries()), digests))
        self.taken.put(heard.txn)

    def end(self, error: Exception | None) -> None:
        self.ended.put(error)

    @property
    def txns(self) -> list[int]:
        """Every transaction that it heard of."""
        return [txn for *_, txns, _ in self.rounds for txn in txns]


def write(store: Store, number: int) -> int:
    """One transaction."""
    return store.write([Upsert("c", {"n": number}, id=number % 7)]).txn


def open_store(kind: str, tmp_path: Path) -> Store:
    """A store on disk or in memory."""
    return Store.open(tmp_path / "store") if kind != "memory" else Store.in_memory()


@pytest.mark.parametrize("kind", KINDS)
def test_listeners_hear_everything_from_where_they_began(kind: str, tmp_path: Path) -> None:
    """Whoever comes and goes, and however slow one of them is."""
    random = Random(kind)
    gate = Event()
    with engine(kind), open_store(kind, tmp_path) as store:
        digests = {0: store.digest()}
        gone: list[Ear] = []
        ears = [Ear(gate=gate), Ear()]
        for ear in ears:
            store.pump.attach(ear)
        for number in range(60):
            if random.random() < 0.2:
                ears.append(Ear())
                store.pump.attach(ears[-1])
            if random.random() < 0.1:
                gone.append(random.choice(ears[2:] or [Ear()]))
                store.pump.detach(gone[-1])
            txn = write(store, number)
            digests[txn] = store.digest()
            if number == 40:
                gate.set()
        last = store.applied
    assert len(ears) > 4
    assert len(gone) > 2
    for ear in ears:
        assert ear.ended.get(timeout=SECONDS) is None
        assert ear.ended.empty()
        reached = ear.began
        for since, txn, txns, states in ear.rounds:
            assert since == reached
            assert txns == tuple(range(since + 1, txn + 1))
            assert states == (digests[since], digests[txn])
            reached = txn
        assert ear.began is None or ear in gone or reached == last


def test_one_that_fails_harms_no_other() -> None:
    with Store.in_memory() as store:
        bad, good = Ear(fail_at=1), Ear()
        store.pump.attach(bad)
        store.pump.attach(good)
        assert bad.heard.wait(SECONDS)
        write(store, 1)
        assert isinstance(bad.ended.get(timeout=SECONDS), ValueError)
        write(store, 2)
    assert bad.rounds == []
    assert good.ended.get(timeout=SECONDS) is None
    assert good.txns == list(range((good.began or 0) + 1, 3))


def test_nobody_listens_and_no_thread_runs() -> None:
    threads: set[Thread] = set()
    with Store.in_memory() as store:
        for _ in range(20):
            ear = Ear()
            store.pump.attach(ear)
            assert store.pump.thread is not None
            threads.add(store.pump.thread)
            store.pump.detach(ear)
            assert ear.ended.get(timeout=SECONDS) is None
        # One that is the pump's no more may still be about to end.
        for thread in threads:
            thread.join(SECONDS)
        assert store.pump.thread is None
        assert store.waiters.followers == ()


def test_what_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        write(store, 1)
    with Store.open(tmp_path / "store", read_only=True) as reader, pytest.raises(StoreReadOnly):
        reader.pump.attach(Ear())
    with pytest.raises(StoreClosed):
        store.pump.attach(Ear())


def test_a_version_that_cannot_be_opened_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.in_memory() as store:
        ear = Ear()
        store.pump.attach(ear)
        assert ear.heard.wait(SECONDS)
        snapshot: Callable[[], object] = store.storage.snapshot

        def refuse() -> object:
            monkeypatch.setattr(store.storage, "snapshot", snapshot)
            raise StoreClosed("planted")

        monkeypatch.setattr(store.storage, "snapshot", refuse)
        store.pump.bell.ring()
        assert isinstance(ear.ended.get(timeout=SECONDS), StoreClosed)
        late = Ear()
        store.pump.attach(late)
        assert late.heard.wait(SECONDS)
    assert late.ended.get(timeout=SECONDS) is None


def test_many_come_and_go_while_others_write(tmp_path: Path) -> None:
    ears: list[Ear] = []
    with Store.open(tmp_path / "store") as store:

        def listen(number: int) -> None:
            random = Random(number)
            for _ in range(15):
                ear = Ear()
                ears.append(ear)
                store.pump.attach(ear)
                if random.random() < 0.7:
                    assert ear.heard.wait(SECONDS)
                store.pump.detach(ear)

        threads = [Thread(target=listen, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for number in range(100):
            write(store, number)
        for thread in threads:
            thread.join()
    assert len(ears) == 60
    for ear in ears:
        assert ear.ended.get(timeout=SECONDS) is None
        assert ear.ended.empty()
        assert ear.txns == list(range((ear.began or 0) + 1, (ear.began or 0) + 1 + len(ear.txns)))


def test_the_check_of_gaps_can_fail() -> None:
    """A pump that forgets its place after a round is found by the same check."""

    class Forgetful(Pump):
        def go_round(self, place: Place) -> Place:
            after = super().go_round(place)
            return after._replace(txn=place.txn)

    with Store.in_memory() as store:
        store.pump = Forgetful(store.sequencer)
        ear = Ear()
        store.pump.attach(ear)
        assert ear.heard.wait(SECONDS)
        for number in range(5):
            write(store, number)
            ear.taken.get(timeout=SECONDS)
    assert ear.txns != list(range(1, 6))


def test_entries_name_their_documents_once() -> None:
    with Store.in_memory() as one, Store.in_memory() as other:
        one.write([Upsert("a", {"n": 1}, id=1), Upsert("b", {"n": 1}, id="x")])
        one.write([Remove("a", "true"), Upsert("b", {"n": 2}, id="y")])
        told = changed(one.changes())
        assert [(collection, len(encoded_id) > 0) for collection, encoded_id in told.documents] == [
            ("a", True),
            ("b", True),
            ("b", True),
        ]
        assert not told.anything
        assert changed([]) == ((), False)
        other.apply(entry.record for entry in one.changes())
        assert changed(other.changes()) == told
