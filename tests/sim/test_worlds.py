"""Worlds: a million events of the unbroken engine break no promise, and every kind of fault was among them."""

from __future__ import annotations

import pytest

from crdtstore.sim.parameters import Asked
from crdtstore.sim.play import Outcome, play
from crdtstore.sim.report import Summary, replay_command
from crdtstore.sim.run import run

WORLDS = 178
EVENTS_MIN = 1_000_000

FAULTS = {
    "backup",
    "clock",
    "clone",
    "crash",
    "crash-at-start",
    "crash-in-commit",
    "cut off",
    "disk crash-after",
    "disk crash-before",
    "disk fails-unwritten",
    "disk fails-written",
    "disk full",
    "duplicated",
    "found",
    "held up",
    "leave",
    "lost",
    "one-way",
    "partition",
    "reopen",
    "restore",
    "silent-restore",
    "trim",
}

FOLLOWED = {
    "acknowledged and lost with a disk",
    "documents joined",
    "given up",
    "late answer",
    "log entries forgotten",
    "nobody there",
    "sent again",
    "snapshots joined",
    "transactions rolled back",
    "writes lost before their commit",
}
"""What must have come of the faults."""


def summed(seeds: range) -> Summary:
    """Play worlds in two processes."""
    summary = Summary()
    for outcome in run(seeds, processes=2):
        summary.add(outcome)
    return summary


def told(broken: list[Outcome]) -> str:
    """What is broken, and how it is played again."""
    return "\n".join(f"{outcome.violation}: {replay_command(outcome)}" for outcome in broken)


@pytest.mark.timeout(1_500)
def test_a_million_events_break_no_promise() -> None:
    summary = summed(range(WORLDS))
    assert not summary.broken, told(summary.broken)
    assert summary.events >= EVENTS_MIN
    assert summary.worlds == WORLDS
    assert summary.forked >= WORLDS // 20
    assert set(summary.faults) == FAULTS
    assert {kind for kind in FOLLOWED if not summary.counts[kind]} == set()


def test_a_mesh_converges_under_loss_and_partitions() -> None:
    outcome = play(1, Asked(stores=20, operations=4_000, loss=0.2, partitions=3))
    assert outcome.violation is None, told([outcome])
    assert outcome.faults["partition"] == 3
    assert outcome.faults["lost"] > 500


@pytest.mark.slow
def test_a_large_mesh_converges_under_loss_and_partitions() -> None:
    """A seed whose clocks do not jump, so that nearly all writes are taken."""
    outcome = play(20, Asked(stores=50, operations=110_000, loss=0.2, partitions=3))
    assert outcome.violation is None, told([outcome])
    assert outcome.faults["partition"] == 3
    assert outcome.counts["operations acknowledged"] >= 100_000


def test_a_world_without_faults_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.sim.parameters.draw_faults", lambda _, size: size._replace(founded_later=0))
    calm = Asked(stores=2, operations=20, loss=0.0, duplication=0.0, reorder=0.0, partitions=0)
    violation = play(1, calm).violation
    assert violation is not None
    assert violation.promise == "a world injects faults"
