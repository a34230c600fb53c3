"""A small engine of vectors and coverage: the control group, and the place where bugs are planted.

Rules: it keeps the design's merge by version vectors only, the opposite road to the oracle's happens-
before, so that the two check each other before any real engine is there. Each planted bug is a subclass
that overrides the one method where the bug would be made; the unbroken methods are kept that small for this
reason.

Not here: bytes, interning, storage, gaps by limits; scopes (see the table in `planted`).
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from tests.laws.engine import NotCausal, TypeConflict
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
    spell,
)

LOGICAL_BITS = 16
SHOWN_FIRST = (COUNTER, MAP, ATTACHMENT, REGISTER)

CellName: TypeAlias = tuple[Path, str, Stamp]
Recency: TypeAlias = tuple[bool, tuple[int, bytes, bytes]]
"""Whether it was a real write, and what stamps are compared by."""

Totals: TypeAlias = dict[tuple[bytes, bytes], tuple[Stamp, Number]]


@dataclass(slots=True)
class Instance:
    """A live counter instance."""

    is_explicit: bool
    start: Number
    totals: Totals = field(default_factory=dict)
    is_initial: bool = False

    @property
    def kind(self) -> str:
        """How it came to be."""
        return "initial" if self.is_initial else "explicit" if self.is_explicit else "implicit"


class Reached(NamedTuple):
    """How far an origin's log is known."""

    position: int
    timestamp: int


NOWHERE = Reached(0, 0)


class Record(NamedTuple):
    """A net effect: removals, then cells (path, type, content), then increments (cell, delta)."""

    position: int
    stamp: Stamp
    author_vector: Mapping[bytes, Reached]
    removals: tuple[Remove, ...]
    cells: tuple[tuple[Path, str, Value], ...]
    increments: tuple[tuple[CellName, Number], ...]
    graves: tuple[str, ...]


@dataclass(slots=True)
class Store:
    """One store: its vector and its live cells."""

    origin: bytes
    clock: int
    vector: dict[bytes, Reached] = field(default_factory=dict)
    cells: dict[CellName, Value] = field(default_factory=dict)


