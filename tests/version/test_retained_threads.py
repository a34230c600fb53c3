"""Retained versions are read by many threads, let go while they are read, and closed under their readers."""

from __future__ import annotations

from pathlib import Path
from random import Random
from threading import Thread

import pytest

from crdtstore.command.command import Remove, Upsert
from crdtstore.errors import StoreClosed, VersionNotRetained
from tests.version.pasts import KINDS, Clock, engine, opener


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_read_one_version_while_it_is_left_behind(kind: str, tmp_path: Path) -> None:
    """Each read gives what its version held, or is refused; never anything else."""
    clock = Clock()
    wrong: list[object] = []
    seen: list[int] = []
    with engine(kind), opener(kind, tmp_path)(clock, 60.0) as store:
        store.write([Upsert("c", {"n": 1}, id=id_) for id_ in range(140)])
        pin = store.pin(1)

        def read(number: int) -> None:
            random = Random(number)
            for _ in range(25):
                txn = random.choice((1, random.randint(1, store.applied)))
                try:
                    values = {document.fields["n"] for document in store.scan("c", at=txn)}
                    values |= {document.fields["n"] for document in store.find("c", "n > 0", at=txn).documents}
                except VersionNotRetained:
                    values = set() if txn != pin.txn else {"refused"}
                except Exception as error:  # noqa: BLE001 - a thread's error would be lost.
                    values = {repr(error)}
                seen.append(txn)
                if values - {txn}:
                    wrong.append((txn, values))

        def write(number: int) -> None:
            clock.now += 3_000
            store.write([Upsert("c", {"n": number}, id=id_) for id_ in range(140)])

        for number in range(2, 12):  # So that readers have a choice, however they are scheduled.
            write(number)
        threads = [Thread(target=read, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for number in range(12, 40):
            write(number)
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(seen) == 100
        assert len(set(seen)) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_goes_on_when_its_version_is_let_go(kind: str, tmp_path: Path) -> None:
    clock = Clock()
    with engine(kind), opener(kind, tmp_path)(clock, 60.0) as store:
        store.write([Upsert("c", {"n": 1}, id=id_) for id_ in range(300)])
        clock.now += 1_000
        store.write([Remove("c", "true")])
        scan = store.scan("c", at=1)
        first = next(scan)
        assert len(store.find("c", at=1).documents) == 300
        with store.retained.holding(1) as version:
            pass
        clock.now += 60_000
        with pytest.raises(VersionNotRetained):
            store.find("c", at=1)
        assert [document.id for document in (first, *scan)] == list(range(300))
        with pytest.raises(StoreClosed):
            version.snapshot.get(0, b"k")


@pytest.mark.parametrize("kind", KINDS)
def test_closing_ends_readers_and_does_not_wait_for_them(kind: str, tmp_path: Path) -> None:
    clock = Clock()
    with engine(kind):
        store = opener(kind, tmp_path)(clock, 60.0)
        store.write([Upsert("c", {"n": 1}, id=id_) for id_ in range(300)])
        clock.now += 1_000
        store.write([Remove("c", "true")])
        scan = store.scan("c", at=1)
        next(scan)
        pin = store.pin(1)
        with store.view(1) as (snapshot, _):
            store.close()
            with pytest.raises(StoreClosed):
                snapshot.get(0, b"k")
        with pytest.raises(StoreClosed):
            list(scan)
        with pytest.raises(StoreClosed):
            store.digest(at=1)
        with pytest.raises(StoreClosed):
            store.pin()
        pin.close()
        store.close()
