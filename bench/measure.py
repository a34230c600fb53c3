"""Measuring: sides that do the same work take turns, and what is compared was measured in the same round.

Rules:

- The unit is the process's CPU time, all threads and the kernel's share included. On a shared machine the wall
  clock adds the time of others, and to the longer side more of it, which would flatter the shorter.
- In each round every side runs once, and another one begins. A ratio is the median over the rounds of the
  ratios within a round; the garbage collector rests meanwhile.
- Only where both sides wait for the same disk, as durable commits do, wall time is taken: what a flush costs is
  waiting. Such a row says so in its unit.
- What a side prepares for a round is not measured. All of the work that follows is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from math import floor
from statistics import median
from time import perf_counter_ns, process_time_ns
from typing import Any, NamedTuple, TypeAlias

from bench.targets import TARGETS

Side: TypeAlias = Callable[[int], float]
"""Runs a round, whose number it is given, and returns what one operation cost."""

Times: TypeAlias = Mapping[str, Sequence[float]]
"""Side -> what one operation cost in each round."""


class Row(NamedTuple):
    """One line of a result: our value, against one peer's or alone; `holds` is None where nothing is bound."""

    id: str
    what: str
    ours: float
    peer: str | None
    peer_value: float | None
    ratio: float | None
    unit: str
    runs: int
    holds: bool | None


def cpu_microseconds(work: Callable[[], Any], operations: int) -> float:
    """Run a piece of work and return the CPU microseconds of one of its operations."""
    return microseconds(work, operations, process_time_ns)


def wall_microseconds(work: Callable[[], Any], operations: int) -> float:
    """The same in wall time, for work that waits for a disk."""
    return microseconds(work, operations, perf_counter_ns)


def microseconds(work: Callable[[], Any], operations: int, clock_ns: Callable[[], int]) -> float:
    """Run a piece of work by some clock."""
    gc.collect()
    gc.disable()
    try:
        begun = clock_ns()
        work()
        spent = clock_ns() - begun
    finally:
        gc.enable()
    return spent / operations / 1_000


def race(sides: Mapping[str, Side], rounds: int) -> dict[str, list[float]]:
    """Run every side once a round, another one first each time."""
    names = list(sides)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(sides[name](number))
    return times


def versus(row_id: str, peer: str, times: Times, ours: str, theirs: str, **sizes: Any) -> Row:
    """Make the row of one comparison.

    Args:
        row_id: Its target's name.
        peer: Who the peer is, for people.
        times: As `race` gave them.
        ours: Our side's name in it.
        theirs: The peer's.
        sizes: What the target's text names.
    """
    exact = median(their / our for our, their in zip(times[ours], times[theirs], strict=True))
    ratio = floor(exact * 100) / 100  # never rounded up to a bound that was missed
    value = median(times[ours])
    target = TARGETS[row_id]
    return Row(
        id=row_id,
        what=text_of(row_id, sizes),
        ours=round(value, 4),
        peer=peer,
        peer_value=round(median(times[theirs]), 4),
        ratio=ratio,
        unit=target.unit,
        runs=len(times[ours]),
        holds=target.holds(value, ratio),
    )


def counted(row_id: str, value: float, unit: str, runs: int, **sizes: Any) -> Row:
    """Make the row of a count that is judged by itself."""
    holds = TARGETS[row_id].holds(value, None)
    return Row(row_id, text_of(row_id, sizes), round(value, 1), None, None, None, unit, runs, holds)


def text_of(row_id: str, sizes: Mapping[str, Any]) -> str:
    """What a row measures, and its bound."""
    target = TARGETS[row_id]
    return f"{target.what.format(**sizes)}; target: {target.bound}"
