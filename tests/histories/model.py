"""A tiny model of causal stores, run in one thread: it makes histories that keep every promise.

Rules:

- It is written after `docs/merge.md` and shares no reasoning with the product or the checkers: a store holds
  cells, and a put or a remove takes away those that it observed.
- Sessions are stepped at random, so that their calls overlap as those of threads do: a call is begun, takes effect
  and is answered in separate steps. Clocks are skewed, answers get lost and their writes happen late or never,
  stores exchange at random, in one direction and not always to the end.
- One seed, one history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator
from itertools import count, islice, takewhile
from random import Random
from typing import NamedTuple, TypeAlias

from tests.histories.history import BASE, Effect, History, Logged, Read, Seen, Write
from tests.histories.menu import Menu, places_of

SESSIONS = 8
Steps: TypeAlias = Generator[None, None, int]
"""A call in steps; it ends with the transaction that was answered, 0 if there is none."""

STEPS_WAITED = 6
"""How often a read that waits for a transaction looks again."""


class Transaction(NamedTuple):
    """A transaction, with all that its store had observed."""

    logged: Logged
    vector: dict[int, int]
    effects: tuple[Effect, ...]

    def observed(self, other: Transaction) -> bool:
        """Whether it was ordered after another one was applied there."""
        return other.logged.position <= self.vector.get(other.logged.origin, 0)


class Store:
    """A causal store."""

    def __init__(self, number: int, skew: int) -> None:
        self.number = number
        self.skew = skew
        self.log: list[Transaction] = []
        self.vector: dict[int, int] = {}
        self.published: dict[int, int] = {}
        """The vector of its last own transaction."""
        self.greatest = 0
        self.pulled: dict[int, int] = defaultdict(int)
        self.cells: dict[str, list[Transaction]] = defaultdict(list)
        self.sums: dict[str, int] = defaultdict(int)

    def write(self, name: str, actor: bytes, effects: tuple[Effect, ...], now: int) -> int:
        """Order a transaction; returns its id."""
        position = self.vector.get(self.number, 0) + 1
        stamp = max(now + self.skew, self.greatest + 1), actor, bytes([self.number])
        observed = {server: at for server, at in self.vector.items() if self.published.get(server) != at}
        observed.pop(self.number, None)
        logged = Logged(len(self.log) + 1, self.number, position, stamp, name, observed)
        self.published = {**self.vector, self.number: position}
        self.apply(Transaction(logged, dict(self.vector), effects))
        return len(self.log)

    def apply(self, transaction: Transaction) -> None:
        """Apply a transaction, an own one or another store's."""
        entry = transaction.logged
        self.log.append(transaction._replace(logged=entry._replace(txn=len(self.log) + 1)))
        self.vector[entry.origin] = entry.position
        self.greatest = max(self.greatest, entry.stamp[0])
        for kind, place, slot in transaction.effects:
            if kind == "increment":
                self.sums[place] += BASE**slot
                continue
            if kind != "add":
                self.cells[place] = [cell for cell in self.cells[place] if not transaction.observed(cell)]
            if kind != "remove":
                self.cells[place].append(transaction)

    def pull(self, other: Store, most: int) -> None:
        """Apply at most so many transactions that another store has, in the order in which it has them."""
        for transaction in islice(other.log, self.pulled[other.number], None):
            entry = transaction.logged
            if entry.position > self.vector.get(entry.origin, 0):
                if most == 0:
                    return
                self.apply(transaction)
                most -= 1
            self.pulled[other.number] += 1

    def show(self, document: str) -> dict[str, Seen]:
        """What the places of a document show."""
        return {place: self.show_place(place) for place in places_of(document)}

    def show_place(self, place: str) -> Seen:
        """What a place shows."""
        if place.endswith("/n"):
            return self.sums[place]
        cells = self.cells[place]
        if place[0] == "s":
            return frozenset(cell.logged.name for cell in cells)
        return max((cell.logged.stamp, cell.logged.name) for cell in cells)[1] if cells else None


