"""The plan of a world: everything that comes from outside, as a list of timed actions, from seed and parameters alone.

Rules: an action knows nothing of what the others did: one that makes no sense when its time comes (a write to a store
that is down) does nothing. So any part of a plan is a plan, and a failing one can be cut down; each action keeps its
number, which also seeds what is random in it. Actions of one kind are drawn from a generator of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from random import Random
from typing import Any, Final, NamedTuple

from crdtstore.sim.disk import Fault
from crdtstore.sim.parameters import Parameters
from crdtstore.sim.randomness import generator
from crdtstore.sim.workload import collection_of, document_of, draw_steps, found_tally

CLOCK_JUMP_MAX: Final = 1_000_000
"""Milliseconds: well beyond what stores accept of each other."""

CRASH_COMMITS_MAX: Final = 6
"""A planned fault of the disk strikes at one of the next so many commits."""


class Action(NamedTuple):
    """Something that comes from outside, at a time, to a store; `data` depends on the kind."""

    number: int
    at: int
    kind: str
    store: int
    data: tuple[Any, ...] = ()


def make_plan(seed: int, parameters: Parameters) -> list[Action]:
    """The whole plan of a seed, in the order of time."""
    drawn = sorted(chain.from_iterable(draw_kinds(seed, parameters)), key=lambda action: action[:2])
    founding = Action(0, 0, "write", 0, (0, found_tally(), 0))
    return [founding, *(Action(number, *action) for number, action in enumerate(drawn, 1))]


def draw_kinds(seed: int, parameters: Parameters) -> Iterator[Iterable[tuple[int, str, int, tuple[Any, ...]]]]:
    """The actions of each kind, without their numbers."""
    p = parameters
    for kind, count, draw in (
        ("write", p.operations // p.operations_per_write, draw_write),
        ("read", p.reads, draw_read),
        ("exchange", p.exchanges, draw_exchange),
        ("inspect", p.inspections, draw_nothing),
        ("partition", p.partitions, draw_partition),
        ("one-way", p.one_way_partitions, draw_partition),
        ("clock", p.clock_jumps, draw_jump),
        ("crash", p.crashes, draw_duration),
        ("disk", p.commit_faults, draw_fault),
        ("trim", p.trims, draw_trim),
        ("backup", p.backups, draw_nothing),
        ("restore", p.restores, draw_nothing),
        ("silent-restore", p.silent_restores, draw_nothing),
        ("found", p.founded_later, draw_founding),
        ("leave", p.departures, draw_departure),
    ):
        random = generator(kind, seed)
        yield [(random.randrange(1, p.length), kind, *draw(random, p)) for _ in range(count)]


def draw_store(random: Random, p: Parameters) -> int:
    """One of the stores."""
    return random.randrange(p.all_stores)


def draw_nothing(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """An action that needs nothing else."""
    return draw_store(random, p), ()


def draw_client(random: Random, p: Parameters) -> tuple[int, int]:
    """(store, client): most clients stay at one store, some roam."""
    client = random.randrange(p.clients)
    roams = random.random() < p.roaming
    store = draw_store(random, p)
    return store if roams else client % p.stores, client


def draw_write(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """A client, what it writes, and what chance it takes of looking at its write at once."""
    store, client = draw_client(random, p)
    return store, (client, draw_steps(random, p), random.randrange(4))


def draw_read(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """A client and a document; some reads are compared with the oracle."""
    store, client = draw_client(random, p)
    collection = collection_of(random.randrange(p.collections))
    return store, (client, collection, document_of(random.randrange(p.documents)), random.randrange(16) == 0)


def draw_exchange(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """Another store, pull and push, seconds to wait for news, and how often a request is sent again."""
    store = draw_store(random, p)
    peer = (store + random.randrange(1, p.all_stores)) % p.all_stores if p.all_stores > 1 else store
    pull, push = random.choice(((True, True), (True, True), (True, False), (False, True)))
    wait = random.choice((0.0, 0.0, 0.0, 2.0))
    return store, (peer, pull, push, wait, random.choice((0, 1, 3)))


def draw_duration(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """How long a store is down."""
    return draw_store(random, p), (random.randrange(1, max(2, p.length // 10)),)


def draw_partition(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """Which stores stand on the far side, and for how long."""
    far = tuple(store for store in range(p.all_stores) if random.random() < 0.5)
    return 0, (far, random.randrange(1, max(2, p.length // 2)))


def draw_jump(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """By how many milliseconds a clock jumps."""
    most = random.choice((1_000, CLOCK_JUMP_MAX))
    return draw_store(random, p), (random.randint(-most, most),)


def draw_fault(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """What spoils a commit, after how many that pass, and how long the store is down then."""
    fault = random.choice(list(Fault))
    return draw_store(random, p), (random.randrange(CRASH_COMMITS_MAX), fault, random.randrange(1, p.length // 10))


def draw_trim(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """What share of its log a store forgets, and whether it cares for what peers acknowledged."""
    return draw_store(random, p), (random.choice((0.5, 1.0)), random.random() < 0.5)


def draw_founding(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """A store that was not there before, and the store of which it is a clone, if it is one."""
    store = random.randrange(p.stores, p.all_stores)
    return store, (random.randrange(p.stores) if random.random() < 0.5 else None,)


def draw_departure(random: Random, p: Parameters) -> tuple[int, tuple[Any, ...]]:
    """Store 0, which holds the tally, stays."""
    return random.randrange(1, p.all_stores) if p.all_stores > 1 else 0, ()
