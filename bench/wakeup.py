"""S12: how soon a read that waits for a transaction goes on once that is committed.

Rules: measured from the moment at which the commit has returned, in the store's writer, to the one at which the read
goes on: on an event loop as a server's, or in a thread. It is waiting, so in wall time, and the median counts.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from statistics import median
from time import perf_counter_ns, sleep

from uvloop import new_event_loop

from bench.measure import Row, counted
from bench.workloads import COLLECTION
from crdtstore import Store, Upsert
from crdtstore.auth.permission import Permission
from crdtstore.auth.session import Session
from crdtstore.http.wait import Held, until_applied

WAKES = 300
SECONDS_MAX = 60


def rows(rounds: int, wakes: int = WAKES) -> list[Row]:
    """Wake reads, `wakes` of each kind a round."""
    kinds: dict[str, Callable[[Store, int], list[float]]] = {"S12.loop": on_a_loop, "S12.thread": in_a_thread}
    waited: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, run in kinds.items():
            with Store.in_memory() as store:
                waited[name] += run(store, wakes)
    return [counted(name, median(found), "wall us", rounds) for name, found in waited.items()]


class Commits:
    """A thread that writes when it is told to, and when the last commit was done."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: SimpleQueue[int | None] = SimpleQueue()
        self.done_ns = 0
        self.publish = store.waiters.publish
        store.waiters.publish = self.note  # type: ignore[method-assign]  # called right behind the commit
        self.thread = threading.Thread(target=self.run, name="bench-writer")
        self.thread.start()

    def note(self, applied: int) -> None:
        """Keep the time, and go on."""
        self.done_ns = perf_counter_ns()
        self.publish(applied)

    def run(self) -> None:
        """Write once for each number, as soon as somebody waits."""
        while (number := self.asked.get()) is not None:
            while not self.store.waiters.waiting:
                sleep(0)
            self.store.write([Upsert(COLLECTION, {"count": number}, id=1)])

    def end(self) -> None:
        """Stop the thread."""
        self.asked.put(None)
        self.thread.join()


def on_a_loop(store: Store, wakes: int) -> list[float]:
    """Reads that wait as those over HTTP do."""
    session, held, commits = Session(store, Permission.full()), Held(), Commits(store)

    async def wait_for(txn: int) -> float:
        await until_applied(session, [COLLECTION], txn, SECONDS_MAX, asyncio.get_running_loop().create_future, held)
        return (perf_counter_ns() - commits.done_ns) / 1_000

    async def run() -> list[float]:
        found = []
        for txn in range(1, wakes + 1):
            commits.asked.put(txn)
            found.append(await wait_for(txn))
        return found

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(run())
    finally:
        commits.end()


def in_a_thread(store: Store, wakes: int) -> list[float]:
    """Reads that wait by `Store.wait`."""
    commits = Commits(store)
    found = []
    try:
        for txn in range(1, wakes + 1):
            commits.asked.put(txn)
            store.wait(txn, seconds=SECONDS_MAX)
            found.append((perf_counter_ns() - commits.done_ns) / 1_000)
    finally:
        commits.end()
    return found