class World:
    """Stores, and sessions that call them."""

    def __init__(self, seed: int, stores: int) -> None:
        self.random = Random(seed)
        self.menu = Menu(self.random)
        self.tick = count(1)
        self.stores = [Store(number, self.random.randrange(200)) for number in range(stores)]
        self.writes: list[Write] = []
        self.reads: list[Read] = []
        self.late: list[tuple[Store, Write]] = []
        """Writes whose answers were lost, and that may still happen."""
        self.ending = False

    def run(self, events: int) -> History:
        """Let things happen until so many events were recorded, then let all stores meet."""
        sessions = [self.session(number) for number in range(SESSIONS)]
        while len(self.writes) + len(self.reads) < events:
            next(self.random.choice(sessions))
            if self.random.random() < 0.1:
                left, right = self.random.sample(self.stores, 2)
                left.pull(right, self.random.choice((1, 5, -1)))
            if self.late and self.random.random() < 0.1:
                self.happen(self.late.pop())
        self.ending = True
        for session in sessions:
            for _ in session:
                pass
        for left in self.stores * 2:
            for right in self.stores:
                left.pull(right, -1)
        return self.history()

    def happen(self, late: tuple[Store, Write]) -> None:
        """Order a write that nobody waits for any more."""
        store, write = late
        store.write(write.name, self.actor(write.session), write.effects, next(self.tick))

    def actor(self, session: int) -> bytes:
        """Who a session writes as: the same on every server."""
        return bytes([session])

    def session(self, number: int) -> Iterator[None]:
        """Call stores until the end; every third session changes them."""
        bound = self.stores[number % len(self.stores)]
        tokens: dict[int, int] = {}
        for at in takewhile(lambda _: not self.ending, count()):
            store = self.random.choice(self.stores) if number % 3 == 0 else bound
            token = tokens.get(store.number) if self.random.random() < 0.7 else None
            if token and self.random.random() < 0.05:
                token += self.random.randrange(3)
            reading = self.random.random() < 0.5
            txn = yield from self.read(number, store, token) if reading else self.write(number, at, store, token)
            tokens[store.number] = max(tokens.get(store.number, 0), txn)

    def write(self, session: int, at: int, store: Store, after: int | None) -> Steps:
        """Write; its answer may get lost, and then it happens later or never."""
        name, effects, invoked = f"{session}.{at}", self.menu.effects(), next(self.tick)
        write = Write(name, session, store.number, invoked, 0, after, "unknown", 0, effects)
        yield
        if self.random.random() < 0.02:
            self.writes.append(write._replace(returned=next(self.tick)))
            if self.random.random() < 0.5:
                self.late.append((store, write))
            return 0
        refused = after is not None and after > len(store.log)
        txn = 0 if refused else store.write(name, self.actor(session), effects, next(self.tick))
        yield
        self.writes.append(write._replace(returned=next(self.tick), outcome="refused" if refused else "ok", txn=txn))
        return txn

    def read(self, session: int, store: Store, after: int | None) -> Steps:
        """Read; an exact one sees one state, another one may be overtaken."""
        documents, invoked, exact = self.menu.documents(), next(self.tick), self.random.random() < 0.5
        for _ in range(STEPS_WAITED):
            yield
            if after is None or after <= len(store.log):
                break
        refused = after is not None and after > len(store.log)
        txn = 0 if refused else len(store.log)
        if not exact:
            documents = documents[:1]
            yield
        seen = {} if refused else {place: seen for each in documents for place, seen in store.show(each).items()}
        yield
        returned = next(self.tick)
        read = Read(session, store.number, invoked, returned, after, "refused" if refused else "ok", txn, exact, seen)
        self.reads.append(read)
        return txn

    def history(self) -> History:
        """What was seen, and the end of it."""
        final = [
            Read(SESSIONS, store.number, next(self.tick), next(self.tick), None, "ok", len(store.log), True, shown)
            for store in self.stores
            for shown in ({place: seen for each in self.menu.all() for place, seen in store.show(each).items()},)
        ]
        logs = [[transaction.logged for transaction in store.log] for store in self.stores]
        return History(self.writes, self.reads, logs, final, ["the same"] * len(self.stores))


def make_history(seed: int, events: int, stores: int = 3) -> History:
    """Make a history that keeps every promise."""
    return World(seed, stores).run(events)
