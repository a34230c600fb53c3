"""Shrinking: the smallest part of a failing plan that still breaks the same promise.

Rules: a part of a plan is a plan, and each exchange has its own randomness, so leaving actions out changes little else.
First whole kinds are left out, then what came after the failure, then pieces of halving size (delta debugging), then
the weather. At most SHRINK_RUNS_MAX worlds are played: what was reached then is what is given.

Source: Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from crdtstore.limits import SHRINK_RUNS_MAX
from crdtstore.sim.parameters import Asked, draw_parameters
from crdtstore.sim.plan import Action, make_plan
from crdtstore.sim.play import Chosen, Outcome, play

Player = Callable[[int, Asked, Chosen], Outcome]

CALM: Sequence[Callable[[Asked], Asked]] = (
    lambda asked: asked._replace(reorder=0.0),
    lambda asked: asked._replace(duplication=0.0),
    lambda asked: asked._replace(loss=0.0),
)
"""What of the weather is taken away, one after the other."""


class Shrinking:
    """A failing world that gets smaller, and how many worlds are left to be played for it."""

    def __init__(self, outcome: Outcome, player: Player, runs: int) -> None:
        assert outcome.violation is not None
        self.best = outcome
        self.promise = outcome.violation.promise
        self.player = player
        self.runs_left = runs

    def fails(self, asked: Asked, actions: Sequence[int]) -> bool:
        """Whether a part of the plan breaks the same promise; then it is the best so far."""
        if not self.runs_left:
            return False
        self.runs_left -= 1
        outcome = self.player(self.best.seed, asked, Chosen(frozenset(actions)))
        is_same = outcome.violation is not None and outcome.violation.promise == self.promise
        if is_same:
            self.best = outcome
        return is_same

    def actions(self) -> list[int]:
        """The numbers of the best part's actions."""
        return sorted(self.best.chosen.only or ())

    def calm(self) -> None:
        """Take away what of the weather is not needed."""
        for calmer in CALM:
            self.fails(calmer(self.best.asked), self.actions())


def shrink(outcome: Outcome, player: Player = play, runs: int = SHRINK_RUNS_MAX) -> Outcome:
    """Make a failing world small.

    Args:
        outcome: What came of it.
        player: Plays a part of its plan.
        runs: How many worlds may be played.

    Returns:
        The outcome of the smallest part that was found; it breaks the same promise.
    """
    plan = make_plan(outcome.seed, draw_parameters(outcome.seed, outcome.asked))
    actions = [action for action in plan if outcome.chosen.has(action.number)]
    shrinking = Shrinking(outcome, player, runs)
    shrinking.fails(outcome.asked, [action.number for action in actions])
    for part in without_kinds(actions, shrinking):
        shrinking.fails(outcome.asked, part)
    divide(shrinking)
    shrinking.calm()
    divide(shrinking)
    return shrinking.best


def without_kinds(actions: Sequence[Action], shrinking: Shrinking) -> Iterator[list[int]]:
    """The best part without its late actions, then without each of its kinds."""
    kinds = {action.number: action.kind for action in actions}
    ends = {action.number: action.at for action in actions}
    assert shrinking.best.violation is not None
    end = shrinking.best.violation.at
    yield [number for number in shrinking.actions() if ends[number] <= end]
    for kind in sorted(set(kinds.values())):
        yield [number for number in shrinking.actions() if kinds[number] != kind]


def divide(shrinking: Shrinking) -> None:
    """Leave out pieces, smaller and smaller, until none of one action can go."""
    size = (len(shrinking.actions()) + 1) // 2
    while size and shrinking.runs_left:
        at = 0
        while at < len(shrinking.actions()) and shrinking.runs_left:
            actions = shrinking.actions()
            if not shrinking.fails(shrinking.best.asked, actions[:at] + actions[at + size :]):
                at += size
        size //= 2
