"""Writes on condition that a document is as the caller took it to be, asked where nothing can come in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore import Remove, Store, Upsert
from crdtstore.command.condition import Condition
from crdtstore.errors import DocumentBuried, PreconditionFailed

ABSENT = bytes(16)


@pytest.fixture(params=["memory", "disk"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = Store.in_memory() if request.param == "memory" else Store.open(tmp_path / "store", durability="none")
    with made as store:
        yield store


def put(store: Store, number: int, condition: Condition) -> bytes:
    """Write on a condition; the digest afterwards."""
    written = store.write([Upsert("c", {"n": number}, id="a")], conditions=[condition])
    [digest] = written.digests
    assert digest == store.document_digest("c", "a")
    return digest


def matches(*digests: bytes) -> Condition:
    return Condition("c", "a", frozenset(digests), True)


def test_a_chain_of_digests(store: Store) -> None:
    first = put(store, 1, Condition("c", "a", None, False))
    second = put(store, 2, matches(first))
    for stale in (matches(first), matches(ABSENT), matches(), Condition("c", "a", None, False)):
        with pytest.raises(PreconditionFailed):
            put(store, 3, stale)
    assert store.applied == 2
    third = put(store, 3, matches(first, second))
    fourth = put(store, 4, Condition("c", "a", frozenset((second,)), False))
    with pytest.raises(PreconditionFailed):
        put(store, 5, Condition("c", "a", frozenset((fourth,)), False))
    assert put(store, 5, Condition("c", "a", None, True)) not in {first, second, third, fourth}
    assert put(store, 6, Condition("c", "a"))


def test_what_is_not_there_has_no_digest(store: Store) -> None:
    """Neither a document that never was, nor one that was removed, nor one that was buried."""
    there = Condition("c", "a", None, True)
    for deletes in ("never", "observed", "permanent"):
        if deletes != "never":
            put(store, 1, Condition("c", "a", None, False))
            store.write([Remove("c", "true", deletes=deletes)])  # type: ignore[arg-type]  # one of the two
        for condition in (there, matches(ABSENT), matches(store.document_digest("c", "a"))):
            with pytest.raises(PreconditionFailed):
                put(store, 2, condition)
    with pytest.raises(DocumentBuried):
        put(store, 2, Condition("c", "a", None, False))


def test_a_condition_that_fails_leaves_nothing(store: Store) -> None:
    put(store, 1, Condition("c", "a"))
    before = list(store.changes())
    with pytest.raises(PreconditionFailed):
        store.write([Upsert("new", {"x": 1})], conditions=[Condition("c", "a"), matches(ABSENT)])
    assert list(store.changes()) == before
    assert "new" not in store.sequencer.catalog.by_name


def race(store: Store, number: int, digest: bytes) -> tuple[list[bytes], int]:
    """Four writers at once, all on one condition: the digests of those who were let through, and how many were not."""
    won: list[bytes] = []
    lost: list[PreconditionFailed] = []
    gate = threading.Barrier(4)

    def write(writer: int) -> None:
        gate.wait()
        try:
            value = [Upsert("c", {"n": number, "by": writer}, id="a")]
            won.append(store.write(value, conditions=[matches(digest)]).digests[0])
        except PreconditionFailed as error:
            lost.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won, len(lost)


def test_of_those_who_race_one_wins_each_round(store: Store) -> None:
    digest = put(store, 0, Condition("c", "a"))
    for number in range(10):
        won, lost = race(store, number, digest)
        assert (len(won), lost) == (1, 3)
        [digest] = won
        assert store.document_digest("c", "a") == digest


def test_a_check_before_the_write_would_let_two_through() -> None:
    """The control of the race: a condition that is asked before the write, not within, is no condition."""
    with Store.in_memory() as store:
        digest = put(store, 0, Condition("c", "a"))
        asked = [store.document_digest("c", "a") == digest for _ in range(2)]
        for writer in range(2):
            store.write([Upsert("c", {"by": writer}, id="a")])
        assert asked == [True, True]


def test_equal_stores_have_equal_digests() -> None:
    with Store.in_memory() as left, Store.in_memory() as right:
        digest = put(left, 1, Condition("c", "a"))
        right.apply(entry.record for entry in left.changes())
        assert right.write([Upsert("c", {"n": 2}, id="a")], conditions=[matches(digest)]).txn == 2
