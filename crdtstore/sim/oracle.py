"""The naive oracle: what a document must hold, from a set of transactions and what each had observed, and nothing else.

Rules: a cell lives when its transaction is in the set and none of the set that had observed it removes it. A counter's
instance collects what transactions of the set added to it. Nothing here knows the order in which a store applied them,
joins, vectors of records, or any merge code; records are read with msgpack alone. What is visible follows from the
cells by the rules of `docs/merge.md`, written down a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import msgpack

from crdtstore.crdt.path import decode_path
from crdtstore.sim.ledger import Ledger, Transaction

REGISTER, MAP, COUNTER = 1, 2, 3
REMOVE, WRITE, MARK, START, RESTART, INCREMENT = range(6)
KINDS = {WRITE: REGISTER, MARK: MAP, START: COUNTER, RESTART: COUNTER}

Stamp: TypeAlias = tuple[int, bytes, bytes]
Place: TypeAlias = tuple[tuple[str, ...], int]
"""A path and a type."""

Name: TypeAlias = tuple[tuple[str, ...], int, Stamp]
"""A cell's: path, type, stamp."""

Totals: TypeAlias = Mapping[tuple[bytes, bytes], tuple[Stamp, Any]]
"""(actor, origin) -> when it last added, and how much in all."""


class Instance(NamedTuple):
    """What a counter's cell holds."""

    explicit: bool
    start: Any
    totals: Totals


State: TypeAlias = Mapping[Name, Any]
"""The live cells of one document: a register's value, None for a marker, an Instance."""


class Effect(NamedTuple):
    """What one transaction does to one document."""

    transaction: Transaction
    stamp: Stamp
    removals: tuple[tuple[tuple[str, ...], int], ...]
    cells: Mapping[Place, Any]
    replaced: tuple[Place, ...]
    added: tuple[tuple[tuple[str, ...], Stamp, Any], ...]


class Oracle:
    """What documents must hold; reads each record once."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.read: list[int] = []
        self.effects: dict[tuple[str, bytes], list[Effect]] = {}

    def documents(self) -> list[tuple[str, bytes]]:
        """Collection and encoded id of every document that was ever touched, sorted."""
        self.read_on()
        return sorted(self.effects)

    def read_on(self) -> None:
        """Read the records that came since the last time."""
        self.read += [0] * (len(self.ledger.logs) - len(self.read))
        for number, log in enumerate(self.ledger.logs):
            for transaction in log[self.read[number] :]:
                self.read_record(transaction)
            self.read[number] = len(log)

    def read_record(self, transaction: Transaction) -> None:
        """Enter what one record does to its documents."""
        _, origin, _, actor, timestamp, _, changes = msgpack.unpackb(
            transaction.record, raw=False, strict_map_key=False
        )
        for collection, id_, operations in changes:
            effect = effect_of(transaction, (timestamp, actor, origin), operations)
            self.effects.setdefault((collection, id_), []).append(effect)

    def state(self, document: tuple[str, bytes], seen: Mapping[int, int]) -> State:
        """The cells that live in a document after a set of transactions, given as a vector of positions."""
        self.read_on()
        applied = [
            effect
            for effect in self.effects.get(document, ())
            if effect.transaction.position <= seen.get(effect.transaction.origin, 0)
        ]
        return dict(live_cells(applied))


def effect_of(transaction: Transaction, stamp: Stamp, operations: Sequence[Any]) -> Effect:
    """What the operations of a record come to."""
    removals, cells, replaced, added = [], {}, [], []
    for code, encoded, *rest in operations:
        path = decode_path(encoded)
        if code == REMOVE:
            removals.append((path, rest[0]))
        elif code == INCREMENT:
            timestamp, actor, origin, delta = rest
            added.append((path, (timestamp, actor, origin), delta))
        else:
            place = (path, KINDS[code])
            cells[place] = content_of(code, rest, stamp)
            if code != START:
                replaced.append(place)
    return Effect(transaction, stamp, tuple(removals), cells, tuple(replaced), tuple(added))


def content_of(code: int, rest: Sequence[Any], stamp: Stamp) -> Any:
    """What a new cell holds."""
    if code == START:
        return Instance(explicit=False, start=0, totals={stamp[1:]: (stamp, rest[0])})
    if code == RESTART:
        return Instance(explicit=True, start=rest[0], totals={})
    return rest[0] if code == WRITE else None


def live_cells(applied: Sequence[Effect]) -> Iterator[tuple[Name, Any]]:
    """The cells that no other transaction of the set, having observed them, removes.

    Whoever removes a cell most likely came last: looking from the end finds it soon.
    """
    removers = [effect for effect in reversed(applied) if effect.removals]
    replacers: dict[Place, list[Effect]] = {}
    for effect in reversed(applied):
        for place in effect.replaced:
            replacers.setdefault(place, []).append(effect)
    for effect in applied:
        for place, content in effect.cells.items():
            rivals = chain(replacers.get(place, ()), (other for other in removers if removes(other, place)))
            if not any(had_observed(other, effect) for other in rivals):
                name = (*place, effect.stamp)
                yield name, add_up(name, content, applied) if place[1] == COUNTER else content


def had_observed(effect: Effect, other: Effect) -> bool:
    """Whether one transaction had observed another, which never is itself."""
    observed, origin = effect.transaction.observed, other.transaction.origin
    return origin < len(observed) and other.transaction.position <= observed[origin]


def removes(effect: Effect, place: Place) -> bool:
    """Whether a removal of a transaction's is of a place."""
    path, kind = place
    return any(types >> kind & 1 and path[: len(prefix)] == prefix for prefix, types in effect.removals)


