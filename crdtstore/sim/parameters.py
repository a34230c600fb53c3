"""What kind of world a seed gives: how large it is, and how much of each fault it has.

Rules: swarm testing. Each seed leaves out about half of the kinds of fault, so that those it has are not drowned by
those it has not: a world in which every store crashes all the time never gets far enough to trim a log. What a caller
asks for takes the place of what was drawn and changes no other draw, so a run and its replay agree.

Source: Groce et al., "Swarm Testing", 2012.
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

from crdtstore.sim.randomness import generator

MILLISECONDS_PER_ACTION = 25
"""How much time a world has for each of its actions, on average."""

TIES = 0.25
"""Share of worlds with one client who writes everywhere, while all clocks agree and stand still for a second."""

SMALL_BOUNDS_OPERATIONS_MAX = 5_000
"""A larger world meets the bounds as they are, and would take for ever with small ones."""


class Asked(NamedTuple):
    """What a caller sets instead of drawing it; None: drawn."""

    stores: int | None = None
    operations: int | None = None
    loss: float | None = None
    duplication: float | None = None
    reorder: float | None = None
    partitions: int | None = None


DRAWN: Final = Asked()
"""Nothing is set."""


class Parameters(NamedTuple):
    """One world's; counts are over the whole world, shares between 0 and 1, times in milliseconds."""

    stores: int
    founded_later: int
    operations: int
    operations_per_write: int
    collections: int
    scoped: int
    documents: int
    clients: int
    roaming: float
    reads: int
    exchanges: int
    inspections: int
    latency: int
    loss: float
    duplication: float
    reorder: float
    partitions: int
    one_way_partitions: int
    skew: int
    clock_grain: int
    clock_jumps: int
    crashes: int
    commit_faults: int
    slow_disks: int
    careless_disks: int
    trims: int
    backups: int
    restores: int
    silent_restores: int
    departures: int
    has_small_bounds: bool

    @property
    def actions(self) -> int:
        """About how many actions the plan has."""
        writes = self.operations // self.operations_per_write
        return writes + self.reads + self.exchanges + self.inspections

    @property
    def length(self) -> int:
        """The milliseconds that the world lasts before it settles."""
        return max(1_000, self.actions * MILLISECONDS_PER_ACTION)

    @property
    def all_stores(self) -> int:
        """Stores that are there from the start and those founded later."""
        return self.stores + self.founded_later

    @property
    def is_forked(self) -> bool:
        """Whether an operator restores backups and tells nobody: then histories may fork, but never silently."""
        return self.silent_restores > 0

    @property
    def has_ties(self) -> bool:
        """Whether one client writes everywhere, while all clocks agree."""
        return self.clients == 1 and self.roaming == 1.0 and self.skew == 0


def draw_parameters(seed: int, asked: Asked = DRAWN) -> Parameters:
    """The parameters of a seed's world.

    Args:
        seed: Any integer.
        asked: What is set instead.
    """
    random = generator("parameters", seed)
    drawn = draw_faults(random, draw_size(random, asked))
    set_here = {name: value for name, value in asked._asdict().items() if value is not None}
    return drawn._replace(**set_here)


def draw_size(random: Random, asked: Asked) -> Parameters:
    """The parameters of a world without faults."""
    stores, operations = random.randint(2, 7), random.choice((100, 200, 400, 800, 1_600))
    stores, operations = asked.stores or stores, asked.operations or operations
    per_write = max(random.choice((1, 1, 2)), operations // 5_000)
    writes = operations // per_write
    ties = random.random() < TIES
    return Parameters(
        stores=stores,
        founded_later=random.choice((0, 0, 1, 2)),
        operations=operations,
        operations_per_write=per_write,
        collections=random.randint(1, 3),
        scoped=random.choice((0, 0, 0, 1, 2)),
        documents=max(1 if ties else random.choice((1, 2, 4, 8)), operations // 500),
        clients=1 if ties else random.randint(1, 6),
        roaming=1.0 if ties else random.choice((0.0, 0.1, 0.5)),
        reads=writes * random.choice((1, 2, 4)),
        exchanges=max(writes // random.choice((1, 2, 4)), stores * random.choice((5, 10, 20))),
        inspections=10,
        latency=random.choice((2, 20, 200)),
        loss=0.0,
        duplication=0.0,
        reorder=0.0,
        partitions=0,
        one_way_partitions=0,
        skew=0 if ties else random.choice((0, 10, 1_000, 100_000)),
        clock_grain=random.choice((1_000, 3_000)) if ties else random.choice((1, 100, 10_000)),
        clock_jumps=0,
        crashes=0,
        commit_faults=0,
        slow_disks=0,
        careless_disks=0,
        trims=0,
        backups=0,
        restores=0,
        silent_restores=0,
        departures=0,
        has_small_bounds=operations <= SMALL_BOUNDS_OPERATIONS_MAX and random.random() < 0.5,
    )


def draw_faults(random: Random, size: Parameters) -> Parameters:
    """Add faults, leaving out about half of the kinds."""

    def count(most: int) -> int:
        drawn = random.randint(1, most)
        return drawn if random.random() < 0.5 else 0

    def share(most: float) -> float:
        drawn = random.uniform(0.02, most)
        return drawn if random.random() < 0.5 else 0.0

    some = max(4, size.operations // 50)
    restores = count(4)
    silent_restores = random.randint(1, 4) if random.random() < 0.125 else 0
    drawn = size._replace(
        loss=share(0.3),
        duplication=share(0.2),
        reorder=share(0.3),
        partitions=count(4),
        one_way_partitions=count(4),
        clock_jumps=count(6),
        crashes=count(min(some, 40)),
        commit_faults=count(min(some, 40)),
        slow_disks=count(size.stores),
        careless_disks=count(size.stores),
        trims=count(20),
        backups=4 * (restores + silent_restores),
        restores=restores,
        silent_restores=silent_restores,
        departures=count(2),
    )
    return without_losses(drawn) if drawn.scoped else drawn


def without_losses(drawn: Parameters) -> Parameters:
    """The same without machines that forget.

    A store of some collections has others' records only in part. Where it alone remembers one, no store of everything
    can ever have it again, nor what depends on it: such worlds need not come together.
    """
    return drawn._replace(careless_disks=0, restores=0, silent_restores=0, departures=0)