class Model:
    """The unbroken engine."""

    name = "model"

    # --- the protocol ---

    def open(self, origin: bytes, clock: int) -> Store:
        """An empty store."""
        return Store(origin, clock)

    def close(self, store: Store) -> None:
        """Nothing is held."""

    def originate(self, store: Store, actor: bytes, operations: Sequence[Operation]) -> Record:
        """Sequence a transaction: timestamp, author vector, fold; then apply it like any other record."""
        stamp = Stamp(max(store.clock << LOGICAL_BITS, self.after(store)), actor, store.origin)
        position = store.vector.get(store.origin, NOWHERE).position + 1
        record = Record(position, stamp, dict(store.vector), *self.fold(store, operations))
        self.merge(store, record)
        return record

    def deliver(self, store: Store, record: Record) -> bool:
        """Apply a record from elsewhere, once, and only after all that it depends on."""
        known = store.vector.get(record.stamp.origin, NOWHERE)
        if record.position <= known.position:
            return self.redeliver(store, record)
        if record.position > known.position + 1 or not self.is_causal(store, record):
            raise NotCausal(record)
        self.merge(store, record)
        return True

    def deliver_all(self, store: Store, records: Sequence[Record]) -> None:
        """Apply records one after the other."""
        for record in records:
            self.deliver(store, record)

    def stamp(self, record: Record) -> Stamp:
        """The record's stamp."""
        return record.stamp

    def canonical(self, store: Store) -> bytes:
        """The state, spelled out."""
        return spell(
            (
                *name,
                (it.kind, it.start, it.totals) if name[1] == COUNTER else it,
            )
            for name, it in store.cells.items()
        )

    def digest(self, store: Store) -> bytes:
        """Sum modulo 2^128 of the cells' hashes."""
        total = 0
        for name, content in store.cells.items():
            is_counter = name[1] == COUNTER
            held = (content.kind, content.start, sorted(content.totals.items())) if is_counter else content
            cell_hash = hashlib.blake2b(repr((name, held)).encode(), digest_size=16).digest()
            total += int.from_bytes(cell_hash, "big")
        return (total % 2**128).to_bytes(16, "big")

    def visible(self, store: Store) -> dict[str, Value]:
        """Grow one tree of all cells; each node knows its latest stamp by type."""
        root = Node()
        for (path, kind, stamp), content in store.cells.items():
            if kind == GRAVE:
                continue
            recency = self.recency(kind, stamp, content)
            node = root
            for key in path:
                node.saw(MAP, recency)
                node = node.children.setdefault(key, Node())
            node.saw(kind, recency)
            node.cells.setdefault(kind, {})[stamp] = content
        return {key: self.show(child) for key, child in sorted(root.children.items())}

    # --- order and time ---

    def order(self, stamp: Stamp) -> tuple[int, bytes, bytes]:
        """What stamps are compared by."""
        return stamp

    def is_real(self, content: Value) -> bool:
        """Whether a cell is not an initial one."""
        return not (content.is_initial if isinstance(content, Instance) else isinstance(content, Flagged))

    def recency(self, kind: str, stamp: Stamp, content: Value) -> Recency:
        """What cells are compared by when types compete: totals are real writes."""
        latest = self.latest(kind, stamp, content)
        own = (self.is_real(content), self.order(stamp))
        return max(own, (True, self.order(latest))) if latest != stamp else own

    def after(self, store: Store) -> int:
        """The least timestamp that the next transaction may have."""
        return 1 + max((reached.timestamp for reached in store.vector.values()), default=0)

    def latest(self, kind: str, stamp: Stamp, content: Value) -> Stamp:
        """The greatest stamp that a cell counts with when types compete: a counter's totals count."""
        return max([stamp, *(at for at, _ in content.totals.values())]) if kind == COUNTER else stamp

    # --- delivery ---

    def redeliver(self, store: Store, record: Record) -> bool:
        """A record that is already known changes nothing."""
        return False

    def is_causal(self, store: Store, record: Record) -> bool:
        """Whether the store's vector covers the record's author vector."""
        known = store.vector
        return all(known.get(origin, NOWHERE).position >= it.position for origin, it in record.author_vector.items())

    def is_covered(self, vector: Mapping[bytes, Reached], stamp: Stamp) -> bool:
        """Whether a vector claims the transaction that a stamp names."""
        return stamp.timestamp <= vector.get(stamp.origin, NOWHERE).timestamp

    def is_removed(self, record: Record, stamp: Stamp, content: Value) -> bool:
        """Whether a removal that fits a cell's path and type removes it: if its author had observed it."""
        return self.is_covered(record.author_vector, stamp)

    def fits(self, removal: Remove, path: Path, kind: str) -> bool:
        """Whether a removal speaks of a place."""
        return kind in removal.types and path[: len(removal.path)] == removal.path

    def merge(self, store: Store, record: Record) -> None:
        """Graves, then removals, then cells with what they replace, then increments."""
        for document in record.graves:
            self.bury(store, record, document)
        for name in [name for name in store.cells if any(self.fits(it, name[0], name[1]) for it in record.removals)]:
            if self.is_removed(record, name[2], store.cells[name]):
                del store.cells[name]
        for path, kind, content in record.cells:
            self.put(store, record, path, kind, content)
        for name, delta in record.increments:
            self.add(store, record, name, delta)
        store.vector[record.stamp.origin] = Reached(record.position, record.stamp.timestamp)

    def put(self, store: Store, record: Record, path: Path, kind: str, content: Value) -> None:
        """Add a cell; an implicit instance replaces nothing, others what was observed of their type."""
        if self.is_buried(store, path[0]):
            return
        if not (kind == COUNTER and content[0] == "implicit"):
            for name in [name for name in store.cells if name[:2] == (path, kind)]:
                if self.is_removed(record, name[2], store.cells[name]):
                    del store.cells[name]
        if kind == COUNTER:
            is_explicit = content[0] != "implicit"
            instance = Instance(is_explicit, content[1] if is_explicit else 0, is_initial=content[0] == "initial")
            if not is_explicit:
                instance.totals[self.replica(record.stamp)] = (record.stamp, content[1])
            content = instance
        store.cells[path, kind, record.stamp] = content

    def is_buried(self, store: Store, document: str) -> bool:
        """Whether a document has a grave."""
        return any(name[1] == GRAVE and name[0] == (document,) for name in store.cells)

    def bury(self, store: Store, record: Record, document: str) -> None:
        """Put a grave in the place of a document; of two the greater stays."""
        store.cells[(document,), GRAVE, record.stamp] = None
        store.cells = self.settle(store.cells)

    def settle(self, cells: Mapping[CellName, Value]) -> dict[CellName, Value]:
        """Leave nothing beside the greatest grave of a document."""
        graves: dict[str, Stamp] = {}
        for path, kind, stamp in cells:
            if kind == GRAVE:
                graves[path[0]] = max(stamp, graves.get(path[0], stamp))
        alive = {name: it for name, it in cells.items() if name[0][0] not in graves}
        return {**alive, **{((document,), GRAVE, stamp): None for document, stamp in graves.items()}}

    def add(self, store: Store, record: Record, name: CellName, delta: Number) -> None:
        """Add to the instance that the record names; one that is gone was removed."""
        instance = store.cells.get(name)
        if instance is not None:
            replica = self.replica(record.stamp)
            before = instance.totals.get(replica)
            instance.totals[replica] = (record.stamp, self.total(before[1], delta) if before else delta)

    def replica(self, stamp: Stamp) -> tuple[bytes, bytes]:
        """Who keeps a total."""
        return (stamp.actor, stamp.origin)

    def total(self, before: Number, delta: Number) -> Number:
        """A replica's next total."""
        return fit(before + delta)

    # --- joins ---

    def copy(self, store: Store) -> Store:
        """Another store that holds the same."""
        return replace(store, vector=dict(store.vector), cells={name: fresh(it) for name, it in store.cells.items()})

    def join(self, store: Store, other: Store) -> None:
        """Keep what both hold, and of the rest what the side without it has not seen."""
        ours, theirs = store.cells, other.cells
        both = {name: self.join_content(it, theirs[name]) for name, it in ours.items() if name in theirs}
        here = {name: it for name, it in ours.items() if name not in theirs and self.survives(name, it, other.vector)}
        there = {name: it for name, it in theirs.items() if name not in ours and self.survives(name, it, store.vector)}
        store.cells = self.settle({**both, **here, **{name: fresh(it) for name, it in there.items()}})
        store.vector = self.join_vectors(store.vector, other.vector)

    def survives(self, name: CellName, content: Value, vector: Mapping[bytes, Reached]) -> bool:
        """Whether a cell outlives the side that does not hold it and has this vector."""
        return name[1] == GRAVE or not self.is_covered(vector, name[2])

    def join_content(self, ours: Value, theirs: Value) -> Value:
        """What both sides hold; of a counter the totals of both."""
        if not isinstance(ours, Instance):
            return ours
        totals = dict(theirs.totals)
        for replica, total in ours.totals.items():
            totals[replica] = self.join_total(total, totals[replica]) if replica in totals else total
        return replace(ours, totals=totals)

    def join_total(self, ours: tuple[Stamp, Number], theirs: tuple[Stamp, Number]) -> tuple[Stamp, Number]:
        """One replica's total: the later one."""
        return max(ours, theirs, key=lambda total: total[0])

    def join_vectors(self, ours: Mapping[bytes, Reached], theirs: Mapping[bytes, Reached]) -> dict[bytes, Reached]:
        """For each origin the further position."""
        return {at: max(ours.get(at, NOWHERE), theirs.get(at, NOWHERE)) for at in {*ours, *theirs}}

    def knowledge(self, store: Store) -> object:
        """The vector."""
        return store.vector

    # --- the fold ---

    def fold(
        self, store: Store, operations: Sequence[Operation]
    ) -> tuple[
        tuple[Remove, ...],
        tuple[tuple[Path, str, Value], ...],
        tuple[tuple[CellName, Number], ...],
        tuple[str, ...],
    ]:
        """A transaction's net effect on what the store holds.

        Raises:
            TypeConflict: Two types at one path.
        """
        removals: list[Remove] = []
        cells: dict[tuple[Path, str], Value] = {}
        increments: dict[CellName, Number] = {}
        graves: list[str] = []
        for operation in operations:
            if isinstance(operation, Bury):
                removals = [it for it in removals if it.path[:1] != operation.path]
                cells = {key: it for key, it in cells.items() if key[0][:1] != operation.path}
                increments = {name: it for name, it in increments.items() if name[0][:1] != operation.path}
                graves.append(operation.path[0])
                continue
            if isinstance(operation, Increment):
                self.fold_increment(store, operation, removals, cells, increments)
                continue
            write = operation.write if isinstance(operation, Initial) else operation
            effect = write if isinstance(write, Remove) else Remove(write.path, KIND_OF[type(write)])
            for key in [key for key in cells if self.is_undone(effect, operation, *key)]:
                del cells[key]
            for name in [name for name in increments if self.is_undone(effect, operation, name[0], name[1])]:
                del increments[name]
            match write:
                case Remove():
                    removals.append(write)
                case Put(path, value):
                    cells[path, REGISTER] = value
                case Attach(path, value):
                    cells[path, ATTACHMENT] = value
                case Mark(path):
                    cells[path, MAP] = None
                case Restart(path, start):
                    cells[path, COUNTER] = ("initial" if isinstance(operation, Initial) else "explicit", start)
            if isinstance(operation, Initial) and not isinstance(write, Restart):
                [kind] = effect.types
                cells[write.path, kind] = Flagged(cells[write.path, kind])
        check_types([*cells, *{name[:2] for name in increments}])
        return (
            tuple(removals),
            tuple((*key, content) for key, content in cells.items()),
            tuple(increments.items()),
            tuple(graves),
        )

    def is_undone(self, effect: Remove, operation: Operation, path: Path, kind: str) -> bool:
        """Whether an operation undoes an earlier one of its transaction; a write at its path only."""
        return self.fits(effect, path, kind) and (isinstance(operation, Remove) or path == effect.path)

    def fold_increment(
        self,
        store: Store,
        operation: Increment,
        removals: list[Remove],
        cells: dict[tuple[Path, str], Value],
        increments: dict[CellName, Number],
    ) -> None:
        """Choose the instance: the transaction's own, else the highest live one, else a new implicit one."""
        path, amount = operation
        own = cells.get((path, COUNTER))
        name = None if any(self.fits(it, path, COUNTER) for it in removals) else self.choose(store, path)
        if own is not None:
            cells[path, COUNTER] = ("explicit" if own[0] == "initial" else own[0], own[1] + amount)
        elif name is not None:
            increments[name] = increments[name] + amount if name in increments else amount
        else:
            cells[path, COUNTER] = ("implicit", amount)

    def choose(self, store: Store, path: Path) -> CellName | None:
        """The highest explicit instance at a path, else the highest implicit one."""
        here = {name[2]: it for name, it in store.cells.items() if name[:2] == (path, COUNTER)}
        highest = self.highest(here)
        if highest is None:
            implicit = [stamp for stamp, it in here.items() if not it.is_explicit]
            highest = max(implicit, key=self.order, default=None)
        return None if highest is None else (path, COUNTER, highest)

    def highest(self, instances: Mapping[Stamp, Instance]) -> Stamp | None:
        """The explicit instance that counts: initial ones last; untouched ones only where no other is."""
        ranks = {at: (self.is_real(it), bool(it.totals), self.order(at)) for at, it in instances.items()}
        ranks = {at: (real, real or touched, order) for at, (real, touched, order) in ranks.items()}
        explicit = [stamp for stamp, it in instances.items() if it.is_explicit]
        best = max(explicit, key=lambda at: ranks[at], default=None)
        return None if best and not ranks[best][1] and len(explicit) < len(instances) else best

    # --- what is seen ---

    def show(self, node: Node) -> Value:
        """The value of a place."""
        kind = max(node.seen, key=lambda kind: (node.seen[kind], -SHOWN_FIRST.index(kind)))
        if kind == MAP:
            return {key: self.show(child) for key, child in sorted(node.children.items())}
        here = node.cells[kind]
        if kind == COUNTER:
            return self.value(here)
        content = here[max(here, key=lambda stamp: (self.is_real(here[stamp]), self.order(stamp)))]
        content = content.content if isinstance(content, Flagged) else content
        return {"id": content, "len": 0, "metadata": {}} if kind == ATTACHMENT else content

    def value(self, instances: Mapping[Stamp, Instance]) -> Number:
        """Start of the explicit instance that counts, then the totals that count, in their fixed order."""
        explicit = self.highest(instances)
        counted = {made: it for made, it in instances.items() if made == explicit or not it.is_explicit}
        value: Number = 0 if explicit is None else instances[explicit].start
        for total in self.addends(counted):
            value += total
        return fit(value)

    def addends(self, counted: Mapping[Stamp, Instance]) -> Iterable[Number]:
        """Totals by (actor, origin), then by instance."""
        each = [(who, made, total) for made, it in counted.items() for who, (_, total) in it.totals.items()]
        return [total for _, _, total in sorted(each)]


