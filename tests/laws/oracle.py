"""The naive oracle: the state that a set of transactions must give, from happens-before alone.

Rules: each transaction carries the set of transactions that it observed, spelled out; nothing here knows a
version vector, a position or an order of delivery. Stamps name cells and choose what is visible, never what
is alive. A cell is alive when its transaction is in the set and no transaction of the set that observed it
removes it. Written from the words of the design, apart from every engine: it shares only the vocabulary
with them.

What the join of two states must give needs nothing else: the truth of the united sets.

A document with a grave is its greatest grave and nothing else. Not here: scopes (a later step).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple, TypeAlias

from tests.laws.operations import (
    ATTACHMENT,
    COUNTER,
    GRAVE,
    MAP,
    REGISTER,
    Attach,
    Bury,
    Flagged,
    Increment,
    Initial,
    Mark,
    Number,
    Operation,
    Path,
    Put,
    Remove,
    Restart,
    Stamp,
    Value,
    is_below,
    spell,
)

IMPLICIT = "implicit"
EXPLICIT = "explicit"
INITIAL = "initial"
"""An explicit counter that an INITIAL write created."""

TYPE_RANK = {REGISTER: 0, ATTACHMENT: 1, MAP: 2, COUNTER: 3}
"""Between two types of one path with equal stamps: counter before map before attachment before register."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
DOUBLE_MAX = sys.float_info.max

NOBODY = Stamp(0, b"", b"")

Replica: TypeAlias = tuple[bytes, bytes]
CellName: TypeAlias = tuple[Path, str, Stamp]


class Instance(NamedTuple):
    """What a counter's cell holds: how it came to be, its start, and per replica (stamp, total)."""

    kind: str
    start: Number
    totals: Mapping[Replica, tuple[Stamp, Number]]


State: TypeAlias = Mapping[CellName, Value]
"""The live cells: registers with values, markers with None, counters with instances."""


class Transaction(NamedTuple):
    """One transaction as the history knows it.

    Numbers run in causal order; `observed` holds numbers and is causally closed.
    """

    number: int
    stamp: Stamp
    observed: frozenset[int]
    operations: tuple[Operation, ...]


class Effects(NamedTuple):
    """What a transaction comes to: removals of what it observed, its cells, deltas to older instances."""

    removals: Sequence[Remove]
    replaced: AbstractSet[tuple[Path, str]]
    cells: Mapping[tuple[Path, str], Value]
    deltas: Mapping[CellName, Number]
    graves: AbstractSet[str]


class Oracle:
    """The truth about one history; remembers what it has worked out, keyed by the set of transactions."""

    def __init__(self, transactions: Iterable[Transaction] = ()) -> None:
        self.transactions = list(transactions)
        self.states: dict[frozenset[int], State] = {}
        self.worked_out: dict[int, Effects] = {}

    def add(self, transaction: Transaction) -> None:
        """Append a transaction; its number is its place."""
        self.transactions.append(transaction)

    def truth(self, applied: frozenset[int]) -> State:
        """The state of any store that has applied exactly these transactions."""
        known = self.states.get(applied)
        if known is None:
            known = self.states[applied] = dict(self.live_cells(applied))
        return known

    def live_cells(self, applied: frozenset[int]) -> Iterator[tuple[CellName, Value]]:
        """The cells of a set of transactions that no other of them, having observed them, removes; or graves."""
        graves = self.graves(applied)
        yield from ((((document,), GRAVE, stamp), None) for document, stamp in graves.items())
        for number in applied:
            stamp = self.transactions[number].stamp
            observers = [self.effects(other) for other in applied if number in self.transactions[other].observed]
            for (path, kind), content in self.effects(number).cells.items():
                if path[0] not in graves and not any(removes(effects, path, kind) for effects in observers):
                    name = (path, kind, stamp)
                    yield name, self.with_deltas(name, content, applied) if kind == COUNTER else content

    def graves(self, applied: frozenset[int]) -> dict[str, Stamp]:
        """The buried documents of a set of transactions, each with the greatest stamp of those that buried it."""
        stamps: dict[str, Stamp] = {}
        for number in applied:
            for document in self.effects(number).graves:
                stamps[document] = max(stamps.get(document, NOBODY), self.transactions[number].stamp)
        return stamps

    def with_deltas(self, name: CellName, created: Instance, applied: frozenset[int]) -> Instance:
        """An instance with the increments that name it, added up per replica in the order of its origin."""
        totals = dict(created.totals)
        for number in sorted(applied):
            delta = self.effects(number).deltas.get(name)
            if delta is not None:
                stamp = self.transactions[number].stamp
                replica = (stamp.actor, stamp.origin)
                totals[replica] = (stamp, bounded(totals[replica][1] + delta) if replica in totals else delta)
        return created._replace(totals=totals)

    def effects(self, number: int) -> Effects:
        """What a transaction comes to, given all that it observed."""
        known = self.worked_out.get(number)
        if known is None:
            transaction = self.transactions[number]
            before = self.truth(transaction.observed)
            known = self.worked_out[number] = net_effects(before, transaction.stamp, transaction.operations)
        return known


