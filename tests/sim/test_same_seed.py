"""One seed is one world: the same events and the same trace, wherever and whenever it is played."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from crdtstore.sim.parameters import Asked, draw_parameters
from crdtstore.sim.plan import make_plan
from crdtstore.sim.play import Chosen, play

ROOT = Path(__file__).parents[2]
SMALL = Asked(operations=60)
PROGRAM = """
from crdtstore.sim.parameters import Asked
from crdtstore.sim.play import play
print(*[play(seed, Asked(operations=60)).trace for seed in range(6)])
"""


def test_the_same_seed_gives_the_same_trace() -> None:
    first, again = (play(seed, SMALL) for seed in (3, 3))
    assert first == again
    assert first.trace != play(4, SMALL).trace


def test_telling_changes_nothing() -> None:
    told = play(5, SMALL, is_told=True)
    assert told.trace == play(5, SMALL).trace
    assert len(told.told) >= told.actions


def test_another_process_with_other_hashes_gives_the_same_trace() -> None:
    here = [play(seed, SMALL).trace for seed in range(6)]
    for number in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=300
        )
        assert done.stdout.split() == here


def test_a_plan_is_a_function_of_seed_and_parameters() -> None:
    for seed in range(10):
        parameters = draw_parameters(seed)
        plan = make_plan(seed, parameters)
        assert plan == make_plan(seed, parameters)
        assert [action.number for action in plan] == list(range(len(plan)))
        assert [action.at for action in plan] == sorted(action.at for action in plan)
        assert plan != make_plan(seed + 1, parameters)


def test_what_is_asked_for_changes_nothing_else() -> None:
    for seed in range(10):
        drawn = draw_parameters(seed)
        asked = draw_parameters(seed, Asked(loss=0.9, partitions=7))
        assert asked == drawn._replace(loss=0.9, partitions=7)


def test_a_part_of_a_plan_is_a_plan() -> None:
    whole = play(7, SMALL)
    half = play(7, SMALL, Chosen(only=frozenset(range(0, 200, 2))))
    rest = play(7, SMALL, Chosen(without=frozenset(range(0, 200, 2))))
    assert whole.violation is half.violation is rest.violation is None
    assert half.actions + rest.actions == whole.actions