def check_types(touched: Sequence[tuple[Path, str]]) -> None:
    """Refuse two types at one path, and a value above another path of its transaction."""
    values = {path for path, kind in touched if kind != MAP}
    above = {path[:length] for path, _ in touched for length in range(len(path))}
    if len({path for path, _ in touched}) < len(touched) or values & above:
        raise TypeConflict(touched)


def fit(number: Number) -> Number:
    """An integer beyond 64 bits as a double, an infinite double as the greatest finite one."""
    if isinstance(number, int):
        return number if -(2**63) <= number < 2**63 else float(number)
    return math.copysign(sys.float_info.max, number) if math.isinf(number) else number


def fresh(content: Value) -> Value:
    """What a cell holds, to be changed apart: a counter's totals."""
    return replace(content, totals=dict(content.totals)) if isinstance(content, Instance) else content


KIND_OF = {
    Put: frozenset((REGISTER,)),
    Mark: frozenset((MAP,)),
    Restart: frozenset((COUNTER,)),
    Attach: frozenset((ATTACHMENT,)),
}


class Node:
    """A place in the visible tree."""

    __slots__ = ("cells", "children", "seen")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.cells: dict[str, dict[Stamp, Value]] = {}
        self.seen: dict[str, Recency] = {}

    def saw(self, kind: str, recency: Recency) -> None:
        """Note that a cell of a type counts here."""
        if kind not in self.seen or recency > self.seen[kind]:
            self.seen[kind] = recency
