"""Shrinking: a failing world becomes small, fails in the same way, and its command plays it again."""

from __future__ import annotations

import re

import pytest

from crdtstore.sim.parameters import Asked, draw_parameters
from crdtstore.sim.play import WHOLE, Chosen, Outcome, play
from crdtstore.sim.report import parse_numbers, replay_command
from crdtstore.sim.shrink import shrink
from crdtstore.sim.world import Violation
from tests.sim.planted import receiver_decides_what_was_observed

ASKED = Asked(operations=200)


def failing(plant: object, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The first world that notices a planted bug."""
    plant(monkeypatch)  # type: ignore[operator]
    return next(
        outcome
        for seed in range(60)
        if not draw_parameters(seed, ASKED).is_forked and (outcome := play(seed, ASKED)).violation is not None
    )


def test_a_planted_bug_is_shown_by_a_few_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = failing(receiver_decides_what_was_observed, monkeypatch)
    small = shrink(outcome)
    assert outcome.violation is not None
    assert small.violation is not None
    assert small.violation.promise == outcome.violation.promise
    assert small.actions <= 12
    assert small.actions < outcome.actions // 10
    only = re.search(r"--only (\S+)", replay_command(small))
    assert only is not None
    assert play(small.seed, small.asked, Chosen(parse_numbers(only[1]))) == small


def outcome_of(seed: int, asked: Asked, chosen: Chosen, *, is_broken: bool) -> Outcome:
    """An outcome that was not played."""
    violation = Violation("promise", "what", 10**9, 1) if is_broken else None
    actions = len(chosen.only or ())
    return Outcome(seed, asked, chosen, draw_parameters(seed, asked), "", 1, actions, {}, {}, violation)


def test_what_is_left_is_what_is_needed() -> None:
    """A player that fails when three actions are there: just these are left, and the weather is calm."""
    needed = frozenset({3, 50, 51})
    played = []

    def player(seed: int, asked: Asked, chosen: Chosen) -> Outcome:
        played.append(chosen)
        return outcome_of(seed, asked, chosen, is_broken=needed <= (chosen.only or frozenset()))

    small = shrink(outcome_of(1, ASKED, WHOLE, is_broken=True), player)
    assert small.chosen.only == needed
    assert (small.asked.loss, small.asked.duplication, small.asked.reorder) == (0.0, 0.0, 0.0)
    assert len(played) < 200


def test_shrinking_is_bounded() -> None:
    played = []

    def player(seed: int, asked: Asked, chosen: Chosen) -> Outcome:
        played.append(chosen)
        return outcome_of(seed, asked, chosen, is_broken=len(chosen.only or ()) > 150)

    small = shrink(outcome_of(1, ASKED, WHOLE, is_broken=True), player, runs=20)
    assert len(played) == 20
    assert small.actions > 150
