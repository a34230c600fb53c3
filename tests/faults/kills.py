"""Kills a writer at random moments, opens its store again and asks whether what it acknowledged is there.

Rules: runs as a process of its own with one thread, which forks the writers: `python -m tests.faults.kills`. A writer
opens the store (or creates it), writes in THREADS threads, some transactions at a time, and notes each in a pipe once
it was answered. It is killed after some answers and a moment more, or in the first milliseconds, while it opens.
The store is then opened as anybody would, checked, and written to. Every ROUNDS_OF_A_STORE kills there is a new one.
When a kill comes is up to the machine; nothing is judged by it.

Prints one JSON value: kills, acknowledged transactions, and what was wrong; it ends at the first kill that finds
something.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread
from time import sleep
from typing import Any, NamedTuple

from crdtstore import Store, Written
from crdtstore.storage.lasting import Durability
from tests.faults import attachment_work, planted
from tests.faults.checks import inconsistencies, make_twin
from tests.faults.wal_segments import small_segments
from tests.faults.work import Acknowledged, Name, commands, decode, encode, halves, missing, prepare

THREADS = 3
ROUNDS_OF_A_STORE = 10
ANSWERS_MAX = 60
EARLY = 0.1
"""Of kills that come while the store is being opened or created."""

HANG_SECONDS = 60


def write_until_killed(path: Path, pipe: int, number: int, durability: Durability = "sync") -> None:
    """What a writer does; it ends when it is killed, or when nobody reads its answers."""
    store = Store.open(path, durability=durability)
    prepare(store)
    threads = [Thread(target=write_some, args=(store, pipe, number, thread), daemon=True) for thread in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def write_some(store: Store, pipe: int, number: int, thread: int) -> None:
    """One thread of a writer."""
    random, numbers = Random(f"{number}.{thread}"), count()
    while True:
        names = [Name(number, thread, next(numbers)) for _ in range(random.choice((1, 1, 2, 5, 20)))]
        waiting: list[tuple[Name, Future[Written]]] = [(name, store.submit(commands(name))) for name in names]
        for name, future in waiting:
            line = encode(Acknowledged(name, future.result().txn))
            with contextlib.suppress(BrokenPipeError):
                os.write(pipe, line)
                continue
            os._exit(1)


def kill_one(path: Path, number: int, random: Random, subject: Subject) -> list[Acknowledged]:
    """Fork a writer and kill it; returns what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            subject.write(path, writing, number)
        finally:
            os._exit(2)
    os.close(writing)
    said = b""
    if random.random() >= EARLY:
        said = read_answers(reading, random.randrange(1, ANSWERS_MAX))
    sleep(random.random() * 0.003)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return list(decode(said + pipe.read()))


def read_answers(pipe: int, answers: int) -> bytes:
    """Wait for so many answers of a writer."""
    said = b""
    while sum(1 for _ in decode(said)) < answers:
        readable, _, _ = select.select([pipe], [], [], HANG_SECONDS)
        piece = os.read(pipe, 65_536) if readable else b""
        if not piece:
            raise SystemExit("A writer hangs, or ended before it was killed.")
        said += piece
    return said


def look(path: Path, number: int, acknowledged: list[Acknowledged], twin: Store) -> list[str]:
    """Open the store after a kill and say what is wrong; then write on."""
    with Store.open(path) as store:
        found = missing(store, acknowledged) + inconsistencies(store, twin) + halves(store)
        prepare(store)
        applied = store.applied
        written = store.write(commands(Name(number, THREADS, 0)))
        if written.txn != applied + 1:
            found.append(f"after {applied} transaction {written.txn} was written")
    return found


def write_logged(path: Path, pipe: int, number: int) -> None:
    """The same with a write-ahead log."""
    small_segments()
    write_until_killed(path, pipe, number, "wal")


class Subject(NamedTuple):
    """What is under faults: what its writer does, and how its store is looked at afterwards."""

    write: Callable[[Path, int, int], None]
    look: Callable[[Path, int, list[Acknowledged], Store], list[str]]


SUBJECTS = {
    "transactions": Subject(write_until_killed, look),
    "logged": Subject(write_logged, look),
    "attachments": Subject(attachment_work.write_until_killed, attachment_work.look),
}


def run(folder: Path, kills: int, seed: int, subject: Subject) -> dict[str, Any]:
    """Kill so many times; stop at the first kill that finds something."""
    random, acknowledged, found = Random(seed), 0, list[str]()
    done, twin, path = 0, make_twin(), folder / "store"
    while done < kills and not found:
        if done % ROUNDS_OF_A_STORE == 0:
            shutil.rmtree(path, ignore_errors=True)
            twin = make_twin()
        answered = kill_one(path, done, random, subject)
        acknowledged += len(answered)
        found = subject.look(path, done, answered, twin)
        done += 1
    return {"kills": done, "acknowledged": acknowledged, "found": found[:5]}


if __name__ == "__main__":
    directory, kills, seed, plant, *chosen = sys.argv[1:]
    if plant:
        getattr(planted, plant)()
    print(json.dumps(run(Path(directory), int(kills), int(seed), SUBJECTS["".join(chosen) or "transactions"])))  # noqa: T201  its answer
