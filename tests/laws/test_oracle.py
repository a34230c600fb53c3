"""The oracle itself, on scenes small enough to be judged by reading.

Each scene is a list of transactions (who saw which, what was written) and what must be visible once a store
has them all. Numbers of transactions double as their timestamps unless a scene says otherwise.
"""

from __future__ import annotations

import pytest

from tests.laws import oracle
from tests.laws.operations import (
    COUNTER,
    REGISTER,
    Increment,
    Mark,
    Operation,
    Put,
    Remove,
    Restart,
    Stamp,
    Value,
)

D, X, C, M, MA, MN = ("d",), ("d", "x"), ("d", "c"), ("d", "m"), ("d", "m", "a"), ("d", "m", "n")

Scene = list[tuple[set[int], list[Operation]]]

SCENES: dict[str, tuple[Scene, dict[str, Value]]] = {
    "the later of two concurrent values is visible": (
        [(set(), [Put(X, 1)]), (set(), [Put(X, 2)])],
        {"d": {"x": 2}},
    ),
    "removing the winner shows the loser": (
        [(set(), [Put(X, 1)]), (set(), [Put(X, 2)]), ({1}, [Remove(X)])],
        {"d": {"x": 1}},
    ),
    "an observed write removes the loser too": (
        [(set(), [Put(X, 1)]), (set(), [Put(X, 2)]), ({0, 1}, [Put(X, 3)]), ({0, 1, 2}, [Remove(X)])],
        {},
    ),
    "a write survives a concurrent removal of the document": (
        [(set(), [Put(X, 1), Put(MA, 1)]), ({0}, [Put(X, 2)]), ({0}, [Remove(D)])],
        {"d": {"x": 2}},
    ),
    "a marker keeps a map without children": (
        [(set(), [Mark(M), Put(MA, 1)]), ({0}, [Remove(MA)])],
        {"d": {"m": {}}},
    ),
    "a map without marker goes with its last child": (
        [(set(), [Put(MA, 1)]), ({0}, [Remove(MA)])],
        {},
    ),
    "a removal of one type leaves the others": (
        [(set(), [Put(X, 1), Increment(C, 1)]), ({0}, [Remove(D, frozenset((REGISTER,)))])],
        {"d": {"c": 1}},
    ),
    "the type last written is visible, a total counts as written": (
        [(set(), [Increment(X, 4)]), ({0}, [Put(X, 1)]), ({0, 1}, [Increment(X, 5)])],
        {"d": {"x": 9}},
    ),
    "a total inside a map makes the map the type last written": (
        [(set(), [Increment(MN, 4)]), ({0}, [Put(M, 1)]), ({0, 1}, [Increment(MN, 5)])],
        {"d": {"m": {"n": 9}}},
    ),
    "increments from two sides add up": (
        [(set(), [Restart(C, 10)]), ({0}, [Increment(C, 1)]), ({0}, [Increment(C, 2)])],
        {"d": {"c": 13}},
    ),
    "counters created concurrently add up": (
        [(set(), [Increment(C, 1)]), (set(), [Increment(C, 2)])],
        {"d": {"c": 3}},
    ),
    "a restart discards what it observed and increments concurrent to it": (
        [(set(), [Increment(C, 1)]), ({0}, [Increment(C, 2)]), ({0}, [Restart(C, 10)])],
        {"d": {"c": 10}},
    ),
    "a counter created concurrently adds to the restarted value": (
        [(set(), [Increment(C, 1)]), (set(), [Restart(C, 10)])],
        {"d": {"c": 11}},
    ),
    "of two restarts the higher counts with its totals": (
        [
            (set(), [Restart(C, 10)]),
            (set(), [Restart(C, 20)]),
            ({0}, [Increment(C, 1)]),
            ({1}, [Increment(C, 2)]),
        ],
        {"d": {"c": 22}},
    ),
    "an increment of an observed counter never brings a removed document back": (
        [(set(), [Increment(C, 1)]), ({0}, [Increment(C, 2)]), ({0}, [Remove(D)])],
        {},
    ),
    "an increment that created its counter concurrently survives a removal": (
        [(set(), [Put(X, 1)]), ({0}, [Increment(C, 2)]), ({0}, [Remove(D)])],
        {"d": {"c": 2}},
    ),
    "an increment does not remove the losers it observed": (
        [
            (set(), [Restart(C, 10)]),
            (set(), [Restart(C, 20)]),
            ({0, 1}, [Increment(C, 1)]),
            ({1}, [Remove(C)]),
        ],
        {"d": {"c": 10}},
    ),
    "a transaction never observes itself": (
        [(set(), [Put(X, 1), Remove(D), Put(X, 2)])],
        {"d": {"x": 2}},
    ),
    "an increment goes to the counter that its own transaction restarted": (
        [
            (set(), [Increment(C, 1)]),
            ({0}, [Increment(C, 2), Restart(C, 10), Increment(C, 3), Increment(C, 4)]),
        ],
        {"d": {"c": 17}},
    ),
    "an increment after a removal in one transaction starts anew": (
        [(set(), [Restart(C, 10)]), ({0}, [Remove(M), Remove(C, frozenset((COUNTER,))), Increment(C, 3)])],
        {"d": {"c": 3}},
    ),
    "keys are compared whole": (
        [(set(), [Put(M, 1), Put(("d", "mm"), 2), Put(("dd", "m"), 3)]), ({0}, [Remove(M)])],
        {"d": {"mm": 2}, "dd": {"m": 3}},
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_scene(name: str) -> None:
    scene, wanted = SCENES[name]
    judge = oracle.Oracle(
        oracle.Transaction(number, Stamp(number + 1, b"actor", b"origin"), frozenset(observed), tuple(operations))
        for number, (observed, operations) in enumerate(scene)
    )
    assert oracle.visible(judge.truth(frozenset(range(len(scene))))) == wanted


def test_equal_times_are_told_apart_by_actor_then_origin() -> None:
    judge = oracle.Oracle(
        oracle.Transaction(number, stamp, frozenset(), (Put(X, number),))
        for number, stamp in enumerate(
            [Stamp(7, b"a", b"z"), Stamp(7, b"b", b"b"), Stamp(7, b"b", b"c"), Stamp(6, b"z", b"z")]
        )
    )
    assert oracle.visible(judge.truth(frozenset(range(4)))) == {"d": {"x": 2}}
    assert oracle.visible(judge.truth(frozenset((0, 1, 3)))) == {"d": {"x": 1}}
    assert oracle.visible(judge.truth(frozenset((0, 3)))) == {"d": {"x": 0}}


def test_totals_are_added_by_actor_then_origin() -> None:
    judge = oracle.Oracle(
        oracle.Transaction(number, stamp, frozenset(), (Increment(C, amount),))
        for number, (stamp, amount) in enumerate(
            [
                (Stamp(3, b"a", b"o"), 0.1),
                (Stamp(2, b"c", b"o"), -0.7),
                (Stamp(1, b"b", b"o"), 0.2),
            ]
        )
    )
    assert oracle.visible(judge.truth(frozenset(range(3)))) == {"d": {"c": 0.1 + 0.2 - 0.7}}
    assert 0.1 + 0.2 - 0.7 != 0.1 - 0.7 + 0.2


@pytest.mark.parametrize(
    ("operations", "is_conflict"),
    [
        ([Put(X, 1), Increment(X, 1)], True),
        ([Increment(X, 1), Put(X, 1)], True),
        ([Put(M, 1), Put(MA, 1)], True),
        ([Increment(MN, 1), Put(M, 1)], True),
        ([Mark(M), Put(MA, 1)], False),
        ([Put(X, 1), Put(X, 2)], False),
        ([Increment(X, 1), Restart(X, 1)], False),
        ([Put(X, 1), Remove(X), Increment(X, 1)], False),
        ([Put(X, 1), Put(("d", "xx"), 2)], False),
    ],
)
def test_type_conflict(operations: list[Operation], *, is_conflict: bool) -> None:
    assert oracle.has_type_conflict(operations) == is_conflict
