"""S3 and S4: what a document takes on disk after many hands changed it, and what it takes in memory when it was read.

Rules: bytes on disk are keys and values as they stand in the tables, merge metadata and seals included, and the file
as a compacting copy leaves it. Bytes in memory are what `malloc` has given away in a process of its own that opened a
store and read every document once: the difference between a large store and a small one, by document.

Not here: how fast any of it is.
"""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.children import ROOT, environment
from bench.measure import Row, counted
from bench.workloads import (
    COLLECTION,
    FIELD_ORIGIN,
    Base,
    Edit,
    actor_of,
    base_at,
    change_of,
    clock,
    edits,
    make_base,
    make_record,
    profile,
)
from crdtstore import Store, Upsert
from crdtstore.storage.compact import compact
from crdtstore.storage.tables import Table

ACTORS = 4
EDITS_EACH = 10
BATCH = 100
DOCUMENTS = 2_000
LOADED = (1_000, 31_000)
"""Documents of the small store and of the large one."""


# --- on disk ---


def disk_rows(_rounds: int, documents: int = DOCUMENTS) -> list[Row]:
    """Let four actors change each document ten times on average, and look at the tables and the file."""
    base = make_base([profile(number) for number in range(documents)], counters=["count"])
    made = [batches(edits(actor, EDITS_EACH * documents, documents)) for actor in range(ACTORS)]
    with TemporaryDirectory(prefix="crdtstore-bench-") as folder:
        seen = stored(Path(folder, "seen"), base, seen_records(base, made), documents)
        unseen = stored(Path(folder, "unseen"), base, unseen_records(base, made), documents)
    values = {**seen, "siblings": unseen["document"]}
    sizes = {"actors": ACTORS, "edits": EDITS_EACH, "batch": BATCH}
    return [counted(f"S3.{name}", value, "bytes", 1, **sizes) for name, value in values.items()]


def batches(made: Sequence[Edit]) -> list[dict[int, Edit]]:
    """Edits as transactions, each of which changes a document once."""
    some: list[dict[int, Edit]] = [{}]
    for edit in made:
        if edit.document in some[-1] or len(some[-1]) >= BATCH:
            some.append({})
        some[-1][edit.document] = edit
    return some


def seen_records(base: Base, made: Sequence[Sequence[dict[int, Edit]]]) -> list[bytes]:
    """The actors take turns at one store: each has seen what the others wrote before."""
    turns = [(actor, some) for turn in zip_longest(*made) for actor, some in enumerate(turn) if some]
    return [
        make_record(
            position,
            base_at(base, position),
            actor_of(actor),
            [change_of(base, edit) for edit in some.values()],
            FIELD_ORIGIN,
        )
        for position, (actor, some) in enumerate(turns, 1)
    ]


def unseen_records(base: Base, made: Sequence[Sequence[dict[int, Edit]]]) -> list[bytes]:
    """Each actor writes at a store of its own, and has seen the base only: what it did not see stays beside it."""
    return [
        make_record(
            position, base_at(base, position), actor_of(actor), [change_of(base, edit) for edit in some.values()]
        )
        for actor, transactions in enumerate(made)
        for position, some in enumerate(transactions, 1)
    ]


def stored(path: Path, base: Base, changes: Sequence[bytes], documents: int) -> dict[str, float]:
    """Apply all to a store; what a document and an update take there."""
    with Store.open(path, durability="none", clock=clock) as store:
        store.apply(base.records)
        fresh, log = table_bytes(store, Table.DOCUMENTS), table_bytes(store, Table.LOG)
        store.apply(changes)
        edited, logged = table_bytes(store, Table.DOCUMENTS), table_bytes(store, Table.LOG) - log
        store.trim(store.applied)
    file = compact(path).after
    updates = ACTORS * EDITS_EACH * documents
    return {
        "fresh": fresh / documents,
        "document": edited / documents,
        "file": file / documents,
        "log": logged / updates,
    }


def table_bytes(store: Store, table: Table) -> int:
    """Keys and values of a table."""
    with store.storage.snapshot() as snapshot:
        return sum(len(key) + len(value) for key, value in snapshot.scan(table))


# --- in memory ---


def heap_rows(_rounds: int, documents: Sequence[int] = LOADED) -> list[Row]:
    """Compare the heaps of two processes, one with a small store and one with a large one."""
    with TemporaryDirectory(prefix="crdtstore-bench-") as folder:
        small, large = (heap_bytes(Path(folder, str(number)), number) for number in documents)
    value = (large - small) / (documents[1] - documents[0])
    return [counted("S4.heap", value, "bytes", 1, small=documents[0], large=documents[1])]


def heap_bytes(path: Path, documents: int) -> int:
    """Bytes of heap of a process that has read so many documents from a store of its own."""
    with Store.open(path, durability="none", clock=clock) as store:
        for start in range(0, documents, 1_000):
            some = range(start, min(start + 1_000, documents))
            store.write([Upsert(COLLECTION, profile(number), id=number) for number in some])
    command = [sys.executable, "-m", "bench.sizes", str(path), str(documents)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    return int(done.stdout)


class Statistics(ctypes.Structure):
    """`struct mallinfo2` of the C library."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in ("arena", "free", "fast", "mapped", "hblkhd", "unused", "fsm", "uordblks", "fordblks", "keepcost")
    )


def read_all(path: Path, documents: int) -> int:
    """In the child: open a store, read every document, and ask `malloc` what is in use."""
    with Store.open(path, durability="none", clock=clock) as store:
        for number in range(documents):
            assert store.get_json(COLLECTION, number) is not None
        return bytes_in_use()


def bytes_in_use() -> int:
    """What `malloc` and Python have given away in this process."""
    gc.collect()
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = Statistics
    found = library.mallinfo2()
    return int(found.uordblks + found.hblkhd)


if __name__ == "__main__":
    print(read_all(Path(sys.argv[1]), int(sys.argv[2])))
