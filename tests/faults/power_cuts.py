"""Cuts the power under a writer, mounts the file system again and asks whether what was acknowledged is there.

Rules: as `kills.py`, whose writer and checks these are; root only, in a mount namespace of its own. The power is cut by
telling the file system to do nothing more (FS_IOC_SHUTDOWN, without flushing its journal); what it had not brought to
the device is gone. Each store lives for ROUNDS_OF_A_STORE cuts, its creation included.

    unshare -m --propagation private python -m tests.faults.power_cuts FOLDER ext4|xfs CUTS SEED PLANTED [SUBJECT]

Prints one JSON value: cuts, acknowledged transactions, cuts that lost something, and what was wrong first. A planted
bug is only there while the store is written.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

from crdtstore import CrdtStoreError, Store
from tests.faults import planted
from tests.faults.checks import make_twin
from tests.faults.forking import forked
from tests.faults.kills import (
    ANSWERS_MAX,
    EARLY,
    HANG_SECONDS,
    ROUNDS_OF_A_STORE,
    SUBJECTS,
    Subject,
    read_answers,
)
from tests.faults.mounts import Disk, new_disk
from tests.faults.work import Acknowledged, decode


def cut_one(disk: Disk, path: Path, number: int, random: Random, plant: str, subject: Subject) -> list[Acknowledged]:
    """Fork a writer and cut the power; returns what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            threading.excepthook = lambda _: None
            if plant:
                getattr(planted, plant)()
            subject.write(path, writing, number)
        finally:
            # What the disk refuses ends the threads, and this process waits for its end.
            sleep(HANG_SECONDS)
            os._exit(1)
    os.close(writing)
    said = b""
    if random.random() >= EARLY:
        said = read_answers(reading, random.randrange(1, ANSWERS_MAX))
    sleep(random.random() * 0.003)
    disk.cut_power()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        said += pipe.read()
    disk.unmount()
    disk.mount()
    return list(decode(said))


def look_here(subject: Subject, path: Path, number: int, answered: list[Acknowledged], twin: Store) -> list[str]:
    """What is wrong after a cut."""
    try:
        return subject.look(path, number, answered, twin)
    except CrdtStoreError as error:
        return [f"it cannot be opened or read: {error!r}"]


def look_apart(subject: Subject, path: Path, number: int, answered: list[Acknowledged], twin: Store) -> list[str]:
    """The same in a forked child: a file that a planted bug destroyed may end the process that maps it."""
    code, said = forked(lambda pipe: tell(pipe, look_here(subject, path, number, answered, twin)))
    return json.loads(said) if code == 0 else [f"who opens it ends with {code}"]


def tell(pipe: int, wrong: list[str]) -> None:
    """Say what is wrong."""
    os.write(pipe, json.dumps(wrong[:1]).encode())


def run(folder: Path, kind: str, cuts: int, seed: int, plant: str, subject: Subject) -> dict[str, Any]:
    """Cut the power so many times; a store that lost something is thrown away."""
    random, acknowledged, lost, found = Random(seed), 0, 0, list[str]()
    with new_disk(folder, kind) as disk:
        path, twin = disk.folder / "store", make_twin()
        fresh = True
        for number in range(cuts):
            if fresh or number % ROUNDS_OF_A_STORE == 0:
                for each in (path, path.with_name("store.new")):
                    shutil.rmtree(each, ignore_errors=True)
                twin = make_twin()
            answered = cut_one(disk, path, number, random, plant, subject)
            acknowledged += len(answered)
            seen = look_apart if plant else look_here
            wrong = seen(subject, path, number, answered, twin)
            fresh = bool(wrong)
            lost += fresh
            found += wrong[:1]
    return {"cuts": cuts, "acknowledged": acknowledged, "lost": lost, "found": found[:5]}


if __name__ == "__main__":
    directory, system, times, start, plant, *chosen = sys.argv[1:]
    logging.disable()
    seen = run(Path(directory), system, int(times), int(start), plant, SUBJECTS["".join(chosen) or "transactions"])
    print(json.dumps(seen))  # noqa: T201  its answer
