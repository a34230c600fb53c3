"""What happens to a store whose machine runs short: of disk, descriptors, reader slots, time, or of processes.

Rules: runs as a process of its own: `python -m tests.faults.resources`. Each case is a function of a folder; it
returns what was seen, for a test to judge.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from crdtstore import CrdtStoreError, Store, Upsert
from crdtstore.crdt.record import decode_record
from crdtstore.storage.environment import open_storage
from crdtstore.version.clock import steady_clock
from crdtstore.version.writer import Writer
from tests.faults import planted
from tests.faults.checks import inconsistencies, make_twin
from tests.faults.forking import forked
from tests.faults.mounts import mount_memory, new_disk, remount
from tests.faults.work import Acknowledged, Name, commands, halves, missing, prepare

WRITES_MAX = 20_000
READ_BYTES = 2 * 2**20
"""What a read may reserve: one arena of Python's, and what the core keeps of names."""

OVERWRITES = 2_000


def outcome(call: Callable[[], Any]) -> str:
    """The code of the error that a call ends with, or "done"; what is no error of this package is named by its type."""
    try:
        call()
    except CrdtStoreError as error:
        return error.code
    except Exception as error:  # noqa: BLE001  what must not leave is what is looked for
        return type(error).__name__
    return "done"


def write(store: Store, name: Name) -> str:
    """Write a transaction; returns what came of it."""
    return outcome(lambda: store.write(commands(name)))


def wrong(store: Store, acknowledged: list[Acknowledged]) -> list[str]:
    """Everything that is wrong in a store."""
    return missing(store, acknowledged) + inconsistencies(store, make_twin()) + halves(store)


# --- disk ---


def fill(store: Store, round_: int) -> tuple[list[Acknowledged], str]:
    """Write until it fails; returns what was acknowledged, and how it ended."""
    acknowledged = []
    for number in range(WRITES_MAX):
        name = Name(round_, 0, number)
        try:
            acknowledged.append(Acknowledged(name, store.write(commands(name)).txn))
        except CrdtStoreError as error:
            return acknowledged, error.code
    return acknowledged, "done"


def use_full_disk(path: Path, make_room: Callable[[], object]) -> dict[str, Any]:
    """Fill a disk, read on it, make room, and go on with the same store."""
    with Store.open(path) as store:
        prepare(store)
        acknowledged, ended = fill(store, 0)
        read = outcome(lambda: [store.get("marks", name.id) for name, _ in acknowledged])
        full = missing(store, acknowledged)
        make_room()
        name = Name(1, 0, 0)
        goes_on = outcome(lambda: acknowledged.append(Acknowledged(name, store.write(commands(name)).txn)))
    with Store.open(path) as store:
        return {
            "written": len(acknowledged),
            "seen": [ended, read, goes_on, write(store, Name(2, 0, 0))],
            "found": full + wrong(store, acknowledged),
        }


def full_memory(folder: Path) -> dict[str, Any]:
    """A small file system in memory, which is then made larger."""
    place = folder / "memory"
    mount_memory(place, "1m")
    return use_full_disk(place / "store", lambda: remount(place, "size=16m"))


def full_ext4(folder: Path) -> dict[str, Any]:
    """A disk that another file fills, which is then removed."""
    with new_disk(folder, "ext4") as disk:
        free = os.statvfs(disk.folder)
        other = disk.folder / "other"
        other.write_bytes(bytes(free.f_bavail * free.f_frsize - 2 * 2**20))
        os.sync()
        return use_full_disk(disk.folder / "store", other.unlink)


def full_map(folder: Path) -> dict[str, Any]:
    """A map that is full, LMDB's own bound; the store is then opened with a larger one."""
    path = folder / "store"
    Store.open(path).close()
    storage = open_storage(path, create=False, read_only=False, map_bytes=2**20)
    with Store(storage, Writer, steady_clock()) as store:
        prepare(store)
        acknowledged, ended = fill(store, 0)
        found = wrong(store, acknowledged)
    with Store.open(path) as store:
        goes_on = write(store, Name(2, 0, 0))
        return {"written": len(acknowledged), "seen": [ended, goes_on], "found": found + wrong(store, acknowledged)}


