"""Requests that are sent again after the writer was killed: each is done exactly once.

Rules: a process of its own writes, several requests on their way at a time, and says which were answered; it is killed
after some answers. Then everything it may have been asked is asked again, in this process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from crdtstore import Store, Update, Upsert
from crdtstore.command.command import Increment
from crdtstore.once import Once

pytestmark = pytest.mark.crash

ADD = Update("c", "true", [Increment("n")])
ON_THEIR_WAY = 7
ROUNDS = 4
PROGRAM = """
import sys
from pathlib import Path
from tests.store.test_once_kills import write_on
write_on(Path(sys.argv[1]), int(sys.argv[2]))
"""


def once(number: int) -> Once:
    return Once(b"client", b"%d" % number, b"add one")


def write_on(path: Path, number: int) -> None:
    """What the writer does until it is killed."""
    store = Store.open(path)
    while True:
        waiting = {each: store.submit([ADD], once=once(each)) for each in range(number, number + ON_THEIR_WAY)}
        for each, future in waiting.items():
            sys.stdout.write(f"{each} {future.result().txn}\n")
            sys.stdout.flush()
        number += ON_THEIR_WAY


def kill_a_writer(path: Path, number: int, answers: int) -> dict[int, int]:
    """Let a writer begin at a number; what it answered until it was killed."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(answers)]
        writer.kill()
        lines += [line for line in writer.stdout.readlines() if line.endswith("\n")]
    return {int(each): int(txn) for each, txn in (line.split() for line in lines)}


def amount(store: Store) -> object:
    document = store.get("c", "a")
    assert document is not None
    return document.fields["n"]


def test_each_request_is_done_once(tmp_path: Path) -> None:
    path, number, random = tmp_path / "store", 0, Random(7)
    with Store.open(path) as store:
        store.write([Upsert("c", {"n": 0}, id="a", value_types={"n": "counter"})])
    for _ in range(ROUNDS):
        answered = kill_a_writer(path, number, random.randrange(1, 40))
        behind = max(answered) + 1 + 2 * ON_THEIR_WAY
        with Store.open(path) as store:
            for each in range(number, behind):
                again = once(each)
                written = store.write([ADD], once=again)
                if each in answered:
                    assert again.repeated
                    assert written.txn == answered[each]
            number = behind
            assert amount(store) == number


def test_without_a_key_it_would_be_done_twice(tmp_path: Path) -> None:
    """The control: the same without the key counts too much."""
    with Store.open(tmp_path / "store") as store:
        store.write([Upsert("c", {"n": 0}, id="a", value_types={"n": "counter"})])
    answered = kill_a_writer(tmp_path / "store", 0, 3)
    with Store.open(tmp_path / "store") as store:
        for _ in answered:
            store.write([ADD])
        assert amount(store) != len(answered)