def removes(effects: Effects, path: Path, kind: str) -> bool:
    """Whether a transaction removes cells that it observed of a type at a path."""
    if (path, kind) in effects.replaced:
        return True
    return any(kind in removal.types and is_below(path, removal.path) for removal in effects.removals)


class Folding:
    """A transaction carried out one operation after the other; what is left at the end are its effects."""

    def __init__(self, before: State, stamp: Stamp) -> None:
        self.before = before
        self.stamp = stamp
        self.removals: list[Remove] = []
        self.replaced: set[tuple[Path, str]] = set()
        self.cells: dict[tuple[Path, str], Value] = {}
        self.deltas: dict[CellName, Number] = {}
        self.graves: set[str] = set()

    def effects(self) -> Effects:
        """What has come of the operations so far."""
        return Effects(self.removals, self.replaced, self.cells, self.deltas, self.graves)

    def carry_out(self, operation: Operation) -> None:
        """Take one more operation."""
        match operation:
            case Remove(path, types):
                self.removals.append(operation)
                self.forget(lambda below, kind: kind in types and is_below(below, path))
            case Bury(path):
                self.removals = [it for it in self.removals if not is_below(it.path, path)]
                self.forget(lambda below, _: is_below(below, path))
                self.graves.add(path[0])
            case Initial(Restart(path, start)):
                self.replace(path, COUNTER, Instance(INITIAL, start, {}))
            case Initial(Put() | Attach() | Mark() as write):
                self.replace(write.path, *written(write, Flagged))
            case Put(path) | Attach(path) | Mark(path):
                self.replace(path, *written(operation))
            case Restart(path, start):
                self.replace(path, COUNTER, Instance(EXPLICIT, start, {}))
            case Increment(path, amount):
                self.increment(path, amount)

    def forget(self, is_gone: Callable[[Path, str], bool]) -> None:
        """Drop what this transaction itself has done at some places: it never observes its own stamp."""
        self.cells = {key: content for key, content in self.cells.items() if not is_gone(*key)}
        self.deltas = {name: delta for name, delta in self.deltas.items() if not is_gone(*name[:2])}

    def replace(self, path: Path, kind: str, content: Value) -> None:
        """Put the transaction's one cell of a type at a path; the observed ones there go."""
        self.forget(lambda other, its_kind: (other, its_kind) == (path, kind))
        self.replaced.add((path, kind))
        self.cells[path, kind] = content

    def increment(self, path: Path, amount: Number) -> None:
        """Add to the instance that a reader of this very moment would see, or create an implicit one."""
        older = {name: it for name, it in self.before.items() if name[:2] == (path, COUNTER)}
        if removes(self.effects(), path, COUNTER):
            older = {}
        if (path, COUNTER) in self.cells:
            self.cells[path, COUNTER] = add_to_own(self.cells[path, COUNTER], self.stamp, amount)
        elif older:
            name = next(it for it in older if it[2] == chosen({name[2]: older[name] for name in older}))
            self.deltas[name] = self.deltas[name] + amount if name in self.deltas else amount
        else:
            first = {(self.stamp.actor, self.stamp.origin): (self.stamp, amount)}
            self.cells[path, COUNTER] = Instance(IMPLICIT, 0, first)


def written(
    operation: Put | Attach | Mark, content: Callable[[Value], Value] = lambda value: value
) -> tuple[str, Value]:
    """The type and content of what an operation writes."""
    match operation:
        case Mark():
            return MAP, content(None)
        case Attach():
            return ATTACHMENT, content(operation.value)
    return REGISTER, content(operation.value)


def net_effects(before: State, stamp: Stamp, operations: Sequence[Operation]) -> Effects:
    """Carry out a transaction's operations on what it observed."""
    folding = Folding(before, stamp)
    for operation in operations:
        folding.carry_out(operation)
    return folding.effects()


def add_to_own(created: Instance, stamp: Stamp, amount: Number) -> Instance:
    """An increment on its own transaction's instance: part of the start, or of the first total."""
    if created.kind != IMPLICIT:
        return created._replace(kind=EXPLICIT, start=created.start + amount)
    replica = (stamp.actor, stamp.origin)
    return created._replace(totals={replica: (stamp, created.totals[replica][1] + amount)})


