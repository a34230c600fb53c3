"""The world: one heap of events, one time, and everything that happens in its order; one seed is one world.

Rules: an event is a plan's action or follows from one, and runs alone. What it did is noted, and every note goes into
the trace hash, so that two runs that differ anywhere differ in it. The first promise found broken ends the world.
Whatever a store does runs under `at`, so that a crash in the middle of it is that store's own, and what it logged and
acknowledged is in the ledger before the next event.

Not here: what actions do (`acts`), conversations (`talks`), the end (`settle`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple, NoReturn

from crdtstore.command.result import Written
from crdtstore.crdt.actor import make_actor
from crdtstore.crdt.scope import WHOLE, Scope, make_scope
from crdtstore.errors import CrdtStoreError, StoreError, StoreFenced, StoreFull
from crdtstore.sim.clock import WallClock, WorldTime
from crdtstore.sim.disk import Crash, Disk
from crdtstore.sim.ledger import Ledger
from crdtstore.sim.network import Network, Weather
from crdtstore.sim.node import Asked, Node
from crdtstore.sim.oracle import Oracle
from crdtstore.sim.parameters import Parameters
from crdtstore.sim.plan import Action
from crdtstore.sim.randomness import generator
from crdtstore.sim.workload import collection_of, tallied

CLIENT_SITE = 1_000
"""Sites from here on are clients'; below are stores'."""

FIRST_NUMBER = 1 << 32
"""Numbers from here on are not of actions: of events that follow from others, and of the exchanges at the end."""

REOPEN_MILLISECONDS = 50
"""How long it takes until a store whose commit failed is opened again."""


class Violation(NamedTuple):
    """A promise that was broken, how, and when."""

    promise: str
    what: str
    at: int
    event: int


class Broken(Exception):
    """Ends a world; `violation` says why."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.promise}: {violation.what}")
        self.violation = violation


