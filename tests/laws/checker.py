"""The laws: one history is run through an engine in every causal order and held against the oracle.

Rules, each a law with a name that a violation carries:
- *state*: any store that has applied a set of transactions has the oracle's canonical state, whatever the
  order;
- *visible*: and the oracle's visible value;
- *digest*: digests are equal exactly where canonical states are;
- *own write*: an author sees what was just written;
- *idempotence*: a record delivered again changes nothing;
- *delivery*: a record is accepted when all is there that its author had seen;
- *causality*: a record is refused while anything is missing that its author had seen.
A case is one distinct sequence of deliveries whose outcome was compared; the base alone is none.

Not here: the join of two stores, which `joins` holds to the truth of the united sets.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NoReturn

from tests.laws import oracle
from tests.laws.engine import Engine, Record, Refused, Store
from tests.laws.histories import BASE_STORE, ORIGINS, History, causal_orders
from tests.laws.operations import ALL_TYPES, GRAVE, MAP, Path, Stamp

DIGESTS_REMEMBERED_MAX = 200_000
"""Canonical states whose digests are compared across histories before they are forgotten."""


class Violation(AssertionError):
    """A law was broken; carries the history, which can be pasted and run again."""

    def __init__(self, law: str, history: History, detail: str) -> None:
        super().__init__(f"The law '{law}' was broken: {detail}\n{describe(history)}\n{history!r}")
        self.law = law
        self.history = history


@dataclass(slots=True)
class Count:
    """What was done; a harness that silently tests nothing must be red."""

    histories: int = 0
    deliveries: int = 0
    joins: int = 0
    cases: int = 0

    def __str__(self) -> str:
        joins = f"{self.joins:,} joins, " if self.joins else ""
        return f"{self.histories:,} histories, {self.deliveries:,} deliveries, {joins}{self.cases:,} cases compared"


@dataclass(slots=True)
class Laws:
    """The laws over one engine, with a count of what was checked."""

    engine: Engine
    count: Count = field(default_factory=Count)
    digests: dict[bytes, bytes] = field(default_factory=dict)
    canonical_of: dict[bytes, bytes] = field(default_factory=dict)
    trace: blake2b = field(default_factory=blake2b)
    """Everything that the engine gave: equal for engines that give the same bytes."""

    def check(self, history: History, orders: Iterable[tuple[int, ...]] | None = None) -> Run:
        """Hold one history against the oracle.

        Args:
            history: What happened.
            orders: Delivery orders for a fresh store, each of all events; every causal one if left out.

        Raises:
            Violation: A law is broken.
        """
        self.count.histories += 1
        run = Run(self, history)
        try:
            run.write()
            run.deliver_in_orders(causal_orders(history.events) if orders is None else orders)
            run.catch_up()
        finally:
            run.close()
        return run

    def check_all(self, histories: Iterable[History]) -> Count:
        """Hold many histories against the oracle."""
        for history in histories:
            self.check(history)
        return self.count

    def check_digest(self, state: bytes, digest: bytes) -> bool:
        """Whether a digest stands for exactly one canonical state, over all that was seen lately."""
        if len(self.digests) > DIGESTS_REMEMBERED_MAX:
            self.digests.clear()
            self.canonical_of.clear()
        return self.digests.setdefault(state, digest) == digest and self.canonical_of.setdefault(digest, state) == state


def describe(history: History) -> str:
    """A history for people: who wrote what where, having seen what."""
    lines = []
    for number, (store, actor, observed, operations) in enumerate(history.events):
        place = f"store {store} at {history.clocks[store]} ms, actor {actor[7:8].hex()}, saw {sorted(observed)}"
        lines.append(f"  {number}: {place}: {', '.join(map(repr, operations))}")
    return "\n".join(lines)


def first_violation(engine: Engine, histories: Iterable[History], laws: type[Laws] = Laws) -> Violation | None:
    """The first law that an engine breaks on some histories, None if it keeps them all."""
    checking = laws(engine)
    for history in histories:
        try:
            checking.check(history)
        except Violation as violation:
            return violation
    return None


class Run:
    """One history on one engine."""

    def __init__(self, laws: Laws, history: History) -> None:
        self.laws = laws
        self.engine = laws.engine
        self.history = history
        self.oracle = oracle.Oracle()
        self.expected: dict[frozenset[int], tuple[bytes, str]] = {}
        authors = {event.store for event in history.events}
        self.opened: list[Store] = []
        self.stores: dict[int, Store] = {at: self.open(ORIGINS[at], history.clocks[at]) for at in sorted(authors)}
        self.applied: dict[int, frozenset[int]] = dict.fromkeys(self.stores, frozenset())
        self.records: list[Record | None] = []
        self.silent: frozenset[int] = frozenset()

    def open(self, origin: bytes, clock: int) -> Store:
        """An empty store, to be closed with the run."""
        self.opened.append(self.engine.open(origin, clock))
        return self.opened[-1]

    def close(self) -> None:
        """Close every store."""
        for store in self.opened:
            self.engine.close(store)

    # --- the three passes ---

    def write(self) -> None:
        """Let every author write, after having applied exactly what the history says."""
        for number, event in enumerate(self.history.events):
            store = self.stores[event.store]
            for other in sorted(event.observed - self.applied[event.store]):
                self.deliver(store, other)
            record = self.engine.originate(store, event.actor, event.operations)
            self.records.append(record)
            self.laws.trace.update(record if isinstance(record, bytes) else b"")
            if record is None:
                self.silent |= {number}
            stamp = Stamp(0, event.actor, bytes(16)) if record is None else self.engine.stamp(record)
            self.oracle.add(oracle.Transaction(number, stamp, event.observed, event.operations))
            self.applied[event.store] = event.observed | {number}
            if event.store != BASE_STORE:
                self.compare(store, self.applied[event.store], "written")
            self.check_own_write(number)

    def deliver_in_orders(self, orders: Iterable[tuple[int, ...]]) -> None:
        """Deliver everything to fresh stores; a prefix shared with the order before is not compared again."""
        previous: tuple[int, ...] = ()
        for order in orders:
            shared = sum(
                1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(previous, order, strict=False))
            )
            store = self.open(bytes(16), 0)
            for step, number in enumerate(order):
                applied = frozenset(order[:step])
                if step >= shared:
                    self.check_causality(store, applied)
                self.deliver(store, number)
                if step >= shared and self.history.events[number].store != BASE_STORE:
                    self.compare(store, applied | {number}, f"order {order[: step + 1]}")
            self.check_idempotence(store, order)
            previous = order

    def catch_up(self) -> None:
        """Bring the authors' own stores up to date, latest first where causality allows."""
        for author, store in self.stores.items():
            missed = [
                number for number in latest_first(self.history, self.applied[author]) if number not in self.silent
            ]
            if missed:
                self.deliver_all(store, missed)
                self.compare(store, frozenset(range(len(self.records))), "caught up")

    # --- the laws ---

    def deliver(self, store: Store, number: int) -> None:
        """Deliver a record that is due; an event that changed nothing has none."""
        if number in self.silent:
            return
        self.laws.count.deliveries += 1
        try:
            is_new = self.engine.deliver(store, self.records[number])
        except Refused as error:
            self.fail("delivery", f"event {number} is due and was refused: {error}")
        if not is_new:
            self.fail("idempotence", f"event {number} was taken for known before it was delivered")

    def deliver_all(self, store: Store, numbers: Sequence[int]) -> None:
        """Deliver records that are due in one go."""
        self.laws.count.deliveries += len(numbers)
        try:
            self.engine.deliver_all(store, [self.records[number] for number in numbers])
        except Refused as error:
            self.fail("delivery", f"of events {numbers}, all due, one was refused: {error}")

    def compare(self, store: Store, applied: frozenset[int], where: str, law: str = "state") -> None:
        """State, visible value and digest against the oracle's; `law` asks for the state."""
        self.laws.count.cases += 1
        if applied not in self.expected:
            truth = self.oracle.truth(applied)
            self.expected[applied] = (oracle.canonical(truth), repr(oracle.visible(truth)))
        state, shown = self.expected[applied]
        found = self.engine.canonical(store)
        if found != state:
            self.fail(law, f"{where}, applied {sorted(applied)}:\n  {found!r}\nshould be\n  {state!r}")
        seen = repr(self.engine.visible(store))
        if seen != shown:
            self.fail("visible", f"{where}, applied {sorted(applied)}: {seen} should be {shown}")
        digest = self.engine.digest(store)
        self.laws.trace.update(digest + found + seen.encode())
        if not self.laws.check_digest(found, digest):
            self.fail("digest", f"{where}: the digest stands for another state too, or the state for another digest")

    def check_own_write(self, number: int) -> None:
        """The author's next read shows each place as it was written, and nothing of what was removed."""
        state = self.oracle.truth(self.history.events[number].observed | {number})
        for path, kind in expectations(self.oracle.effects(number)).items():
            if any(name[0] == path[:1] and name[1] == GRAVE for name in state):
                continue
            found = oracle.visible_type(state, path)
            if found != kind:
                self.fail("own write", f"the author of event {number} sees {found} at {path} instead of {kind}")

    def check_idempotence(self, store: Store, order: tuple[int, ...]) -> None:
        """Everything once more, in the order of writing: nothing is applied, nothing changes."""
        for number, record in enumerate(self.records):
            if record is not None and self.engine.deliver(store, record):
                self.fail("idempotence", f"event {number} was applied a second time")
        self.compare(store, frozenset(order), "after redelivery")

    def check_causality(self, store: Store, applied: frozenset[int]) -> None:
        """Whatever is not due is refused; that nothing was changed shows in the next comparison."""
        for number, event in enumerate(self.history.events):
            if number not in applied | self.silent and not event.observed <= applied | self.silent:
                try:
                    self.engine.deliver(store, self.records[number])
                except Refused:
                    continue
                self.fail("causality", f"event {number} was accepted when only {sorted(applied)} were there")

    def fail(self, law: str, detail: str) -> NoReturn:
        """Report a broken law."""
        raise Violation(law, self.history, f"{self.engine.name}: {detail}")


def expectations(effects: oracle.Effects) -> dict[Path, str | None]:
    """The types that an author must see after a transaction, by path; None where nothing may be left.

    Not of INITIAL writes, which may be seen or not; and so nothing is said of removals beside them.
    """
    cells = {place for place, content in effects.cells.items() if not oracle.is_initial(content)}
    if len(cells) < len(effects.cells):
        return {}
    written = {*cells, *(name[:2] for name in effects.deltas)}
    wanted: dict[Path, str | None] = {it.path: None for it in effects.removals if it.types == ALL_TYPES}
    wanted.update({path[:depth]: MAP for path, _ in written for depth in range(1, len(path))})
    return {**wanted, **dict(written)}


def latest_first(history: History, applied: frozenset[int]) -> Iterator[int]:
    """The causal order of the remaining events that always takes the latest one which is due."""
    while len(applied) < len(history.events):
        due = max(n for n, event in enumerate(history.events) if n not in applied and event.observed <= applied)
        applied |= {due}
        yield due
