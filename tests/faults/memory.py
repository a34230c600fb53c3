"""Lets each allocation of a call fail in turn, and asks for a `MemoryError` and no harm.

Rules: runs as a process of its own: `python -m tests.faults.memory`. Each case is a forked child, since what runs out
of memory may leave its process unusable. The call gives the right answer, or raises `MemoryError` or an error of this
package; then it is made again, and gives the right answer. A call is enumerated until ENOUGH numbers in a row made no
difference. What the allocator of C is asked for by LMDB itself is not reached.

Prints how often what came of it, and what was wrong.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import TimeoutError as NoAnswer
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from crdtstore import CrdtStoreError, Store, Upsert, core
from tests.faults.checks import inconsistencies, make_twin
from tests.faults.forking import forked
from tests.faults.resources import outcome
from tests.faults.work import Name, commands, prepare

failing: Any = import_module("_testcapi")
"""What CPython's own tests fail allocations with; it has no types."""

ENOUGH = 40
CASES_MAX = 5_000
HANG_SECONDS = 5
NAME = Name(0, 0, 1)
NEW = Name(1, 0, 0)


class Subject(NamedTuple):
    """What is called, the answer that it must give, and what must hold afterwards."""

    call: Callable[[], Any]
    right: Callable[[Any], bool]
    after: Callable[[], list[str]] = list


def make_store(path: Path) -> list[bytes]:
    """A store with a few transactions; returns their records."""
    with Store.open(path) as store:
        prepare(store)
        for number in range(3):
            store.write(commands(Name(0, 0, number)))
        return [entry.record for entry in store.changes()]


def decoding(_: Path, records: list[bytes]) -> Subject:
    """Decode a record."""
    expected = core.read_head(records[-1])
    return Subject(lambda: core.read_head(records[-1]), lambda head: bool(head == expected))


def getting(path: Path, _: list[bytes]) -> Subject:
    """Read a document from disk, as JSON."""
    store = Store.open(path)
    expected = store.get_json("marks", NAME.id)
    return Subject(lambda: store.get_json("marks", NAME.id), lambda document: bool(document == expected))


def finding(path: Path, _: list[bytes]) -> Subject:
    """Search a collection."""
    store = Store.open(path)
    return Subject(lambda: store.find("marks", "number >= 1"), lambda found: found.documents[0].id == NAME.id)


def merging(_: Path, records: list[bytes]) -> Subject:
    """Apply a record of another store, in memory; the twin of what holds its records is held to it."""
    store, twin = Store.in_memory(), make_twin()
    store.apply(records[:-1])
    twin.apply(records)

    def after() -> list[str]:
        # Where the commit itself ran out of memory, its outcome is unknown.
        if outcome(lambda: store.apply(records)) == "store-fenced":
            return []
        same = (store.digest(), store.applied) == (twin.digest(), twin.applied)
        return [] if same else ["what was applied is something else"]

    return Subject(lambda: store.apply(records), lambda applied: applied.txn == len(records), after)


def writing(path: Path, records: list[bytes]) -> Subject:
    """Write a transaction to disk."""
    store, transaction = Store.open(path), commands(NEW)

    def after() -> list[str]:
        found = [] if store.applied - len(records) in (0, 1) else [f"{store.applied} transactions are there"]
        if store.submit([Upsert("marks", {"a": 1}, id="again")]).result(HANG_SECONDS).txn != store.applied:
            found.append("the store does not write on")
        store.close()
        with Store.open(path) as again:
            return found + inconsistencies(again, make_twin())

    return Subject(
        lambda: store.submit(transaction).result(HANG_SECONDS), lambda written: written.txn == len(records) + 1, after
    )


SUBJECTS = {"decode": decoding, "get": getting, "find": finding, "merge": merging, "write": writing}


def starve(subject: Subject, number: int) -> dict[str, Any]:
    """Make the call with one allocation failing; returns what came of it, and what is wrong."""
    done, came = None, "right"
    failing.set_nomemory(number, number + 1)
    try:
        done = subject.call()
    except MemoryError:
        came = "memory"
    except CrdtStoreError:
        came = "refused"
    except RuntimeError as error:
        # How CPython itself says that there was no memory for a lock.
        came = "memory" if "can't allocate lock" in str(error) else f"RuntimeError: {error}"
    except NoAnswer:
        came = "hangs"
    except Exception as error:  # noqa: BLE001  what must not leave is what is looked for
        came = f"{type(error).__name__}: {error}"
    finally:
        failing.remove_mem_hooks()
    found = [] if came in ("right", "memory", "refused") else [came]
    if came == "right" and not subject.right(done):
        found.append(f"a wrong answer: {done!r}")
    return {"came": came, "found": found or subject.after()}


def run(folder: Path, name: str) -> dict[str, Any]:
    """Let the first allocation fail, the second, and so on."""
    records = make_store(folder / "base")
    outcomes: dict[str, int] = {}
    found: list[str] = []
    streak = number = 0
    while streak < ENOUGH and number < CASES_MAX and not found:
        seen = run_case(folder, name, records, number)
        outcomes[seen["came"]] = outcomes.get(seen["came"], 0) + 1
        found += [f"allocation {number}: {each}" for each in seen["found"]]
        streak = streak + 1 if seen["came"] == "right" else 0
        number += 1
    return {"cases": number, "outcomes": outcomes, "found": found}


def run_case(folder: Path, name: str, records: list[bytes], number: int) -> dict[str, Any]:
    """One allocation, in a forked child."""
    path = folder / "store"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(folder / "base", path)

    def job(pipe: int) -> None:
        seen = starve(SUBJECTS[name](path, records), number)
        os.write(pipe, json.dumps(seen).encode())

    code, said = forked(job)
    return dict(json.loads(said)) if code == 0 else {"came": "ended", "found": [f"its process ended with {code}"]}


if __name__ == "__main__":
    directory, chosen = sys.argv[1:]
    logging.disable()
    print(json.dumps(run(Path(directory), chosen)))  # noqa: T201  its answer
