"""Commits whose outcome is unknown, followed by a new opening, followed by a power cut.

Rules: runs as a process of its own that the shim was loaded into: `python -m tests.faults.outcomes`. The shim keeps
what a power cut would leave (shim.c). A case: a write meets a fault at one of its calls, which may leave page cache and
disk different; the store is opened again, in the same process, or in another one where the first was killed; it
says what it shows, and writes on; at one of these calls the power goes. Whatever was shown or acknowledged before must
then be on disk, as it was: else a peer could have it under a position that is given again to something else.

Every call of the write is combined with every call after it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from crdtstore import CrdtStoreError, Store
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.tables import Table
from tests.faults import planted, shim
from tests.faults.checks import inconsistencies, make_twin
from tests.faults.forking import forked
from tests.faults.shim import STOPPED, Kind
from tests.faults.work import Name, commands, halves, prepare

SHOWN: Final = struct.Struct("<Q16s")
CALLS_MAX: Final = 60


class Fault(NamedTuple):
    """What a call of the write meets."""

    kind: Kind
    code: int = errno.EIO
    sticky: bool = False


FAULTS = {
    "unflushed": Fault(Kind.UNFLUSHED),
    "unflushed-from-then-on": Fault(Kind.UNFLUSHED, sticky=True),
    "flushed": Fault(Kind.FLUSHED),
    "flushed-then-failing": Fault(Kind.FLUSHED, sticky=True),
    "full": Fault(Kind.UNFLUSHED, errno.ENOSPC),
    "killed": Fault(Kind.STOP_CACHED),
}


class Shown(NamedTuple):
    """A transaction that the store showed: its txn id, and its chain digest, which stands for all before it too."""

    txn: int
    digest: bytes


def chain_of(snapshot: Snapshot, txn: int) -> bytes:
    """The chain digest of a transaction; empty where it is not there."""
    return (snapshot.get(Table.LOG, txn.to_bytes(8, "big")) or b"")[:16]


def show(store: Store, pipe: int) -> None:
    """Tell the newest transaction that can be read."""
    with store.storage.snapshot() as snapshot:
        os.write(pipe, SHOWN.pack(store.applied, chain_of(snapshot, store.applied)))


def write(path: Path, at: int, fault: Fault, pipe: int) -> None:
    """Write, and meet the fault."""
    with Store.open(path, durability="sync") as store:
        shim.arm(at, fault.kind, fault.code, sticky=fault.sticky)
        with suppress(CrdtStoreError):
            store.write(commands(Name(1, 0, 0)))
            show(store, pipe)
        shim.arm(0)


def go_on(path: Path, cut: int, pipe: int) -> None:
    """Open the store again, show it and write; the power goes at a call of this."""
    shim.arm(cut, Kind.STOP)
    with Store.open(path, durability="sync") as store:
        show(store, pipe)
        for number in range(2):
            store.write(commands(Name(2, 0, number)))
            show(store, pipe)


def show_all(job: Callable[[int], None]) -> tuple[int, list[Shown]]:
    """Run a job in a forked child; returns its exit code, and what the store showed."""
    code, said = forked(job)
    return code, [Shown(*each) for each in SHOWN.iter_unpack(said)]


def run_case(folder: Path, at: int, fault: Fault, cut: int) -> tuple[bool, list[str]]:
    """One case; returns whether the power went, and what is wrong afterwards."""
    path, disk = folder / "store", folder / "disk"
    for each in (path, disk):
        shutil.rmtree(each, ignore_errors=True)
    shutil.copytree(folder / "base", path)
    disk.mkdir()
    shim.model_disk(path / "data.mdb", disk / "data.mdb")

    def write_and_go_on(pipe: int) -> None:
        write(path, at, fault, pipe)
        go_on(path, cut, pipe)

    shim.arm(0)
    if fault.kind is Kind.STOP_CACHED:
        _, shown = show_all(lambda pipe: write(path, at, fault, pipe))
        code, more = show_all(lambda pipe: go_on(path, cut, pipe))
        shown += more
    else:
        code, shown = show_all(write_and_go_on)
    shim.arm(0)
    found = [] if code in (0, STOPPED) else [f"the second opening ended with {code}"]
    return code == STOPPED, found + look(disk, shown)


def look(disk: Path, shown: list[Shown]) -> list[str]:
    """Open what the power cut left, and ask for what was shown."""
    try:
        with Store.open(disk, durability="sync") as store:
            found = inconsistencies(store, make_twin()) + halves(store)
            with store.storage.snapshot() as snapshot:
                lost = [txn for txn, digest in shown if chain_of(snapshot, txn) != digest]
    except CrdtStoreError as error:
        return [f"it cannot be opened: {error!r}"]
    return found + [f"transaction {txn} was shown, and is gone or another one" for txn in lost]


def run_volatile(folder: Path) -> list[str]:
    """A power cut while a store runs without durability; returns what is wrong with the next opening.

    What it showed may be gone then, so it must have another origin.
    """
    path, disk = folder / "store", folder / "disk"
    disk.mkdir(parents=True)
    with Store.open(path, durability="sync") as store:
        prepare(store)
        origin = store.origin
    shim.model_disk(path / "data.mdb", disk / "data.mdb")

    def write_unflushed(pipe: int) -> None:
        with Store.open(path, durability="none") as store:
            store.write(commands(Name(0, 0, 0)))
            show(store, pipe)
            os._exit(0)

    code, _ = forked(write_unflushed)
    with Store.open(disk, durability="sync") as store:
        lost, same = store.applied < 2, store.origin == origin
        found = inconsistencies(store, make_twin()) if same else []
    if code or not lost:
        found.append("nothing was lost: the case is none")
    return [*found, "what was shown is gone, and the store has its old origin"] if same else found


def count_calls(folder: Path) -> int:
    """Calls of the write, without a fault."""
    path = folder / "count"
    shutil.copytree(folder / "base", path)
    with Store.open(path, durability="sync") as store:
        shim.arm(0)
        store.write(commands(Name(1, 0, 0)))
        return shim.calls()


def enumerate_cases(folder: Path, fault: Fault) -> dict[str, Any]:
    """Every call of the write, with every call after it."""
    with Store.open(folder / "base", durability="sync") as store:
        prepare(store)
        for number in range(5):
            store.write(commands(Name(0, 0, number)))
    shim.watch(folder)
    cases, found = 0, list[str]()
    for at in range(1, count_calls(folder) + 1):
        for cut in range(1, CALLS_MAX):
            cut_off, wrong = run_case(folder, at, fault, cut)
            found += [f"fault at {at}, power cut at {cut}: {each}" for each in wrong]
            cases += 1
            if not cut_off:
                break
    return {"cases": cases, "found": found}


if __name__ == "__main__":
    directory, plant, *chosen = sys.argv[1:]
    logging.disable(logging.ERROR)
    if plant:
        getattr(planted, plant)()
    answer: dict[str, Any] = {}
    if not chosen:
        answer["volatile"] = {"cases": 1, "found": run_volatile(Path(directory))}
    for each in chosen:
        place = Path(directory, each)
        place.mkdir()
        answer[each] = enumerate_cases(place, FAULTS[each])
    print(json.dumps(answer))  # noqa: T201  its answer
