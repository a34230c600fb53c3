"""The ledger of a world: every transaction that was ever sequenced, and how far each store's log reaches.

Rules: it is kept from the rows of the stores' logs, not from what stores claim: a `History` is what one log says, entry
by entry, and its `seen` is the version vector that this log amounts to. What a transaction had observed is the `seen`
of its store at that entry: happens-before, spelled out, without a look at the author vector in the record.

Four promises are checked here, at each entry: txn ids are dense, positions of an origin are dense and no position is
used for two different records, timestamps exceed all that was observed, and delivery is causal.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgpack

from crdtstore.crdt.chain import CHAIN_DIGEST_BYTES
from crdtstore.crdt.entry import decode_advance, decode_join, is_advance, is_join, place_of

Complain = Callable[[str, str], None]
"""Takes the promise that was broken, and how."""


@dataclass(slots=True)
class Transaction:
    """One transaction: where it was sequenced, its record, and what it had observed, by origin number."""

    origin: int
    position: int
    record: bytes
    observed: array[int]
    news: tuple[tuple[int, int], ...]
    timestamp: int
    actor: bytes
    acknowledged: bool = False
    excused: bool = False
    tally: int = 0


@dataclass(slots=True)
class History:
    """What one store's log amounts to: its entries, and how far each origin was reached, by number."""

    entries: list[tuple[tuple[int, int], ...]] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    newest: int = 0

    def copy(self) -> History:
        """The history of a clone or a backup."""
        return History(list(self.entries), dict(self.seen), self.newest)

    def enter(self, reached: tuple[tuple[int, int], ...]) -> None:
        """Append an entry."""
        self.entries.append(reached)
        self.seen.update(reached)


