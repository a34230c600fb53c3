"""How worlds are told: numbers of actions, commands, sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import InvalidValue, LimitExceeded
from crdtstore.sim.parameters import Asked, draw_parameters
from crdtstore.sim.plan import make_plan
from crdtstore.sim.play import Chosen, play
from crdtstore.sim.report import SENTENCES, Summary, format_numbers, parse_numbers, replay_command, tell


@given(st.frozensets(st.integers(0, 300), max_size=60))
def test_numbers_read_as_they_were_written(numbers: frozenset[int]) -> None:
    assert parse_numbers(format_numbers(numbers)) == numbers


def test_numbers_are_written_as_ranges() -> None:
    assert format_numbers([5, 1, 2, 3, 9, 8]) == "1-3,5,8-9"
    assert format_numbers([]) == "none"


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1,,2", "1-2-3"])
def test_other_numbers_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_numbers(text)


def test_a_range_that_no_world_has_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        parse_numbers("1-99999999999999")


def test_a_command_names_all_that_a_world_needs() -> None:
    outcome = play(
        2, Asked(stores=3, operations=40, loss=0.0), Chosen(only=frozenset({0, 1, 2, 7}), without=frozenset({1}))
    )
    assert (
        replay_command(outcome)
        == "crdtstore sim replay 2 --stores 3 --operations 40 --loss 0.0 --only 0-2,7 --without 1"
    )


def test_every_note_has_a_sentence_and_writes_are_told_in_full() -> None:
    kinds: set[str] = set()
    for seed in range(12):
        outcome = play(seed, Asked(operations=120), is_told=True)
        kinds |= {kind for _, kind, _ in outcome.told}
        lines = list(tell(outcome.told, make_plan(seed, draw_parameters(seed, Asked(operations=120)))))
        assert len(lines) == len(outcome.told)
        assert "writes (action 0): Upsert(collection='c0', value={'n': 0}, id='tally'" in "\n".join(lines)
    assert kinds <= set(SENTENCES)
    assert len(kinds) > 20


def test_a_summary_adds_up() -> None:
    summary = Summary()
    outcomes = [play(seed, Asked(operations=40)) for seed in range(3)]
    for outcome in outcomes:
        summary.add(outcome)
    facts = summary.as_dict()
    assert facts["worlds"] == 3
    assert facts["events"] == sum(outcome.events for outcome in outcomes)
    assert facts["counts"]["write"] == sum(outcome.counts["write"] for outcome in outcomes)
    assert facts["injected"] == sum(sum(outcome.faults.values()) for outcome in outcomes)
