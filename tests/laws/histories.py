"""Every small history: which operations, at which stores, by which actors, and who had seen what.

Rules: a history is data. Its events are numbered in one causal order; each names the events that its store
had applied when it was written. `shapes` gives every placement of events on stores with every causally
closed set that each author may have seen, stores being told apart only by when they first write. Sampling
is seeded, so that a count of cases is the same on every machine.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple, TypeAlias

from tests.laws.operations import (
    REGISTER,
    Attach,
    Bury,
    Increment,
    Initial,
    Mark,
    Operation,
    Put,
    Remove,
    Restart,
)

Placed: TypeAlias = tuple[int, frozenset[int]]
Shape: TypeAlias = tuple[Placed, ...]
Operations: TypeAlias = tuple[Operation, ...]

STORES = 3
BASE_STORE = STORES
"""The base is written at a store of its own, which writes nothing else."""

ORIGINS = tuple(bytes([*bytes(7), site, *bytes(8)]) for site in (0x10, 0x20, 0x30, 0x18))
"""Stores 0 to 2 in ascending order; the base's origin sorts among them, not before them."""

ROAMER = bytes([*bytes(7), 0x77, *bytes(8)])
CLIENTS = tuple(bytes([*bytes(7), site, *bytes(8)]) for site in (0xA2, 0xA1, 0xA3))
BASE_ACTOR = CLIENTS[0]


class Event(NamedTuple):
    """One transaction: where, by whom, having applied what, and its operations."""

    store: int
    actor: bytes
    observed: frozenset[int]
    operations: tuple[Operation, ...]


class History(NamedTuple):
    """Events in causal order, and the milliseconds that each store's clock stands at."""

    clocks: tuple[int, ...]
    events: tuple[Event, ...]


class Mode(NamedTuple):
    """How clocks stand and who writes: `actor` is given the number of the event and its store."""

    name: str
    clocks: tuple[int, ...]
    actor: Callable[[int, int], bytes]


TIED = (100, 100, 100, 50)

MODES = (
    Mode("tie", TIED, lambda _, store: ORIGINS[store]),
    Mode(
        "tie reversed",
        TIED,
        lambda _, store: CLIENTS[0] if store == 0 else bytes([*bytes(7), 9 - store, *bytes(8)]),
    ),
    Mode("roaming actor", TIED, lambda _number, _store: ROAMER),
    Mode("skew, two clients", (500, 100, 300, 200), lambda number, _: CLIENTS[number % 2]),
)
"""Equal clocks with actors in the order of origins, or against it; one client at all stores, so that only
the origin tells two stamps apart; and clocks apart, with two clients who take turns at whichever store."""

BASES: tuple[tuple[Operation, ...], ...] = (
    (),
    (Put(("d", "x"), 0), Increment(("d", "c"), 0.1)),
    (Mark(("d", "m")), Put(("d", "m", "a"), 1), Restart(("d", "c"), 100)),
)
"""Nothing; a register and an implicit counter; a map and an explicit counter."""

MENU: tuple[Operations, ...] = (
    (Put(("d", "x"), 1),),
    (Put(("d", "x"), "other"),),
    (Put(("d", "m", "a"), 3),),
    (Put(("d", "m"), 7),),
    (Put(("d", "x"), 8), Put(("d", "mm"), 9)),
    (Remove(("d", "m")), Put(("d", "m", "a"), 4), Increment(("d", "m", "n"), 2)),
    (Mark(("d", "m")),),
    (Remove(("d", "x")),),
    (Remove(("d", "m")),),
    (Remove(("d",)),),
    (Remove(("d",), frozenset((REGISTER,))),),
    (Increment(("d", "c"), 0.2),),
    (Increment(("d", "c"), -0.7),),
    (Increment(("d", "x"), 4),),
    (Increment(("d", "m", "n"), 1),),
    (Restart(("d", "c"), 10),),
    (Restart(("d", "x"), 5),),
    (Attach(("d", "x"), "file"),),
    (Initial(Put(("d", "x"), 6)), Initial(Put(("d", "m", "a"), 6))),
    (Initial(Restart(("d", "c"), 7)), Initial(Attach(("d", "x"), "initial"))),
    (Bury(("d",)),),
)
"""Transactions that meet in few places: two values, a map and a register at one path, a map replaced in one
go, a key that starts with another's letters, counters beside registers and inside maps, sums that depend on
the order of addition, an attachment beside values, initial values and counters, and a grave."""


def shapes(size: int) -> Iterator[Shape]:
    """Every way in which `size` events can be placed and have seen each other."""

    def grow(placed: Shape) -> Iterator[Shape]:
        if len(placed) == size:
            yield placed
            return
        used = 1 + max((store for store, _ in placed), default=-1)
        for store in range(min(used + 1, STORES)):
            for seen in closed_sets(placed):
                if all(number in seen for number, (other, _) in enumerate(placed) if other == store):
                    yield from grow((*placed, (store, seen)))

    return grow(())


def closed_sets(placed: Sequence[Placed]) -> Iterator[frozenset[int]]:
    """Every set of events that holds all that its members had seen."""
    for count in range(len(placed) + 1):
        for chosen in itertools.combinations(range(len(placed)), count):
            if all(placed[number][1] <= set(chosen) for number in chosen):
                yield frozenset(chosen)


def build(shape: Shape, written: Sequence[Operations], mode: Mode, base: int) -> History:
    """One history: the base first, seen by all, then the events of a shape."""
    before: tuple[Event, ...] = ()
    if BASES[base]:
        before = (Event(BASE_STORE, BASE_ACTOR, frozenset(), BASES[base]),)
    shift = len(before)
    shared = frozenset(range(shift))
    events = [
        Event(
            store,
            mode.actor(number, store),
            shared | {seen + shift for seen in observed},
            operations,
        )
        for number, ((store, observed), operations) in enumerate(zip(shape, written, strict=True))
    ]
    return History(mode.clocks, (*before, *events))


def all_histories(size: int, menu: Sequence[Operations] = MENU) -> Iterator[History]:
    """Every history of `size` transactions from a menu: shapes, modes and bases in full."""
    for base, mode, shape in itertools.product(range(len(BASES)), MODES, tuple(shapes(size))):
        for written in itertools.product(menu, repeat=size):
            yield build(shape, written, mode, base)


@cache
def shuffled_histories(size: int, menu: tuple[Operations, ...]) -> Sequence[History]:
    """Every history of a size in a seeded order: what shows a bug is then not left to the end."""
    histories = list(all_histories(size, menu))
    random.Random(size).shuffle(histories)
    return histories


def sampled_histories(size: int, count: int, seed: int) -> Iterator[History]:
    """A seeded sample of `all_histories(size)`."""
    choose = random.Random(seed)
    every_shape = tuple(shapes(size))
    for _ in range(count):
        written = choose.choices(MENU, k=size)
        yield build(choose.choice(every_shape), written, choose.choice(MODES), choose.randrange(len(BASES)))


def causal_orders(events: Sequence[Event], applied: frozenset[int] = frozenset()) -> Iterator[tuple[int, ...]]:
    """Every order in which the events not yet applied may be delivered; neighbours share a prefix."""
    if len(applied) == len(events):
        yield ()
        return
    for number, event in enumerate(events):
        if number not in applied and event.observed <= applied:
            for rest in causal_orders(events, applied | {number}):
                yield (number, *rest)