def read_only_disk(folder: Path) -> dict[str, Any]:
    """A file system that was made read-only, for instance by the kernel after an error."""
    place = folder / "memory"
    mount_memory(place, "16m")
    with Store.open(place / "store") as store:
        prepare(store)
        acknowledged = [Acknowledged(Name(0, 0, 0), store.write(commands(Name(0, 0, 0))).txn)]
    remount(place, "ro")
    seen = [outcome(partial(Store.open, place / "store")), outcome(partial(Store.open, place / "other"))]
    with Store.open(place / "store", read_only=True) as store:
        found = wrong(store, acknowledged)
        seen.append(write(store, Name(1, 0, 0)))
    remount(place, "rw")
    with Store.open(place / "store") as store:
        seen.append(write(store, Name(1, 0, 0)))
        return {"seen": seen, "found": found + wrong(store, acknowledged)}


def shut_down_disk(folder: Path) -> dict[str, Any]:
    """A file system that refuses everything from now on, below an open store."""
    with new_disk(folder, "ext4") as disk:
        path = disk.folder / "store"
        store = Store.open(path)
        prepare(store)
        acknowledged = [Acknowledged(Name(0, 0, 0), store.write(commands(Name(0, 0, 0))).txn)]
        disk.cut_power()
        seen = [write(store, Name(1, 0, 0))]
        seen += [outcome(lambda: store.get("marks", "0.0.0")), write(store, Name(1, 0, 1))]
        seen += [outcome(store.close), outcome(partial(Store.open, path))]
        disk.unmount()
        disk.mount()
        with Store.open(path) as store:
            seen.append(write(store, Name(2, 0, 0)))
            return {"seen": seen, "found": wrong(store, acknowledged)}


# --- descriptors and reader slots ---


def opening(path: Path) -> str:
    """Open and close a store; returns what came of it."""
    return outcome(lambda: Store.open(path).close())


def no_descriptors(folder: Path) -> dict[str, Any]:
    """An open store goes on; opening another one is refused, whatever descriptor it is that lacks."""
    path = folder / "store"
    with Store.open(folder / "other") as other:
        prepare(other)
    store = Store.open(path)
    prepare(store)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    seen, refused = list[str](), list[str]()
    for spare in range(12):
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, most[1]))
        name = Name(0, 0, spare)
        seen += [write(store, name), outcome(partial(store.get, "marks", name.id))]
        refused += [opening(each) for each in (folder / "other", folder / f"new-{spare}")]
        resource.setrlimit(resource.RLIMIT_NOFILE, most)
    left = len(list(Path("/proc/self/fd").iterdir())) - open_before
    found = wrong(store, [])
    store.close()
    with Store.open(folder / "other") as other:
        found += wrong(other, [])
    return {"seen": seen, "refused": refused, "left": left, "found": found}


def address_space() -> int:
    """The bytes that this process has reserved."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def no_address_space(folder: Path) -> dict[str, Any]:
    """An open store gets less memory than a write needs; another one is opened with less than its map needs."""
    path = folder / "store"
    store = Store.open(path)
    prepare(store)
    store.write(commands(Name(0, 0, 0)))
    store.get("marks", "0.0.0")
    most = resource.getrlimit(resource.RLIMIT_AS)
    used = address_space()
    large = [Upsert("large", {f"{number}": "x" * 1_000_000 for number in range(4)}, id=1)]
    seen = []
    for spare in (0, 1, 2, 4, 8, 16):
        resource.setrlimit(resource.RLIMIT_AS, (used + spare * 2**20, most[1]))
        seen.append(outcome(partial(store.write, large)))
        # What the write left free is up to the allocators; a read needs little, and must not need more.
        resource.setrlimit(resource.RLIMIT_AS, (max(used, address_space()) + READ_BYTES, most[1]))
        seen += [outcome(partial(store.get, "marks", "0.0.0")), opening(folder / "a")]
        resource.setrlimit(resource.RLIMIT_AS, most)
    goes_on = write(store, Name(1, 0, 0))
    found = wrong(store, [])
    store.close()
    with Store.open(path) as store:
        return {"seen": seen, "goes_on": goes_on, "found": found + wrong(store, [])}


def no_reader_slots(folder: Path) -> dict[str, Any]:
    """All slots are taken: reads are refused for now, writes go on."""
    path = folder / "store"
    Store.open(path).close()
    (path / "lock.mdb").unlink()
    storage = open_storage(path, create=False, read_only=False, readers_max=5)
    with Store(storage, Writer, steady_clock()) as store:
        prepare(store)
        taken = []
        while outcome(lambda: taken.append(storage.snapshot())) == "done":
            pass
        names = [Name(0, 0, number) for number in range(5)]
        seen = [write(store, name) for name in names]
        seen.append(outcome(lambda: store.find("marks")))
        for snapshot in taken:
            snapshot.close()
        seen.append(outcome(lambda: store.find("marks")))
        return {"seen": seen, "taken": len(taken), "found": wrong(store, [])}


def read_elsewhere(path: Path) -> int:
    """Fork a process that opens the store beside its writer and keeps a snapshot; returns its pid."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        storage = open_storage(path, create=False, read_only=True)
        snapshot = storage.snapshot()
        os.write(writing, b"%d" % snapshot.count(0))
        signal.alarm(600)
        signal.pause()
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        pipe.read(1)
    return child


