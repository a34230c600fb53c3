"""A store is read as it was, at the versions that it retains, and refuses all others with a typed answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from crdtstore.command.command import Command, Increment, Remove, Update, Upsert
from crdtstore.errors import Overloaded, StoreFull, VersionNotRetained
from crdtstore.limits import PIN_VERSION_SECONDS_MAX, PINNED_VERSIONS_MAX
from crdtstore.replication.local import sync
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.memory import MemoryStorage
from crdtstore.store import Store
from crdtstore.version import retained
from crdtstore.version.retained import Retained, Version
from tests.replication.worlds import make, put
from tests.store.reader import Reader
from tests.version.faulty import FaultyStorage
from tests.version.pasts import KINDS, Clock, Past, engine, opener
from tests.version.stores import log, origin_of, store_on

STEPS = 60


def live(kind: str, path: Path, seed: int, *, versions_max: int = 0, seconds: float = 60.0) -> None:
    """Live through a past and check it after every few steps."""
    with engine(kind), pytest.MonkeyPatch.context() as patch:
        past = Past(opener(kind, path), Random(seed), seconds)
        if versions_max:
            past.versions_max = versions_max
            patch.setattr(retained, "RETAINED_VERSIONS_MAX", versions_max)
        with past.store:
            for number in range(STEPS):
                past.step()
                if number % 6 == 5:
                    past.check()


def live_some(kind: str, path: Path) -> None:
    """Live through a few pasts, one after the other."""
    for seed in range(6):
        live(kind, path, seed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_every_retained_version_is_as_it_was(kind: str, seed: int, tmp_path: Path) -> None:
    live(kind, tmp_path, seed)


@pytest.mark.parametrize("seed", range(4))
def test_the_oldest_go_when_there_are_too_many(seed: int, tmp_path: Path) -> None:
    live("lmdb", tmp_path, seed, versions_max=3)


@pytest.mark.parametrize("kind", ["lmdb", "memory"])
def test_without_seconds_only_what_is_pinned_is_retained(kind: str, tmp_path: Path) -> None:
    live(kind, tmp_path, 3, seconds=0.0)


# --- planted bugs ---


def keep_too_late(self: Retained, txn: int, snapshot: Snapshot, now: int) -> Version:
    """Keep the snapshot under the txn id of the commit that comes next."""
    version = self.versions[txn + 1] = Version(txn + 1, snapshot, now)
    return version


def keep_the_first(self: Retained, txn: int, snapshot: Snapshot, now: int) -> Version:
    """Keep one snapshot for ever, under new txn ids."""
    first = next(iter(self.versions.values()), None)
    version = self.versions[txn] = Version(txn, first.snapshot if first else snapshot, now)
    return version


@contextmanager
def hold_the_newest(self: Retained, asked: int | None) -> Iterator[Version]:
    """Give the newest version, whatever was asked."""
    with self.storage.snapshot() as newest:
        yield Version(asked or 0, newest, 0)


def expire_nothing(_self: Retained, _now: int) -> None:
    """Forget to let go."""


def keep_all(_self: Version, _now: int, _seconds: float) -> bool:
    """Find nothing too old."""
    return True


PLANTED: dict[str, tuple[type, str, object]] = {
    "retains the wrong version": (Retained, "keep", keep_too_late),
    "retains an older version": (Retained, "keep", keep_the_first),
    "forgets to drop": (Retained, "expire", expire_nothing),
    "finds nothing too old": (Version, "is_kept", keep_all),
    "serves the newest": (Retained, "holding", hold_the_newest),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_caught(bug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, planted = PLANTED[bug]
    monkeypatch.setattr(place, name, planted)
    with pytest.raises((AssertionError, pytest.fail.Exception, VersionNotRetained)):
        live_some("memory", tmp_path)


# --- when a version is retained ---


class Kept:
    """A store in memory that retains versions, and its clock."""

    def __init__(self, seconds: float = 60.0, storage: MemoryStorage | None = None) -> None:
        self.clock = Clock()
        self.store = Store.in_memory(clock=self.clock, retained_seconds=seconds, storage=storage)

    def write(self, pause: int = 0) -> int:
        """Write after a pause."""
        self.clock.now += pause
        commands: list[Command] = [Update("c", "true", [Increment("n", 1)]), Upsert("c", {"n": 0}, id=self.clock.now)]
        return self.store.write(commands).txn


def test_one_version_a_second_and_none_while_nothing_is_written() -> None:
    kept = Kept()
    for pause in (0, 10, 10, 1_000, 10, 5_000, 10):
        kept.write(pause)
    assert kept.store.stats().retained == (0, 3, 5)
    kept.clock.now += 53_900
    assert kept.store.stats().retained == (0, 3, 5)
    kept.clock.now += 5_900
    assert kept.store.stats().retained == (5,)
    assert kept.store.get("c", kept.clock.now, at=kept.store.applied) is None


def test_a_clock_that_falls_back_keeps_no_version_for_longer() -> None:
    kept = Kept()
    kept.write()
    kept.write(1_000)
    kept.clock.now -= 3_600_000
    pin = kept.store.pin(1)
    assert kept.store.stats().retained == (0, 1)
    kept.clock.now += 60_000
    assert kept.store.stats().retained == (1,)
    kept.clock.now += int(1_000 * PIN_VERSION_SECONDS_MAX)
    assert kept.store.stats().retained == ()
    pin.close()


def test_a_store_that_retains_nothing_keeps_no_snapshot() -> None:
    storage = MemoryStorage()
    kept = Kept(0.0, storage)
    for _ in range(3):
        kept.write(2_000)
    assert not storage.views
    assert kept.store.stats().retained == ()


# --- pins ---


def test_a_pin_keeps_its_version_until_it_is_closed() -> None:
    kept = Kept()
    kept.write()
    with kept.store.pin() as pin:
        kept.write(1)
        kept.write(300_000)
        assert kept.store.find("c", at=pin.txn).txn == pin.txn == 1
    with pytest.raises(VersionNotRetained):
        kept.store.find("c", at=pin.txn)


def test_a_forgotten_pin_expires_and_the_next_read_says_so() -> None:
    kept = Kept()
    kept.write()
    pin = kept.store.pin()
    kept.write()
    kept.clock.now += int(1_000 * PIN_VERSION_SECONDS_MAX) - 1
    assert kept.store.digest(at=1)
    kept.clock.now += 1
    with pytest.raises(VersionNotRetained) as refused:
        kept.store.digest(at=1)
    assert refused.value.data == {"asked": 1, "nearest": 2, "oldest": 2}
    pin.close()


def test_pins_are_bounded() -> None:
    kept = Kept()
    pins = [kept.store.pin() for _ in range(PINNED_VERSIONS_MAX)]
    with pytest.raises(Overloaded) as refused:
        kept.store.pin()
    assert refused.value.data["limit"] == "PINNED_VERSIONS_MAX"
    pins[0].close()
    kept.store.pin()
    with pytest.raises(VersionNotRetained):
        Kept().store.pin(-1)


def test_a_read_only_store_reads_the_newest_and_pins_nothing(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", retained_seconds=60) as writer:
        writer.write([Upsert("c", {"n": 1}, id=1)])
        with Reader(tmp_path / "store") as reader:
            assert reader.ask("pin") == "store-read-only"
            assert reader.ask("at", 1) == [1]
            writer.write([Upsert("d", {"n": 1}, id=1)])
            assert reader.ask("at", 1) == "version-not-retained"
            assert reader.ask("at", 2) == [1]
            assert reader.ask("at", 3) == "version-not-available"


# --- bytes ---


def rewrite(store: Store, clock: Clock, times: int) -> int:
    """Replace the same documents again and again, each time in a new second; the greatest number of unused bytes."""
    most = 0
    for number in range(times):
        clock.now += 1_000
        store.write([Upsert("c", {"text": f"{number}" * 200}, id=id_) for id_ in range(60)])
        store.trim(store.applied)
        most = max(most, store.storage.bytes_unused())
    return most


@pytest.mark.parametrize("kind", ["lmdb", "plain"])
def test_the_file_does_not_grow_beyond_the_bound(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "RETAINED_BYTES_MAX", 1_000_000)
    clock = Clock()
    with engine(kind), opener(kind, tmp_path)(clock, 60.0) as store:
        store.write([Upsert("c", {}, id=1)])
        forgotten = store.pin()
        assert rewrite(store, clock, 4) < 1_000_000
        assert forgotten.txn in store.stats().retained
        assert rewrite(store, clock, 100) < 1_500_000
        assert len(store.stats().retained) < 50
        with pytest.raises(VersionNotRetained):
            store.digest(at=forgotten.txn)


def test_without_the_bound_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Retained, "check_bytes", lambda *_: None)
    clock = Clock()
    with opener("lmdb", tmp_path)(clock, 60.0) as store:
        assert rewrite(store, clock, 100) > 3_000_000


@pytest.mark.parametrize("kind", ["lmdb", "plain"])
def test_unused_bytes_are_what_the_newest_version_does_not_reach(kind: str, tmp_path: Path) -> None:
    with engine(kind), opener(kind, tmp_path)(Clock(), 0.0) as store:
        store.write([Upsert("c", {"text": "x" * 3_000}, id=id_) for id_ in range(1_000)])
        assert store.storage.bytes_unused() < 200_000
        with store.pin():
            store.write([Remove("c", "true")])
            store.trim(store.applied)
            store.write([Upsert("c", {}, id=1)])
            assert 3_000_000 < store.storage.bytes_unused() < store.storage.bytes_on_disk()


# --- faults ---


def test_a_dropped_group_changes_no_version() -> None:
    storage = FaultyStorage()
    clock = Clock()
    store = store_on(storage)
    store.retained.clock, store.retained.seconds = clock, 60.0
    for number in range(3):
        clock.now += 1_000
        store.write([Upsert("c", {f"f{number}": number}, id=1)])
    clock.now += 1_000
    storage.fail_commit(StoreFull("full"))
    with pytest.raises(StoreFull):
        store.write([Upsert("c", {"lost": 1}, id=1)])
    clock.now += 1_000
    store.write([Upsert("c", {"f3": 3}, id=1)])
    fields = [document and set(document.fields) for document in (store.get("c", 1, at=txn) for txn in range(5))]
    assert fields == [None, {"f0"}, {"f0", "f1"}, {"f0", "f1", "f2"}, {"f0", "f1", "f2", "f3"}]
    store.close()


def test_what_cannot_be_retained_does_not_hold_up_the_commit(caplog: pytest.LogCaptureFixture) -> None:
    storage = FaultyStorage()
    store = store_on(storage)
    store.retained.seconds = 60.0
    storage.snapshot_fault = Overloaded("All reader slots are taken.")
    with caplog.at_level(logging.ERROR):
        assert store.write([Upsert("c", {}, id=1)]).txn == 1
    assert [record.message for record in caplog.records] == ["No version was retained."]
    assert store.stats().retained == ()
    store.close()


def test_versions_of_merged_transactions_are_retained() -> None:
    kept = Kept()
    other = Store.in_memory(clock=kept.clock, origin=origin_of(9))
    kept.write()
    kept.clock.now += 1_000
    other.write([Upsert("d", {"new": {"deep": 1}}, id="x")])
    kept.store.apply(log(other))
    before = kept.store.digest()
    kept.write(1_000)
    assert kept.store.stats().retained == (0, 1, 2)
    assert kept.store.digest(at=2) == before != kept.store.digest()
    found = kept.store.get("d", "x", at=2)
    assert found is not None
    assert found.fields == {"new": {"deep": 1}}


def test_versions_of_before_a_join_and_a_new_epoch_are_as_they_were() -> None:
    left, right = make(1), make(2)
    for number in range(20):
        put(left, number, "a", **{f"left{number}": 1})
    left.trim(left.applied)
    put(right, 3, right=1)
    pins = [right.pin()]
    texts = [documents_of(right)]
    assert sync(right, left).joined == 20
    for change in (lambda: None, right.renew_epoch, lambda: put(right, 3, "b", more=2)):
        change()
        pins.append(right.pin())
        texts.append(documents_of(right))
    put(right, 4, more=2)
    assert [documents_of(right, pin.txn) for pin in pins] == texts
    assert [len(text) for text in texts] == [1, 20, 20, 21]


def documents_of(store: Store, at: int | None = None) -> list[bytes]:
    """All documents of a version."""
    return [document.json for name in store.collections(at=at) for document in store.scan(name, at=at)]