def has_type_conflict(operations: Sequence[Operation]) -> bool:
    """Whether what is left of a transaction has two types at one path, or a value above another's path.

    Both would carry one stamp, so what came last would not decide what is visible. Which instance an
    increment goes to does not matter: it touches the counter at its path.
    """
    touched = set(net_effects({}, NOBODY, operations).cells)
    values = {path for path, kind in touched if kind != MAP}
    return len({path for path, _ in touched}) < len(touched) or any(
        is_below(path, above) for above in values for path, _ in touched if path != above
    )


def is_initial(content: Value) -> bool:
    """Whether an INITIAL write made a cell."""
    return isinstance(content, Flagged) or (isinstance(content, Instance) and content.kind == INITIAL)


def recency(name: CellName, content: Value) -> tuple[bool, Stamp]:
    """Whether anything of a cell is a real write, and the greatest stamp among what is: its own, or a total's."""
    stamps = [(not is_initial(content), name[2])]
    if name[1] == COUNTER:
        stamps += [(True, stamp) for stamp, _ in content.totals.values()]
    return max(stamps)


def visible_type(state: State, path: Path) -> str | None:
    """The type that a reader sees at a path: the one with the greatest stamp among its live cells."""
    candidates: list[tuple[tuple[bool, Stamp], int, str]] = []
    for name, content in state.items():
        if name[0] == path:
            candidates.append((recency(name, content), TYPE_RANK[name[1]], name[1]))
        elif is_below(name[0], path):
            candidates.append((recency(name, content), TYPE_RANK[MAP], MAP))
    return max(candidates)[2] if candidates else None


def visible_value(state: State, path: Path) -> Value:
    """The value that a reader sees at a path that holds live cells."""
    kind = visible_type(state, path)
    here = {name[2]: content for name, content in state.items() if name[:2] == (path, kind)}
    if kind == COUNTER:
        return counter_value(here)
    if kind != MAP:
        value = here[max(here, key=lambda stamp: (not is_initial(here[stamp]), stamp))]
        value = value.content if isinstance(value, Flagged) else value
        return {"id": value, "len": 0, "metadata": {}} if kind == ATTACHMENT else value
    keys = {name[0][len(path)] for name in state if is_below(name[0], path) and len(name[0]) > len(path)}
    return {key: visible_value(state, (*path, key)) for key in sorted(keys)}


def counting(instances: Mapping[Stamp, Instance]) -> Stamp | None:
    """The explicit instance that counts: a real one, else an initial one that was added to, else, alone, any other."""
    real = [stamp for stamp, it in instances.items() if it.kind == EXPLICIT]
    initial = [stamp for stamp, it in instances.items() if it.kind == INITIAL]
    added_to = [stamp for stamp in initial if instances[stamp].totals]
    alone = initial if len(initial) == len(instances) else []
    return max(real or added_to or alone, default=None)


def chosen(instances: Mapping[Stamp, Instance]) -> Stamp:
    """The instance that an increment goes to: the explicit one that counts, else the highest implicit one."""
    return counting(instances) or max(stamp for stamp, it in instances.items() if it.kind == IMPLICIT)


def counter_value(instances: Mapping[Stamp, Instance]) -> Number:
    """Start of the explicit instance that counts; its totals and all implicit ones by (actor, origin)."""
    best = counting(instances)
    counted = [stamp for stamp, it in instances.items() if it.kind == IMPLICIT or stamp == best]
    value: Number = instances[best].start if best else 0
    totals = [(replica, made, total) for made in counted for replica, (_, total) in instances[made].totals.items()]
    for _, _, total in sorted(totals):
        value += total
    return bounded(value)


def bounded(number: Number) -> Number:
    """A sum as the value model holds it: beyond int64 the nearest double, beyond the doubles the last."""
    if isinstance(number, int):
        return number if INT_MIN <= number <= INT_MAX else float(number)
    return max(-DOUBLE_MAX, min(DOUBLE_MAX, number))


def visible(state: State) -> dict[str, Value]:
    """Every document that exists, by name: one exists while it has a live cell that is no grave."""
    documents = sorted({name[0][0] for name in state if name[1] != GRAVE})
    return {document: visible_value(state, (document,)) for document in documents}


def canonical(state: State) -> bytes:
    """The canonical form in the harness's notation."""
    return spell(
        (*name, (content.kind, content.start, content.totals) if name[1] == COUNTER else content)
        for name, content in state.items()
    )
