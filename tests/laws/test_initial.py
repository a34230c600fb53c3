"""The law of INITIAL writes: one that is concurrent to a real document changes nothing that a reader sees there.

What it may do is add: fields that the document does not have, at the root or in a map. Every field that was there
stays as it was, whatever the stamps, whichever came first, joined or delivered.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from crdtstore.crdt.cell import Cell
from tests.laws.checker import Laws, Run
from tests.laws.engine import Engine
from tests.laws.histories import CLIENTS, MENU, History, Operations, sampled_histories
from tests.laws.operations import Attach, Bury, Initial, Mark, Put, Restart, Value
from tests.laws.specification import Specification
from tests.laws.stores import Logs
from tests.laws.test_random_histories import histories

SEED = 20_240_401
GIVER = bytes([*bytes(7), 0x28, *bytes(8)])
"""An origin among those of the stores."""

GIVEN: tuple[Operations, ...] = (
    (Initial(Put(("d", "x"), 60)), Initial(Put(("d", "m", "a"), 61)), Initial(Mark(("d", "mm")))),
    (Initial(Attach(("d", "x"), "given")), Initial(Restart(("d", "c"), 70)), Initial(Put(("d", "m"), 71))),
    (Initial(Restart(("d", "x"), 80)), Initial(Restart(("d", "m", "n"), 81)), Initial(Put(("d", "c", "deep"), 82))),
)


def keeps(before: Value, after: Value) -> bool:
    """Whether all that was seen is seen still."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(key in after and keeps(value, after[key]) for key, value in before.items())
    return repr(before) == repr(after)


def is_real(history: History) -> bool:
    """Whether nothing in a history is INITIAL or buries."""
    return not any(isinstance(it, Initial | Bury) for event in history.events for it in event.operations)


def changed(engine: Engine, history: History) -> Iterator[str]:
    """Where an INITIAL write changes what a reader saw."""
    run = Run(Laws(engine), history)
    try:
        run.write()
        for operations, clock in itertools.product(GIVEN, (0, 1_000)):
            giver, store, late = run.open(GIVER, clock), run.open(bytes(16), 0), run.open(bytes(16), 0)
            given_record = engine.originate(giver, CLIENTS[0], operations)
            engine.deliver(late, given_record)
            for record in run.records:
                if record is not None:
                    engine.deliver(store, record)
                    engine.deliver(late, record)
            before = engine.visible(store)
            engine.deliver(store, given_record)
            for seen in (engine.visible(store), engine.visible(late)):
                if "d" in before and not keeps(before, seen):
                    yield f"{before} became {seen} by {operations}"
    finally:
        run.close()


def violations(engine: Engine, count: int) -> Iterator[str]:
    """Over a seeded sample of small histories."""
    for history in sampled_histories(2, count, SEED):
        if is_real(history):
            yield from changed(engine, history)


@pytest.mark.parametrize("engine", [Specification(), Logs("compiled")], ids=lambda engine: engine.name)
def test_a_real_document_stays_as_it_is(engine: Engine) -> None:
    assert list(violations(engine, 400)) == []


@given(histories())
@settings(max_examples=40)
def test_a_longer_history_stays_as_it_is(history: History) -> None:
    if is_real(history):
        assert list(changed(Specification(), history)) == []


def test_the_bug_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who does not ask for the flag sees an INITIAL write that is stamped later."""
    monkeypatch.setattr(Cell, "recency", property(lambda cell: (True, cell.stamp)))
    assert next(violations(Specification(), 40), None) is not None


def test_the_menu_has_what_is_meant_here() -> None:
    kinds = {type(it.write if isinstance(it, Initial) else it) for operations in MENU for it in operations}
    assert {Put, Restart, Attach, Bury} <= kinds
