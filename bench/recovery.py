"""Recovery: how soon a store of 1 GiB whose process was killed in the midst of its writes is open for writing again.

Rules: a process of its own fills the store, which has a write-ahead log as all have, then writes over documents drawn
at random. It is killed when it has done so for a while, which is another one in each round. What it was told to be
written must be there, and in the end nothing is wrong with the store. All is in wall time: of an opening it is wanted
soon, of verifying by and by.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from bench.children import ROOT, environment
from bench.measure import Row, counted
from bench.workloads import COLLECTION, profile
from crdtstore import Store, Upsert
from crdtstore.storage.verify import verify

DOCUMENTS = 1_500_000
BATCH = 1_000
OVERWRITTEN = 100
"""Documents in a transaction that writes over some."""

TRANSACTIONS = (200, 400)
"""At least and at most so many of them before a kill: some 240 fill a segment of the log."""


def rows(rounds: int, documents: int = DOCUMENTS, transactions: tuple[int, int] = TRANSACTIONS) -> list[Row]:
    """Kill a store's process and open the store, again and again."""
    (ROOT / "build").mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="crdtstore-bench-", dir=ROOT / "build") as folder:
        path = Path(folder) / "store"
        spent, lost = [], 0
        for number in range(rounds):
            with writer(path, documents, number) as lines:
                told = max(int(next(lines)) for _ in range(Random(number).randint(*transactions)))
            begun = perf_counter_ns()
            with Store.open(path) as store:
                spent.append((perf_counter_ns() - begun) / 1_000_000)
                lost += max(0, told - store.applied)
        gibibytes = (path / "data.mdb").stat().st_size / 2**30
        begun = perf_counter_ns()
        wrong = list(verify(path))
        verified = (perf_counter_ns() - begun) / 1_000_000 / gibibytes
        if wrong:
            raise RuntimeError(f"The store is not whole: {wrong[0]}")
    return [
        counted("recovery.open", median(spent), "wall ms", rounds, gibibytes=gibibytes),
        counted("recovery.verify", verified, "wall ms", 1),
        counted("recovery.lost", lost, "transactions", rounds),
    ]


@contextmanager
def writer(path: Path, documents: int, seed: int) -> Iterator[Iterator[str]]:
    """Run a process that writes, and give its lines, one by transaction; it is killed at the end."""
    command = [sys.executable, "-m", "bench.recovery", str(path), str(documents), str(seed)]
    with subprocess.Popen(command, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout
        finally:
            process.kill()


def main() -> None:
    """Fill a store, unless that was done, and write over documents until killed; tell of each transaction."""
    path, documents, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = Random(seed).randrange
    with Store.open(path) as store:
        if not store.applied:
            for start in range(0, documents, BATCH):
                store.write([Upsert(COLLECTION, profile(number), id=number) for number in range(start, start + BATCH)])
        while True:
            some = [Upsert(COLLECTION, profile(draw(documents)), id=draw(documents)) for _ in range(OVERWRITTEN)]
            print(store.write(some).txn, flush=True)


if __name__ == "__main__":
    main()
