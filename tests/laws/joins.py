"""The laws of joining: every two stores of one history are joined and held against the oracle's united set.

Rules, for every two causally closed sets of transactions; each is a law with a name that a violation carries:
- *join*: the join of what two stores hold is what a store holds that was delivered both their sets: canonical
  state, visible value and digest;
- *causality*, *delivery*: the join takes the records that are due and no others;
- *idempotence*: a record that either of the two had applied is known to it;
- *tail*: a snapshot and the records behind it give what all records give;
- *knowledge*: the join knows what a store knows that was delivered both sets: version vector and author vectors.
  So the two cannot be told apart, and joining is idempotent, commutative and associative; `check_three` nests joins
  all the same;
- *author*: an author that is brought up to date by joins writes the records that it writes after deliveries.

Not here: the laws of delivery, which `checker` has. A case is a comparison, as there.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from typing import cast

from tests.laws import oracle
from tests.laws.checker import Count, Laws, Run
from tests.laws.engine import Joiner, Store
from tests.laws.histories import ORIGINS, History, closed_sets

NOBODY = bytes(16)
"""The origin of stores that write nothing."""

STORES_JOINED = 6


class JoinLaws(Laws):
    """The laws of joining over one engine, with a count of what was checked."""

    def check(self, history: History, orders: Iterable[tuple[int, ...]] | None = None) -> Run:
        """Hold every join of two stores of a history against the oracle.

        Raises:
            Violation: A law is broken.
        """
        return self.check_by(history, JoinRun.join_two)

    def check_three(self, histories: Iterable[History]) -> Count:
        """The same for three stores, whichever two are joined first."""
        for history in histories:
            self.check_by(history, JoinRun.join_three)
        return self.count

    def check_by(self, history: History, join: Callable[[JoinRun], None]) -> Run:
        """Write a history, then join."""
        self.count.histories += 1
        run = JoinRun(self, history)
        try:
            run.write()
            join(run)
            run.write_after_joins()
        finally:
            run.close()
        return run


class JoinRun(Run):
    """The joins of one history on one engine."""

    def __init__(self, laws: JoinLaws, history: History) -> None:
        super().__init__(laws, history)
        self.joiner = cast("Joiner", laws.engine)
        self.sets = list(closed_sets([(event.store, event.observed) for event in history.events]))
        self.stores_holding: dict[frozenset[int], Store] = {}

    # --- the stores ---

    def holding(self, applied: frozenset[int]) -> Store:
        """The store that was delivered exactly a set of records; joined with others, never into."""
        known = self.stores_holding.get(applied)
        if known is None:
            known = self.open(NOBODY, 0) if not applied else self.copy(applied - {max(applied)})
            if applied:
                self.deliver(known, max(applied))
            self.stores_holding[applied] = known
        return known

    def copy(self, applied: frozenset[int]) -> Store:
        """Another such store, to be joined into."""
        self.opened.append(self.joiner.copy(self.holding(applied)))
        return self.opened[-1]

    def truth(self, applied: frozenset[int]) -> bytes:
        """The state that a set of records must give."""
        return oracle.canonical(self.oracle.truth(applied))

    # --- the passes ---

    def join_two(self) -> None:
        """Each store with each, with itself too; what is missing then is delivered."""
        for ours, theirs in itertools.product(self.sets, repeat=2):
            if ours | theirs:
                where = f"{sorted(ours)} joined with {sorted(theirs)}"
                store = self.copy(ours)
                self.join(store, self.holding(theirs), ours | theirs, where)
                self.check_causality(store, ours | theirs)
                self.check_known(store, ours | theirs, where)
                is_told_apart = self.is_told_apart(store, ours | theirs)
                self.check_tail(store, ours | theirs, where)
                if is_told_apart:
                    self.fail("knowledge", f"{where}, and one can tell")

    def join_three(self) -> None:
        """Each store with each two others: (first and second) and third, first and (second and third)."""
        for first, second, third in itertools.product(self.sets, repeat=3):
            everything = first | second | third
            if everything:
                where = f"{sorted(first)}, {sorted(second)} and {sorted(third)} joined"
                left, right, store = self.copy(first), self.copy(second), self.copy(first)
                self.joiner.join(left, self.holding(second))
                self.join(left, self.holding(third), everything, where)
                self.joiner.join(right, self.holding(third))
                self.join(store, right, everything, where)

    def join_some(self, choose: random.Random) -> None:
        """A few stores, any two of them until one is left; what is missing then is delivered."""
        sets = choose.sample(self.sets, min(len(self.sets), STORES_JOINED))
        stores = [(self.copy(applied), applied) for applied in sets]
        while len(stores) > 1:
            choose.shuffle(stores)
            (store, ours), (other, theirs) = stores.pop(), stores.pop()
            self.join(store, other, ours | theirs, f"{sorted(ours)} joined with {sorted(theirs)}")
            stores.append((store, ours | theirs))
        [(store, applied)] = stores
        self.check_tail(store, applied, "all joined")

    def write_after_joins(self) -> None:
        """Everything is written once more, by authors who get by joins what they got by deliveries."""
        authors = {at: self.open(ORIGINS[at], self.history.clocks[at]) for at in self.stores}
        for number, event in enumerate(self.history.events):
            author = authors[event.store]
            self.joiner.join(author, self.holding(event.observed))
            if self.engine.originate(author, event.actor, event.operations) != self.records[number]:
                self.fail("author", f"event {number} gives another record after joins than after deliveries")

    # --- the laws ---

    def join(self, store: Store, other: Store, applied: frozenset[int], where: str) -> None:
        """Join two stores that come to a set, and compare."""
        self.laws.count.joins += 1
        self.joiner.join(store, other)
        self.compare(store, applied, where, law="join")

    def is_told_apart(self, store: Store, applied: frozenset[int]) -> bool:
        """Whether a store knows anything else than one that was delivered a set."""
        return self.joiner.knowledge(store) != self.joiner.knowledge(self.holding(applied))

    def check_known(self, store: Store, applied: frozenset[int], where: str) -> None:
        """Whatever either of the two had applied is not applied again."""
        for number in applied - self.silent:
            if self.engine.deliver(store, self.records[number]):
                self.fail("idempotence", f"{where}, and event {number} was applied once more")

    def check_tail(self, store: Store, applied: frozenset[int], where: str) -> None:
        """What is missing comes by delivery."""
        everything = frozenset(range(len(self.records)))
        if applied != everything:
            for number in sorted(everything - applied):
                self.deliver(store, number)
            self.compare(store, everything, f"{where}, and the rest delivered", law="tail")