class Ledger:
    """All transactions of a world, by origin and position."""

    def __init__(self, complain: Complain, *, forks: bool) -> None:
        self.complain = complain
        self.forks = forks
        self.numbers: dict[bytes, int] = {}
        self.origins: list[bytes] = []
        self.logs: list[list[Transaction]] = []

    def number_of(self, origin: bytes) -> int:
        """An origin's number here."""
        number = self.numbers.get(origin)
        if number is None:
            number = self.numbers[origin] = len(self.origins)
            self.origins.append(origin)
            self.logs.append([])
        return number

    def transactions(self, seen: Mapping[int, int]) -> Iterator[Transaction]:
        """The transactions that a vector claims."""
        for origin, position in sorted(seen.items()):
            yield from self.logs[origin][:position]

    def everything(self) -> Iterator[Transaction]:
        """All transactions, lost ones too."""
        for log in self.logs:
            yield from log

    # --- what comes into a log ---

    def take(self, history: History, txn: int, row: bytes, own: set[int], *, is_scoped: bool) -> Transaction | None:
        """Enter one row of a store's log; returns a transaction that was sequenced just now.

        Args:
            history: The store's.
            txn: The row's txn id.
            row: Chain digest and entry.
            own: Numbers of the origins that were ever this store's.
            is_scoped: Whether it holds only some collections: then records come cut.
        """
        if txn != len(history.entries) + 1:
            self.complain("dense txn ids", f"txn {txn} follows {len(history.entries)}")
        data = row[CHAIN_DIGEST_BYTES:]
        if is_join(data):
            vector, _ = decode_join(data)
            self.take_join(history, {self.number_of(origin): reached.position for origin, reached in vector.items()})
            return None
        origin, position = place_of(data)
        number = self.number_of(origin)
        if is_advance(data):
            self.take_advance(history, number, decode_advance(data).first, position)
            return None
        return self.take_record(history, number, position, data, is_own=number in own, is_scoped=is_scoped)

    def take_join(self, history: History, reached: Mapping[int, int]) -> None:
        """A snapshot was joined: the vector may only grow, and only to what exists."""
        for number, position in reached.items():
            if position < history.seen.get(number, 0) or position > len(self.logs[number]):
                self.complain("a joined vector claims what is held", f"origin {number} to {position}")
        history.newest = max([history.newest, *(self.timestamp_at(*place) for place in reached.items())])
        history.enter(tuple(reached.items()))

    def timestamp_at(self, number: int, position: int) -> int:
        """The timestamp of a transaction."""
        log = self.logs[number]
        return log[position - 1].timestamp if 0 < position <= len(log) else 0

    def take_advance(self, history: History, number: int, first: int, position: int) -> None:
        """Records were passed over that have nothing in the store's scope."""
        if first > history.seen.get(number, 0) + 1:
            self.complain("no gap", f"origin {number}: an advance from {first} after {history.seen.get(number, 0)}")
        history.newest = max(history.newest, self.timestamp_at(number, position))
        history.enter(((number, position),))

    def take_record(
        self, history: History, number: int, position: int, record: bytes, *, is_own: bool, is_scoped: bool
    ) -> Transaction | None:
        """A record was logged: its own store's, or one from elsewhere."""
        before = history.seen.get(number, 0)
        if position != before + 1:
            self.complain("no gap", f"origin {number}: position {position} after {before}")
        log = self.logs[number]
        known = log[position - 1] if position <= len(log) else None
        fresh = None
        if known is None and is_own:
            fresh = known = self.sequence(history, number, position, record)
        elif known is None:
            self.complain("every record has an author", f"origin {number}, position {position}, is nobody's")
        elif known.record != record and not self.forks and (is_own or not is_scoped):
            self.complain("no position is used twice", f"origin {number} has two records at position {position}")
        else:
            self.check_causal(history, known)
        if known is not None:
            history.newest = max(history.newest, known.timestamp)
        history.enter(((number, position),))
        return fresh

    def sequence(self, history: History, number: int, position: int, record: bytes) -> Transaction:
        """Note a transaction that its store sequenced just now."""
        actor, timestamp = read_stamp(record)
        if timestamp <= history.newest and not self.forks:
            self.complain("a timestamp exceeds all that was observed", f"{timestamp} after {history.newest}")
        observed = array("I", bytes(4 * len(self.origins)))
        for other, reached in history.seen.items():
            observed[other] = reached
        log = self.logs[number]
        earlier: Sequence[int] = log[-1].observed if log else ()
        news = tuple(
            (other, reached)
            for other, reached in enumerate(observed)
            if reached and other != number and reached != (earlier[other] if other < len(earlier) else 0)
        )
        transaction = Transaction(number, position, record, observed, news, timestamp, actor)
        log.append(transaction)
        return transaction

    def check_causal(self, history: History, transaction: Transaction) -> None:
        """Whether all that a transaction had observed is here before it; earlier ones of its origin are."""
        for other, reached in transaction.news:
            if history.seen.get(other, 0) < reached and not self.forks:
                place = f"origin {transaction.origin}, position {transaction.position}"
                self.complain("causal order", f"{place} had observed origin {other} to {reached}")

    # --- what is lost ---

    def roll_back(self, history: History, entries: int, own: set[int]) -> int:
        """Take back what a store lost; its own transactions in it are excused. Returns how many those are.

        Args:
            history: The store's; shortened.
            entries: How many are left.
            own: Numbers of the origins that were ever this store's.
        """
        lost = 0
        for reached in history.entries[entries:]:
            for number, position in reached:
                log = self.logs[number]
                if number in own and len(reached) == 1 and position <= len(log):
                    log[position - 1].excused = True
                    lost += 1
        kept = history.entries[:entries]
        history.entries, history.seen, history.newest = [], {}, 0
        for reached in kept:
            history.enter(reached)
        history.newest = max((self.timestamp_at(*place) for place in history.seen.items()), default=0)
        return lost

    def found_again(self, number: int, position: int) -> None:
        """Transactions up to a position came back with a backup: nothing excuses their loss any more."""
        for transaction in self.logs[number][:position]:
            transaction.excused = False


def read_stamp(record: bytes) -> tuple[bytes, int]:
    """The actor and timestamp of a record."""
    fields = msgpack.unpackb(record, raw=False, strict_map_key=False)
    return fields[3], fields[4]
