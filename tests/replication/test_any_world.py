"""Any world of stores, whole and scoped, that exchange in any order and trim their logs, ends up equal.

Rules: a world is a list of steps: writes, exchanges, trimmed logs. After it, every store exchanges with the first one
until nothing moves. Then whole stores are equal, a scoped store holds exactly its part, and all tell one history.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from crdtstore.command.command import Command, Increment, Remove, Set, Update, Upsert
from crdtstore.errors import DocumentBuried, NotCausal, ReplicationError, ScopeMismatch
from crdtstore.replication import missing
from crdtstore.replication.local import sync
from crdtstore.store import Store
from tests.replication.worlds import assert_equal, make, rows, state

SCOPES: tuple[tuple[str, ...] | None, ...] = (None, None, ("a",), ("a", "b"))
STORES = range(len(SCOPES))


class Step(NamedTuple):
    """Store `at` writes, exchanges with `other`, or forgets its log."""

    at: int
    commands: tuple[Command, ...] = ()
    other: int | None = None


ids = st.sampled_from([1, 2, "s"])
fields = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 9), min_size=1, max_size=2)


def commands(names: str) -> st.SearchStrategy[Command]:
    """Commands on some collections."""
    collections = st.sampled_from(names)
    return st.one_of(
        st.tuples(collections, fields, ids).map(lambda of: Upsert(*of)),
        st.tuples(collections, st.sampled_from("xyz")).map(
            lambda of: Update(of[0], "true", [Set(of[1], 5), Increment("n", 1)])
        ),
        st.tuples(collections, fields, ids).map(lambda of: Upsert(*of, initial=True)),
        collections.map(lambda name: Remove(name, "_id == 1")),
        collections.map(lambda name: Remove(name, "_id == 's'", deletes="permanent")),
    )


def step(at: int) -> st.SearchStrategy[Step]:
    """What a store may do; only whole stores forget, since a hub can be given no snapshot by a scoped one."""
    names = "abc" if SCOPES[at] is None else "".join(SCOPES[at] or ())
    write = st.lists(commands(names), min_size=1, max_size=3).map(lambda made: Step(at, tuple(made)))
    other = st.sampled_from([number for number in STORES if number != at]).map(lambda number: Step(at, other=number))
    return st.one_of(write, write, other, other, st.just(Step(at))) if SCOPES[at] is None else st.one_of(write, other)


worlds = st.lists(st.sampled_from(STORES).flatmap(step), max_size=30)


def meet(store: Store, other: Store) -> bool:
    """Exchange; whether something moved. What the two cannot do for each other is left to others."""
    try:
        report = sync(store, other)
    except (NotCausal, ScopeMismatch):
        return False
    except ReplicationError as error:
        if "let it start" not in error.message:
            raise
        return False
    return bool(report.pulled or report.pushed or report.joined)


def run(steps: list[Step]) -> list[Store]:
    """Run a world up to its end."""
    stores = [make(number + 1, scope) for number, scope in enumerate(SCOPES)]
    for at, made, other in steps:
        if made:
            with suppress(DocumentBuried):
                stores[at].write(made)
        elif other is not None:
            meet(stores[at], stores[other])
        else:
            stores[at].trim(stores[at].applied)
    for _ in range(6):
        moved = [meet(left, right) for left in stores for right in stores if left is not right]
        if not any(moved):
            return stores
    raise AssertionError("The stores go on exchanging.")


def check(stores: list[Store]) -> None:
    """What must hold at the end."""
    assert_equal(*stores[:2])
    whole = state(stores[0])
    for store, scope in zip(stores[2:], SCOPES[2:], strict=True):
        assert scope is not None
        assert state(store) == {key: form for key, form in whole.items() if key[0] in scope}
        assert [row[:3] for row in rows(store)] == [row[:3] for row in rows(stores[0])]


@settings(max_examples=150, deadline=None)
@given(worlds)
def test_any_world_ends_equal(steps: list[Step]) -> None:
    check(run(steps))


def test_worlds_with_steps_of_their_own() -> None:
    for steps in (REMOVED_AFTER_AN_ADVANCE, REMOVED_AFTER_A_LATER_ADVANCE, REMOVED_AFTER_A_JOIN):
        check(run(steps))


PLANTED = {
    "records are not cut": ("crdtstore.replication.missing.holds", lambda _scope, _name: True),
    "advances forget what was observed": ("crdtstore.replication.missing.unpack_rows", lambda _rows: {}),
    "the floor is ignored": ("crdtstore.replication.missing.below_floor", lambda *_: False),
    "a join forgets author vectors": ("crdtstore.version.join.Arriving.authors", {}),
    "a join raises no floor": (
        "crdtstore.storage.head.Head.raise_floor",
        lambda head, origin, _: head.changed.add(origin),
    ),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_planted_bugs_are_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worlds would show it: the positive control. A world that needs its own steps has them here."""
    place, broken = PLANTED[bug]
    monkeypatch.setattr(place, broken)
    for module in ("answer", "exchange"):
        monkeypatch.setattr(f"crdtstore.replication.{module}.below_floor", missing.below_floor)

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        report_multiple_bugs=False,
    )
    @given(worlds)
    @example(REMOVED_AFTER_AN_ADVANCE)
    @example(REMOVED_AFTER_A_LATER_ADVANCE)
    @example(REMOVED_AFTER_A_JOIN)
    def world(steps: list[Step]) -> None:
        check(run(steps))

    with pytest.raises((AssertionError, ReplicationError, KeyError)):
        world()


REMOVED_AFTER_AN_ADVANCE = [
    Step(2, (Upsert("a", {"x": 1}, id=1),)),
    Step(0, other=2),
    Step(0, (Upsert("c", {"x": 1}, id=1),)),
    Step(0, (Remove("a", "_id == 1"),)),
    Step(2, other=0),
]
"""What the removal had observed is told by an advance."""

REMOVED_AFTER_A_LATER_ADVANCE = [
    Step(0, (Upsert("a", {"x": 1}, id=2),)),
    Step(2, other=0),
    *REMOVED_AFTER_AN_ADVANCE,
]
"""The same, when a record of that origin was applied before."""

REMOVED_AFTER_A_JOIN = [
    Step(2, (Upsert("a", {"x": 1}, id=1),)),
    Step(0, other=2),
    Step(0, (Upsert("c", {"x": 1}, id=1),)),
    Step(0),
    Step(1, other=0),
    Step(0, (Remove("a", "_id == 1"),)),
    Step(1, other=0),
]
"""What the removal had observed came with a snapshot."""
