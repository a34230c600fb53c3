"""S1: one field update merged into each of many stored documents.

Rules: every field has its turn, texts and nested ones too. Our documents carry the stamps of all that went before;
a peer begins each round with fresh states. Ours runs several turns in a round, so that a sample is long enough to
be measured; every turn is a batch of its own, as the peer's is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.kernel import Kernel
from bench.measure import Row, Side, cpu_microseconds, race, versus
from bench.mergers import MERGERS, Merger, MergerInLmdb, merge_in_memory
from bench.peers import installed, titled
from bench.workloads import (
    FIELD_ORIGIN,
    Base,
    clock,
    field_record,
    field_records,
    field_updates,
    make_base,
    person,
    timestamp_at,
)
from crdtstore import Store
from crdtstore.storage.environment import open_storage

DOCUMENTS = 1_000
TURNS = 10

OURS = ("kernel", "kernel-lmdb", "engine", "records")
AGAINST = {"kernel": "memory", "kernel-lmdb": "lmdb", "engine": "lmdb", "records": "lmdb"}
"""Which of a peer's sides each of ours is compared with."""


def rows(rounds: int, documents: int = DOCUMENTS) -> list[Row]:
    """Measure ours and the peers, round by round."""
    stored = [person(number) for number in range(documents)]
    base = make_base(stored)
    peers = installed(*MERGERS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crdtstore-bench-")))
        sides: dict[str, Side] = {
            "kernel": kernel_side(base, documents),
            "kernel-lmdb": kernel_lmdb_side(base, documents, folder, stack),
            "engine": engine_side(base, documents, folder / "engine", stack, one_record),
            "records": engine_side(base, documents, folder / "records", stack, many_records),
        }
        for peer in peers:
            merger = MERGERS[peer](stored, field_updates(documents, 0))
            sides[f"{peer} memory"] = merger_side(merger)
            sides[f"{peer} lmdb"] = merger_lmdb_side(merger, folder / peer, stack)
        times = race(sides, rounds)
    return [
        versus(
            f"S1.{our}.{peer}",
            named(peer, AGAINST[our]),
            times,
            our,
            f"{peer} {AGAINST[our]}",
            documents=documents,
        )
        for our in OURS
        for peer in peers
    ]


def named(peer: str, place: str) -> str:
    """A peer as people read it."""
    return titled(peer) + (" + LMDB" if place == "lmdb" else "")


# --- ours ---


def kernel_side(base: Base, documents: int) -> Side:
    """Records that were checked, merged into a dict."""
    kernel = Kernel()
    kernel.receive(base.records)
    kernel.receive([field_record(base, documents, 0, 1)])
    turn = 1

    def run(_: int) -> float:
        nonlocal turn
        records = field_turns(base, documents, turn)
        turn += TURNS
        return cpu_microseconds(lambda: kernel.merge(records, FIELD_ORIGIN), TURNS * documents)

    return run


def kernel_lmdb_side(base: Base, documents: int, folder: Path, stack: ExitStack) -> Side:
    """The same in the pages of LMDB, a batch a turn."""
    storage = open_storage(folder / "kernel", create=True, read_only=False, durable=False)
    stack.callback(storage.close)
    kernel = Kernel(storage.batch())
    kernel.receive([*base.records, field_record(base, documents, 0, 1)])
    kernel.batch.commit()
    turn = 1

    def work(records: Sequence[tuple[bytes, int]]) -> None:
        for record in records:
            kernel.batch = storage.batch()
            kernel.merge([record], FIELD_ORIGIN)
            kernel.batch.commit()

    def run(_: int) -> float:
        nonlocal turn
        records = field_turns(base, documents, turn)
        turn += TURNS
        return cpu_microseconds(lambda: work(records), TURNS * documents)

    return run


def field_turns(base: Base, documents: int, turn: int) -> list[tuple[bytes, int]]:
    """The records of a round, with their timestamps."""
    positions = range(turn + 1, turn + 1 + TURNS)
    return [(field_record(base, documents, at, at), timestamp_at(at)) for at in positions]


def one_record(base: Base, documents: int, turn: int) -> list[bytes]:
    """A turn as one record."""
    return [field_record(base, documents, turn, turn + 1)]


def many_records(base: Base, documents: int, turn: int) -> list[bytes]:
    """A turn as a record for each document."""
    return field_records(base, documents, turn, turn * documents + 1)


def engine_side(
    base: Base,
    documents: int,
    folder: Path,
    stack: ExitStack,
    records_of: Callable[[Base, int, int], list[bytes]],
) -> Side:
    """Records from another origin into a store on disk."""
    store = stack.enter_context(Store.open(folder, durability="none", clock=clock))
    store.apply(base.records)
    store.apply(records_of(base, documents, 0))
    turn = 1

    def run(_: int) -> float:
        nonlocal turn
        batches = [records_of(base, documents, at) for at in range(turn, turn + TURNS)]
        turn += TURNS
        before = store.applied
        spent = cpu_microseconds(lambda: [store.apply(batch) for batch in batches], TURNS * documents)
        assert store.applied == before + sum(map(len, batches))
        return spent

    return run


# --- peers ---


def merger_side(merger: Merger) -> Side:
    """A peer in memory."""
    return lambda _: cpu_microseconds(lambda: merge_in_memory(merger), len(merger.updates))


def merger_lmdb_side(merger: Merger, folder: Path, stack: ExitStack) -> Side:
    """A peer whose states are in LMDB."""
    stored = MergerInLmdb(merger, folder)
    stack.callback(stored.close)

    def run(_: int) -> float:
        stored.reset()
        return cpu_microseconds(stored.merge, len(merger.updates))

    return run
