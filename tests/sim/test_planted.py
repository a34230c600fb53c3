"""Every planted bug is noticed by one of its first worlds; without a bug the same worlds notice nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from crdtstore.sim.parameters import Asked, draw_parameters
from crdtstore.sim.play import Outcome, play
from crdtstore.sim.report import replay_command
from tests.laws.conftest import use_core
from tests.sim.planted import IN_PROTOCOL, SHOWS, Planted
from tests.sim.planted_merges import IN_MERGE

ASKED = Asked(operations=100)
WORLDS_EACH_MAX = 40
WORLDS_MAX = 400

NOTICED: dict[str, tuple[Planted, int, int]] = {}
"""Of each bug the world that noticed it, and how many had been played then."""


def seeds(planted: Planted) -> Iterator[int]:
    """The first worlds that can show a bug."""
    fitting = (seed for seed in range(10_000) if planted.shows_in(draw_parameters(seed, ASKED)))
    return islice(fitting, WORLDS_EACH_MAX)


def first_noticed(planted: Planted) -> tuple[int, Outcome | None]:
    """How many worlds were played, and the one that noticed."""
    number = 0
    for number, seed in enumerate(seeds(planted), 1):
        outcome = play(seed, ASKED)
        if outcome.violation is not None:
            return number, outcome
    return number, None


@pytest.mark.parametrize("planted", [*IN_PROTOCOL, *IN_MERGE], ids=lambda planted: planted.plant.__name__)
def test_a_bug_is_noticed(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    if planted.core:
        use_core(planted.core, monkeypatch)
    planted.plant(monkeypatch)
    worlds, outcome = first_noticed(planted)
    assert outcome is not None, f"not noticed in {worlds} worlds"
    NOTICED[planted.plant.__name__] = planted, outcome.seed, worlds


def test_all_bugs_together_take_few_worlds() -> None:
    """Runs after the others, in their order; alone it has nothing to add up."""
    assert sum(worlds for _, _, worlds in NOTICED.values()) <= WORLDS_MAX


def test_there_are_enough_bugs_of_both_kinds() -> None:
    names = {planted.plant.__name__ for planted in (*IN_PROTOCOL, *IN_MERGE)}
    assert len(names) == len(IN_PROTOCOL) + len(IN_MERGE)
    assert len(IN_PROTOCOL) >= 20
    assert len(IN_MERGE) >= 8


def noticing(core: str) -> set[int]:
    """The worlds that noticed the bugs of a core just now; before any was, the first one of each kind."""
    first = {next(seeds(Planted(lambda _: None, worlds=worlds))) for worlds in SHOWS}
    return {seed for planted, seed, _ in NOTICED.values() if planted.core == core} or first


@pytest.mark.parametrize("core", ["", "plain"])
def test_without_a_bug_the_same_worlds_notice_nothing(core: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ones before them noticed nothing with the bug."""
    if core:
        use_core(core, monkeypatch)
    for seed in sorted(noticing(core)):
        outcome = play(seed, ASKED)
        assert outcome.violation is None, f"{outcome.violation}: {replay_command(outcome)}"
