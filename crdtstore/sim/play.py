"""Playing: one world from its seed, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crdtstore.errors import CrdtStoreError
from crdtstore.sim.acts import ACTS
from crdtstore.sim.bounds import small_bounds
from crdtstore.sim.parameters import DRAWN, Asked, Parameters, draw_parameters
from crdtstore.sim.plan import make_plan
from crdtstore.sim.settle import settle
from crdtstore.sim.world import Broken, Violation, World, quiet

Told = list[tuple[int, str, tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which actions of a plan are played; None: all."""

    only: frozenset[int] | None = None
    without: frozenset[int] = frozenset()

    def has(self, number: int) -> bool:
        """Whether an action is played."""
        return number not in self.without and (self.only is None or number in self.only)


WHOLE = Chosen()
"""The whole plan."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a world."""

    seed: int
    asked: Asked
    chosen: Chosen
    parameters: Parameters
    trace: str
    events: int
    actions: int
    counts: dict[str, int]
    faults: dict[str, int]
    violation: Violation | None
    told: Told = field(default_factory=list)


def play(seed: int, asked: Asked = DRAWN, chosen: Chosen = WHOLE, *, is_told: bool = False) -> Outcome:
    """Play a world to its end, or to the first promise that it breaks.

    Args:
        seed: Which world.
        asked: What is set instead of drawn.
        chosen: Which actions of its plan are played.
        is_told: Whether the outcome tells every note.
    """
    parameters = draw_parameters(seed, asked)
    actions = [action for action in make_plan(seed, parameters) if chosen.has(action.number)]
    world = World(seed, parameters, is_told=is_told)
    violation = None
    try:
        with quiet(), small_bounds(wanted=parameters.has_small_bounds):
            world.begin(actions, ACTS)
            world.run()
            settle(world)
            check_faults(world, chosen)
    except Broken as broken:
        violation = broken.violation
    except (
        CrdtStoreError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        violation = Violation("no surprise", f"{type(error).__name__}: {error}", world.time.now, world.events)
    return Outcome(
        seed,
        asked,
        chosen,
        parameters,
        world.hash.hexdigest(),
        world.events,
        len(actions),
        dict(world.counts),
        {kind: count for kind, count in world.faults.items() if count},
        violation,
        world.told or [],
    )


def check_faults(world: World, chosen: Chosen) -> None:
    """Whether a whole plan has injected anything: a world without faults proves nothing."""
    if chosen == WHOLE and not any(world.faults.values()):
        world.complain("a world injects faults", "nothing was lost, cut, crashed or trimmed; ask for something")