def add_up(name: Name, created: Instance, applied: Sequence[Effect]) -> Instance:
    """An instance with what the set added to it; `applied` has each origin's in their order."""
    path, _, stamp = name
    totals = dict(created.totals)
    for effect in applied:
        for to_path, instance, delta in effect.added:
            if to_path == path and instance == stamp:
                replica = effect.stamp[1:]
                before = totals[replica][1] if replica in totals else 0
                totals[replica] = (effect.stamp, before + delta)
    return created._replace(totals=totals)


# --- what a reader sees ---


def visible(state: State) -> dict[str, Any] | None:
    """The document's fields as a reader sees them; None when it does not exist."""
    return value_of_map(state, ()) if state else None


def visible_value(state: State, path: tuple[str, ...]) -> Any:
    """The value at a path where something lives."""
    kind = visible_kind(state, path)
    here = {stamp: content for (at, its, stamp), content in state.items() if at == path and its == kind}
    if kind == REGISTER:
        return here[max(here)]
    return counter_value(here) if kind == COUNTER else value_of_map(state, path)


def value_of_map(state: State, path: tuple[str, ...]) -> dict[str, Any]:
    """The visible children of a map."""
    depth = len(path)
    keys = sorted({at[depth] for at, _, _ in state if len(at) > depth and at[:depth] == path})
    return {key: visible_value(state, (*path, key)) for key in keys}


def visible_kind(state: State, path: tuple[str, ...]) -> int:
    """The type with the newest stamp among the live cells; of a map, what lives below counts too."""
    rivals = []
    for name, content in state.items():
        at, kind, _ = name
        if at[: len(path)] == path:
            rivals.append((newest(name, content), kind if at == path else MAP))
    return max(rivals)[1]


def newest(name: Name, content: Any) -> Stamp:
    """The newest stamp of a cell: its own, or that of a total."""
    totals = content.totals.values() if isinstance(content, Instance) else ()
    return max([name[2], *(stamp for stamp, _ in totals)])


def counter_value(instances: Mapping[Stamp, Instance]) -> Any:
    """Start of the newest explicit instance; its totals and those of all implicit ones by (actor, origin)."""
    explicit = max((stamp for stamp, it in instances.items() if it.explicit), default=None)
    counted = {stamp: it for stamp, it in instances.items() if not it.explicit or stamp == explicit}
    value = instances[explicit].start if explicit else 0
    parts = [(replica, stamp, total) for stamp, it in counted.items() for replica, (_, total) in it.totals.items()]
    for _, _, total in sorted(parts):
        value += total
    return value
