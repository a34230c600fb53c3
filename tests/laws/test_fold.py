"""One transaction's operations against each other: what is left of every two and three, and what is refused.

What two types at one path come to is refused, whichever is written first; so is a value above another's
path. A transaction in which no two operations ever meet like that is accepted, and its author sees all of
it.
"""

from __future__ import annotations

import itertools
import random

import pytest

from tests.laws import oracle
from tests.laws.checker import Laws
from tests.laws.engine import Engine, TypeConflict
from tests.laws.histories import BASE_ACTOR, BASE_STORE, CLIENTS, TIED, Event, History
from tests.laws.model import Model
from tests.laws.operations import (
    COUNTER,
    MAP,
    REGISTER,
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Path,
    Put,
    Remove,
    Restart,
)
from tests.laws.specification import Specification

X: Path = ("d", "x")
M: Path = ("d", "m")
MN: Path = ("d", "m", "n")

BASE: tuple[Operation, ...] = (Increment(X, 1), Increment(MN, 1))
ON_REGISTERS: tuple[Operation, ...] = (Put(X, 0), Put(MN, 0))
BASES = ((), BASE, ON_REGISTERS)

OPERATIONS: tuple[Operation, ...] = (
    Put(X, 1),
    Increment(X, 2),
    Restart(X, 5),
    Mark(X),
    Attach(X, "file"),
    Initial(Put(X, 6)),
    Initial(Restart(X, 8)),
    Bury(("d",)),
    Put(M, 7),
    Mark(M),
    Increment(M, 4),
    Put(MN, 3),
    Increment(MN, 2),
    Remove(("d",)),
    Remove(M),
    *(Remove(("d",), frozenset((kind,))) for kind in (REGISTER, MAP, COUNTER)),
)


def transactions(size: int) -> list[History]:
    """Every sequence of operations, as one transaction on each base."""
    found = []
    for base, operations in itertools.product(BASES, itertools.product(OPERATIONS, repeat=size)):
        before = (Event(BASE_STORE, BASE_ACTOR, frozenset(), base),) if base else ()
        written = Event(0, CLIENTS[0], frozenset(range(len(before))), operations)
        found.append(History(TIED, (*before, written)))
    return found


def is_refused(engine: Engine, history: History) -> bool:
    """Whether an engine refuses the last transaction; if not, the laws must hold."""
    try:
        Laws(engine).check(history)
    except TypeConflict:
        return True
    return False


@pytest.mark.parametrize("engine", [Model(), Specification()], ids=lambda engine: engine.name)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_transactions(engine: Engine, size: int, *, is_full: bool) -> None:
    histories = transactions(size)
    if size == 3 and not is_full:
        histories = random.Random(size).sample(histories, 1_000)
    for history in histories:
        operations = history.events[-1].operations
        meets = any(oracle.has_type_conflict(operations[:end]) for end in range(1, size + 1))
        if is_refused(engine, history):
            assert meets, history
        else:
            assert not oracle.has_type_conflict(operations), history
