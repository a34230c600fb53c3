"""Running many worlds, in one process or several.

Rules: a world needs nothing but its seed and what was asked for, so workers are started afresh and given these.
Outcomes come in the order of the seeds, whoever played them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from crdtstore.sim.parameters import DRAWN, Asked
from crdtstore.sim.play import Outcome, play

WORLDS_AT_ONCE = 4
"""Worlds that a worker is given in one go."""


def run(seeds: Iterable[int], asked: Asked = DRAWN, *, processes: int = 1) -> Iterator[Outcome]:
    """Play the worlds of many seeds.

    Args:
        seeds: Which worlds.
        asked: What is set instead of drawn.
        processes: How many play; 1: this one.
    """
    if processes <= 1:
        yield from (play(seed, asked) for seed in seeds)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(partial(play, asked=asked), seeds, chunksize=WORLDS_AT_ONCE)
        finally:
            pool.shutdown(cancel_futures=True)
