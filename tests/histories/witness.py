"""The logs as witnesses: whether they agree with each other, and every read with them.

Rules:

- A server's log says what it applied, and in which order. Replayed by the rules of `docs/merge.md`, the first n
  transactions give the one state that a read at n may show, merged transactions included (P4).
- A transaction is applied after all that its author's server had applied (P7), and stamped behind it.
- In the end every log holds every transaction (P1), and all of them the same (P6).

Not here: what clients were told about transaction ids (`lines`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice

from tests.histories.history import BASE, Effect, History, Logged, Read, Seen, Violation, Write
from tests.histories.lines import answered

Versions = dict[str, list[tuple[int, Seen]]]
"""Place -> (txn, what it shows from then on)."""


def hear(history: History) -> list[Violation]:
    """Hear the logs; an empty list says that they agree with the promises and with every read."""
    found = [*agree(history)]
    for server, log in enumerate(history.logs):
        found += check_delivery(server, log)
    return found or [*check_reads(history)]


def agree(history: History) -> Iterator[Violation]:
    """In the end all logs hold the same transactions."""
    first = {(entry.origin, entry.position): entry[3:] for entry in history.logs[0]}
    for server, log in enumerate(history.logs[1:], 1):
        other = {(entry.origin, entry.position): entry[3:] for entry in log}
        for key in sorted(first.keys() ^ other.keys()):
            yield Violation("P1", f"The servers have met, and not both of 0 and {server} have {key}.")
        for key in sorted(first.keys() & other.keys()):
            if first[key] != other[key]:
                yield Violation("P6", f"Servers 0 and {server} mean two transactions by {key}.")


def check_delivery(server: int, log: list[Logged]) -> Iterator[Violation]:
    """Transactions were applied in causal order, and stamped behind what their servers knew (P7)."""
    applied: dict[int, int] = defaultdict(int)
    greatest = 0
    stamps: dict[int, int] = defaultdict(int)
    vectors: dict[int, dict[int, int]] = defaultdict(dict)
    for entry in log:
        vector = vectors[entry.origin]
        vector.update(entry.observed)
        if entry.position != applied[entry.origin] + 1:
            yield Violation("P7", f"Server {server} applied {applied[entry.origin]} of its server, then {entry}.")
        if any(position > applied[origin] for origin, position in vector.items()):
            yield Violation("P7", f"Server {server} had applied {dict(applied)} of what {entry} observed, {vector}.")
        behind = greatest if entry.origin == server else stamps[entry.origin]
        if entry.stamp[0] <= behind:
            yield Violation("P7", f"Server {server} has {entry} behind timestamp {behind}.")
        if entry.origin == server and any(vector.get(each, 0) != applied[each] for each in applied if each != server):
            yield Violation("P7", f"Server {server} had applied {dict(applied)}, and {entry} observed {vector}.")
        applied[entry.origin] = entry.position
        stamps[entry.origin] = entry.stamp[0]
        greatest = max(greatest, entry.stamp[0])


class Replay:
    """A server's log, run again: what each place showed, and from which transaction on."""

    def __init__(self, writes: dict[str, Write], log: list[Logged]) -> None:
        self.versions: Versions = defaultdict(list)
        self.best: dict[str, tuple[int, bytes, bytes]] = {}
        self.members: dict[str, dict[str, Logged]] = defaultdict(dict)
        self.sums: dict[str, int] = defaultdict(int)
        vectors: dict[int, dict[int, int]] = defaultdict(dict)
        for entry in log:
            vectors[entry.origin].update({**entry.observed, entry.origin: entry.position - 1})
            for effect in writes[entry.name].effects:
                self.apply(entry, effect, vectors[entry.origin])

    def apply(self, entry: Logged, effect: Effect, observed: dict[int, int]) -> None:
        """Do what a write does at one place."""
        place = effect.place
        if effect.kind == "put":
            if entry.stamp > self.best.get(place, (0, b"", b"")):
                self.best[place] = entry.stamp
                self.show(entry.txn, place, entry.name)
        elif effect.kind == "increment":
            self.sums[place] += BASE**effect.slot
            self.show(entry.txn, place, self.sums[place])
        else:
            members = self.members[place]
            if effect.kind == "add":
                members[entry.name] = entry
            else:
                for name, add in [*members.items()]:
                    if add.position <= observed.get(add.origin, 0):
                        del members[name]
            self.show(entry.txn, place, frozenset(members))

    def show(self, txn: int, place: str, seen: Seen) -> None:
        """From a transaction on, a place shows something else."""
        self.versions[place].append((txn, seen))

    def shown(self, place: str, txn: int) -> Iterator[Seen]:
        """Yield what a place showed at a transaction (None before its first write), then everything later."""
        versions = self.versions[place]
        at = bisect_right(versions, txn, key=lambda version: version[0])
        yield versions[at - 1][1] if at else None
        yield from (seen for _, seen in versions[at:])


def check_reads(history: History) -> Iterator[Violation]:
    """Every read shows what the log of its server says (P4); the last ones, what it says in the end (P6)."""
    writes = {write.name: write for write in history.writes}
    replays = [Replay(writes, log) for log in history.logs]
    for event, floor in answered(history):
        if isinstance(event, Read):
            yield from check_read(event, replays[event.server], max(event.txn, floor))
    for read in history.final:
        yield from check_read(read, replays[read.server], len(history.logs[read.server]))


def check_read(read: Read, replay: Replay, txn: int) -> Iterator[Violation]:
    """An exact read shows the state at its transaction, another one that or a later one."""
    for place, seen in read.seen.items():
        # A document that is not there reads as an empty register, an empty set and a counter at 0.
        possible = (shown or None for shown in islice(replay.shown(place, txn), 1 if read.exact else None))
        if (seen or None) not in possible:
            given = next(replay.shown(place, txn))
            yield Violation("P4", f"At {txn} the log of server {read.server} gives {given} in {place}: {read}.")