def readers(folder: Path) -> dict[str, Any]:
    """How many bytes a store takes whose one document is overwritten, beside a reader that lives, and one that died."""
    sizes = {}
    for kind in ("none", "dies", "lives"):
        path = folder / kind
        with Store.open(path, durability="none") as store:
            store.write([Upsert("a", {"x": 0}, id=1)])
            child = read_elsewhere(path)
            if kind != "lives":
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if kind == "none":
                with store.storage.snapshot():
                    store.storage.reader_check()  # type: ignore[attr-defined]
            for number in range(OVERWRITES):
                store.write_setting(b"a", b"%d" % number)
            sizes[kind] = store.storage.bytes_on_disk()
            if kind == "lives":
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    return sizes


# --- time and processes ---


def jumping_clock(folder: Path) -> dict[str, Any]:
    """A clock that jumps, back and forth, over several openings."""
    random, now = Random(1), [1_700_000_000_000]
    seen: dict[str, int] = {}

    def clock() -> int:
        now[0] += random.choice((0, 1, 50, -50, -10_000, 10_000, 3_600_000, -3_600_000))
        return now[0]

    for _ in range(10):
        with Store.open(folder / "store", clock=clock) as store:
            for number in range(50):
                came = outcome(partial(store.write, [Upsert("a", {"x": number}, id=number)]))
                seen[came] = seen.get(came, 0) + 1
    with Store.open(folder / "store") as store:
        stamps = [decode_record(entry.record).timestamp for entry in store.changes()]
        return {"seen": seen, "increasing": stamps == sorted(set(stamps)), "found": inconsistencies(store, make_twin())}


def fork_while_open(folder: Path) -> dict[str, Any]:
    """A process that embeds a store forks; the child uses what it inherited."""
    store = Store.open(folder / "store")
    prepare(store)
    acknowledged = [Acknowledged(Name(0, 0, 0), store.write(commands(Name(0, 0, 0))).txn)]

    def use(pipe: int) -> None:
        calls: list[Callable[[], Any]] = [
            lambda: store.write(commands(Name(1, 0, 0))),
            lambda: store.get("marks", "0.0.0"),
            lambda: store.get_json("marks", "0.0.0"),
            lambda: store.find("marks"),
            lambda: list(store.changes()),
            store.stats,
            store.digest,
            lambda: store.trim(1),
            store.close,
            lambda: Store.open(folder / "store"),
            lambda: Store.open(folder / "own").close(),
        ]
        os.write(pipe, json.dumps([outcome(call) for call in calls]).encode())

    code, said = forked(use)
    acknowledged.append(Acknowledged(Name(2, 0, 0), store.write(commands(Name(2, 0, 0))).txn))
    found = wrong(store, acknowledged)
    store.close()
    return {"code": code, "seen": json.loads(said or b"[]"), "found": found}


CASES = [
    full_memory,
    full_ext4,
    full_map,
    read_only_disk,
    shut_down_disk,
    no_descriptors,
    no_address_space,
    no_reader_slots,
    readers,
    jumping_clock,
    fork_while_open,
]

if __name__ == "__main__":
    directory, chosen, *rest = sys.argv[1:]
    logging.disable()
    if rest:
        getattr(planted, rest[0])()
    print(json.dumps({case.__name__: case for case in CASES}[chosen](Path(directory))))  # noqa: T201  its answer
