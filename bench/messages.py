"""S2: the operations of many actors who have not seen each other, a message each, merged as they arrive.

Rules: all sides merge the same operations in the same order, the actors taking turns. In memory, ours checks and
merges each record into a dict; the best of pycrdt's two layouts is the peer. Into LMDB, ours is a whole store.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import msgspec

from bench.kernel import Kernel
from bench.measure import Row, Side, cpu_microseconds, race, versus
from bench.peers import installed, titled
from bench.replicas import Layout, Message, Replica, layouts
from bench.workloads import (
    ACTORS,
    COLLECTION,
    OPERATIONS,
    Base,
    Edit,
    clock,
    edit_records,
    edits,
    make_base,
    profile,
    take_turns,
)
from crdtstore import Store

DOCUMENTS = 1_000
BATCH = 1_000


def rows(rounds: int, documents: int = DOCUMENTS, operations: int = OPERATIONS) -> list[Row]:
    """Measure ours in memory and in LMDB, and the peers in memory, round by round."""
    stored = [profile(number) for number in range(documents)]
    made = [edits(actor, operations, documents) for actor in range(ACTORS)]
    base = make_base(stored, counters=["count"])
    records = take_turns([edit_records(base, actor, some) for actor, some in enumerate(made)])
    sides: dict[str, Side] = {"memory": memory_side(base, records), "lmdb": lmdb_side(base, records, made)}
    if installed("pycrdt"):
        for name, layout in layouts(stored).items():
            sides[name] = pycrdt_side(layout, made)
    times = race(sides, rounds)
    peers = [name for name in times if name not in {"memory", "lmdb"}]
    if not peers:
        return []
    best = min(peers, key=lambda name: median(times[name]))
    sizes = {"actors": ACTORS, "operations": operations, "batch": BATCH}
    return [versus(f"S2.{our}", f"{titled('pycrdt')}, {best}", times, our, best, **sizes) for our in ("memory", "lmdb")]


def memory_side(base: Base, records: Sequence[bytes]) -> Side:
    """Check and merge into a dict."""

    def run(_: int) -> float:
        kernel = Kernel()
        kernel.receive(base.records)
        return cpu_microseconds(lambda: kernel.receive(records), len(records))

    return run


def lmdb_side(base: Base, records: Sequence[bytes], made: Sequence[Sequence[Edit]]) -> Side:
    """Apply to a store on disk, a commit for each batch."""
    batches = [records[start : start + BATCH] for start in range(0, len(records), BATCH)]

    def run(_: int) -> float:
        with TemporaryDirectory(prefix="crdtstore-bench-") as folder:
            with Store.open(Path(folder, "store"), durability="none", clock=clock) as store:
                store.apply(base.records)
                spent = cpu_microseconds(lambda: [store.apply(batch) for batch in batches], len(records))
                assert store.applied == len(base.records) + len(records)
                assert count_of(store, 0) == increments(made, 0)
            return spent

    return run


def count_of(store: Store, number: int) -> int:
    """The counter of a stored document."""
    text = store.get_json(COLLECTION, number)
    assert text is not None
    return int(msgspec.json.decode(text)["count"])


def increments(made: Sequence[Sequence[Edit]], number: int) -> int:
    """How often a document's counter was incremented by all actors together."""
    return sum(edit.document == number and edit.value is None for some in made for edit in some)


def pycrdt_side(layout: Layout, made: Sequence[Sequence[Edit]]) -> Side:
    """Apply the same operations to a replica of pycrdt."""
    messages: list[Message] = take_turns([Replica(layout).send(layout, actor, some) for actor, some in enumerate(made)])

    def run(_: int) -> float:
        replica = Replica(layout)
        spent = cpu_microseconds(lambda: replica.receive(messages), len(messages))
        assert replica.count(0) == increments(made, 0)
        return spent

    return run
