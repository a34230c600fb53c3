"""Longer random histories: up to eight transactions of up to four operations, three stores that pull.

Stores pull as real ones do, so an author has seen what its store has; every store's own state, and fresh
stores in several random causal orders, are held against the oracle.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.laws import oracle
from tests.laws.checker import Laws
from tests.laws.conftest import use_core
from tests.laws.engine import Engine
from tests.laws.histories import CLIENTS, ROAMER, STORES, Event, History
from tests.laws.model import Model
from tests.laws.operations import (
    ALL_TYPES,
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Put,
    Remove,
    Restart,
)
from tests.laws.operations import Path as Place
from tests.laws.specification import Specification
from tests.laws.stores import make_engine

TRANSACTIONS_MAX = 8
OPERATIONS_MAX = 4
ORDERS = 4

PATHS: tuple[Place, ...] = (
    ("d", "x"),
    ("d", "c"),
    ("d", "m"),
    ("d", "m", "a"),
    ("d", "m", "n"),
    ("d", "mm"),
    ("e", "x"),
)
PREFIXES: tuple[Place, ...] = (("d",), *PATHS)

LARGE = (2**62, -(2**62), 1.7e308, -1.7e308)
"""Several on one path of a transaction may be refused; many transactions add up beyond the bounds."""

numbers = st.sampled_from([1, -2, 3, 0, 0.1, 0.2, -0.7, 1e16, -1e16, 2**53 + 1, *LARGE])
values = numbers | st.sampled_from(
    [None, True, False, 1.0, "", "text", [1, "a"], {"z": [1.0], "a": None}, "longer than a slot"]
)
types = st.sampled_from([ALL_TYPES, *(frozenset((kind,)) for kind in sorted(ALL_TYPES))])
puts = st.builds(Put, st.sampled_from(PATHS), values)
attachments = st.builds(Attach, st.sampled_from(PATHS), st.sampled_from(["file", "an id longer than a slot"]))
marks = st.builds(Mark, st.sampled_from((("d",), *PATHS)))
restarts = st.builds(Restart, st.sampled_from(PATHS), numbers)
initials = st.builds(Initial, puts | attachments | marks | restarts)
burials = st.builds(
    lambda path, die: Bury(path) if die == 0 else Mark(path), st.sampled_from((("d",), ("e",))), st.integers(0, 4)
)
operations: st.SearchStrategy[Operation] = st.one_of(
    puts,
    puts,
    attachments,
    marks,
    initials,
    burials,
    st.builds(Increment, st.sampled_from(PATHS), numbers),
    restarts,
    st.builds(Remove, st.sampled_from(PREFIXES), types),
)


def fits_behind(chosen: list[Operation], operation: Operation) -> bool:
    """Whether an operation may follow others: a removal of one type does not, nor a second large amount."""
    if isinstance(operation, Remove):
        return not chosen or operation.types == ALL_TYPES
    if isinstance(operation, Increment) and operation.amount in LARGE:
        return all(operation.path != other.path for other in chosen)
    return True


@st.composite
def transactions(draw: st.DrawFn) -> tuple[Operation, ...]:
    """Some operations of which no prefix comes to two types at one path; `test_fold` has the others."""
    chosen: list[Operation] = []
    for operation in draw(st.lists(operations, min_size=1, max_size=OPERATIONS_MAX)):
        if fits_behind(chosen, operation) and not oracle.has_type_conflict([*chosen, operation]):
            chosen.append(operation)
    return tuple(chosen)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Stores that write, and pull all that another one has before they do."""
    known: list[frozenset[int]] = [frozenset()] * STORES
    events: list[Event] = []
    for number in range(draw(st.integers(2, TRANSACTIONS_MAX))):
        store = draw(st.integers(0, STORES - 1))
        for other in sorted(draw(st.sets(st.integers(0, STORES - 1), max_size=2))):
            known[store] |= known[other]
        actor = draw(st.sampled_from((*CLIENTS[:2], ROAMER)))
        events.append(Event(store, actor, known[store], draw(transactions())))
        known[store] |= {number}
    clocks = draw(st.tuples(*[st.sampled_from((100, 100, 101, 500))] * STORES))
    return History((*clocks, 0), tuple(events))


def random_orders(history: History, count: int) -> Iterator[tuple[int, ...]]:
    """The order of writing, and some more causal orders."""
    yield tuple(range(len(history.events)))
    choose = random.Random(repr(history))
    for _ in range(count - 1):
        order: list[int] = []
        while len(order) < len(history.events):
            due = [n for n, it in enumerate(history.events) if n not in order and it.observed <= set(order)]
            order.append(choose.choice(due))
        yield tuple(order)


def check(engine: Engine, history: History) -> None:
    """One history through an engine."""
    run = Laws(engine).check(history, random_orders(history, ORDERS))
    event(f"{len(history.events)} transactions")
    if run.silent:
        event("some change nothing")


@given(histories())
@settings(max_examples=100)
def test_model(history: History) -> None:
    check(Model(), history)


@given(histories())
@settings(max_examples=150)
def test_plain_modules(history: History) -> None:
    check(Specification(), history)


@pytest.mark.parametrize("core", ["plain", "compiled"])
@pytest.mark.parametrize(("place", "examples"), [("logs", 50), ("memory", 10), ("disk", 10)])
def test_real_engines(place: str, core: str, examples: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_core(core, monkeypatch)
    engine = make_engine(place, core, tmp_path)

    @given(histories())
    @settings(max_examples=examples)
    def holds(history: History) -> None:
        check(engine, history)

    holds()