class World:
    """All stores, clients and links of one seed."""

    def __init__(self, seed: int, parameters: Parameters, *, is_told: bool = False) -> None:
        self.seed = seed
        self.parameters = p = parameters
        self.time = WorldTime()
        self.network = Network(Weather(p.loss, p.duplication, p.reorder, p.latency))
        self.ledger = Ledger(self.complain, forks=p.is_forked)
        self.oracle = Oracle(self.ledger)
        self.heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self.order = FIRST_NUMBER
        self.events = 0
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.hash = blake2b(digest_size=16)
        self.told: list[tuple[int, str, tuple[Any, ...]]] | None = [] if is_told else None
        self.numbers = FIRST_NUMBER
        self.diverged: dict[tuple[int, int], tuple[tuple[object, ...], int]] = {}
        self.nodes = [self.make_node(number) for number in range(p.all_stores)]

    def make_node(self, number: int) -> Node:
        """A machine with an empty disk; how it is made does not depend on the others."""
        random, p = generator(f"machine {number}", self.seed), self.parameters
        skew = random.randint(-p.skew, p.skew)
        keeps = not (p.stores > number >= p.stores - p.careless_disks)
        is_slow = number < p.slow_disks
        wall = WallClock(self.time, skew, p.clock_grain)
        scope = self.draw_scope(random) if number and number <= p.scoped else WHOLE
        return Node(number, wall, random, self.ledger, keeps, is_slow, scope, Disk(keeps=keeps))

    def draw_scope(self, random: Random) -> Scope:
        """Some of the collections, at least one."""
        names = [collection_of(number) for number in range(self.parameters.collections)]
        return make_scope(random.sample(names, random.randint(1, len(names))))

    # --- time ---

    def begin(self, actions: Sequence[Action], acts: Mapping[str, Callable[[World, Action], None]]) -> None:
        """Found the stores that are there from the start, and put a plan's actions on the heap."""
        for node in self.nodes[: self.parameters.stores]:
            self.start(node)
        for action in actions:
            heappush(self.heap, (action.at, action.number, acts[action.kind], (self, action)))

    def later(self, milliseconds: int, do: Callable[..., None], *with_: Any) -> None:
        """Have something happen after a while."""
        self.order += 1
        heappush(self.heap, (self.time.now + milliseconds, self.order, do, with_))

    def next_number(self) -> int:
        """A number for an exchange that no action asked for."""
        self.numbers += 1
        return self.numbers

    def run(self) -> None:
        """Let everything happen that is on the heap, and what follows from it."""
        heap = self.heap
        while heap:
            at, _, do, with_ = heappop(heap)
            self.time.now = max(self.time.now, at)
            self.events += 1
            do(*with_)

    # --- notes ---

    def note(self, kind: str, *values: Any) -> None:
        """Note what an event did; every note counts."""
        self.counts[kind] += 1
        self.hash.update(f"{self.time.now} {kind} {values!r}\n".encode())
        if self.told is not None:
            self.told.append((self.time.now, kind, values))

    def complain(self, promise: str, what: str) -> NoReturn:
        """End the world: a promise was broken."""
        raise Broken(Violation(promise, what, self.time.now, self.events))

    def surprise(self, error: BaseException, where: str) -> NoReturn:
        """End the world: something was raised that nothing explains."""
        self.complain("no surprise", f"{where}: {type(error).__name__}: {error}")

    # --- stores ---

    def start(self, node: Node, *, renew: bool = False) -> None:
        """Start a store's process; a fault of the disk may keep it from starting."""
        try:
            node.start(origin=make_actor(node.number, 1), renew=renew)
        except (Crash, StoreError) as error:
            if not node.disk.injected:
                self.surprise(error, f"start of store {node.number}")
            self.crash(node, REOPEN_MILLISECONDS, "crash-at-start", renew=True)
        else:
            self.note("start", node.number, node.own_number)

    def running(self, number: int) -> Node | None:
        """A store that is up."""
        node = self.nodes[number]
        return node if node.is_up else None

    def at(self, node: Node, do: Callable[[], None]) -> bool:
        """Run something of a store's; says whether it is still up after it."""
        try:
            do()
        except Crash:
            self.crash(node, node.down_for, "crash-in-commit")
            return False
        except (StoreFull, StoreFenced) as error:
            self.note("disk error", node.number, error.code)
        self.take_outcomes(node)
        if node.store is not None and node.store.sequencer.fenced:
            self.crash(node, REOPEN_MILLISECONDS, "reopen", renew=True)
        return node.is_up

    def crash(self, node: Node, milliseconds: int, why: str, *, renew: bool = False) -> None:
        """Stop a machine, and have it start again after a while."""
        self.take_outcomes(node, is_crash=True)
        for fault in node.disk.injected:
            self.faults[f"disk {fault.value}"] += 1
        self.counts["writes lost before their commit"] += len(node.asked)
        lost = node.stop()
        self.faults[why] += 1
        self.counts["transactions rolled back"] += lost
        self.note(why, node.number, lost)
        self.later(milliseconds, self.restart, node, renew)

    def restart(self, node: Node, renew: bool) -> None:  # noqa: FBT001  what the heap holds is positional
        """Start a machine again, unless it was started or taken away meanwhile."""
        if node.is_founded and not node.is_gone and not node.is_up:
            self.start(node, renew=renew)

    # --- outcomes ---

    def take_outcomes(self, node: Node, *, is_crash: bool = False) -> None:
        """Enter what a store logged and what it told its clients."""
        fresh = node.absorb()
        if not node.asked:
            if fresh and not is_crash:
                self.complain("a transaction has an author", f"store {node.number} logged {fresh} for nobody")
            return
        unknown = is_crash
        waiting = []
        for asked in node.asked:
            if not asked.future.done():
                waiting.append(asked)
            else:
                unknown |= self.take_outcome(node, asked, fresh)
        node.asked = waiting
        if fresh and not unknown:
            self.complain("a refused write leaves nothing", f"store {node.number} logged {sorted(fresh)} all the same")

    def take_outcome(self, node: Node, asked: Asked, fresh: set[tuple[int, int]]) -> bool:
        """Enter the outcome of one write; says whether it is unknown."""
        error = asked.future.exception()
        if error is not None:
            if not isinstance(error, CrdtStoreError):
                self.surprise(error, f"write at store {node.number}")
            self.note("refused", node.number, asked.client, error.code)
            return isinstance(error, StoreError)
        written: Written = asked.future.result()
        if written.txn > len(node.history.entries):
            self.complain("an acknowledged write is on disk", f"txn {written.txn} of store {node.number} is not")
        self.counts["operations acknowledged"] += len(asked.steps)
        self.note("acknowledged", node.number, asked.client, written.txn)
        node.tokens[asked.client] = written.txn
        place = node.history.entries[written.txn - 1][0] if written.txn else None
        if place in fresh:
            fresh.discard(place)
            transaction = self.ledger.logs[place[0]][place[1] - 1]
            transaction.acknowledged = True
            transaction.tally = tallied(asked.steps, written.results)
        return False


def actor_of(client: int) -> bytes:
    """A client's name."""
    return make_actor(CLIENT_SITE + client, 0)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the engine from logging the faults that a world injects."""
    logger = logging.getLogger("crdtstore")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
