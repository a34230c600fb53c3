"""The planted bugs: engines broken in one rule each, which the laws must catch.

Rules: a bug overrides the one method of the model where it would be made, and nothing else. `PLANTED` says
how many operations on top of a base the smallest history has that shows it, and the law it breaks first.

Planted later, with the step that brings what they break:

| bug | waits for |
|---|---|
| the log after a join serves peers below the floor | trimmed logs |
| records are relayed whose dependencies a scoped exchange left out; one vector for all scopes | scopes |
| a vector claims what was evicted, skipped or dropped in repair | scopes, eviction |
| a restored store keeps its epoch; records leave before they are durable | restore, the simulator |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from tests.laws.histories import Operations
from tests.laws.model import CellName, Instance, Model, Reached, Record, Store
from tests.laws.operations import (
    ALL_TYPES,
    ATTACHMENT,
    COUNTER,
    GRAVE,
    REGISTER,
    Attach,
    Bury,
    Flagged,
    Increment,
    Initial,
    Number,
    Path,
    Put,
    Remove,
    Restart,
    Stamp,
    Value,
)


class DropsLosers(Model):
    """The lower of two concurrent values is dropped by comparison."""

    def put(self, store: Store, record: Record, path: Path, kind: str, content: Value) -> None:
        super().put(store, record, path, kind, content)
        if kind == REGISTER:
            siblings = [name for name in store.cells if name[:2] == (path, kind)]
            for loser in sorted(siblings, key=lambda name: name[2])[:-1]:
                del store.cells[loser]


class TotalKeepsAlive(Model):
    """A total counts as life: a removal spares an instance with an increment that it did not observe."""

    def is_removed(self, record: Record, stamp: Stamp, content: Value) -> bool:
        totals = content.totals.values() if isinstance(content, Instance) else ()
        return all(self.is_covered(record.author_vector, each) for each in (stamp, *(at for at, _ in totals)))


class OwnOriginClock(Model):
    """The clock is ahead of its own origin's log only."""

    def after(self, store: Store) -> int:
        return 1 + store.vector.get(store.origin, Reached(0, 0)).timestamp


class TimestampsRepeat(Model):
    """The clock is not ahead, only not behind: timestamps do not increase strictly."""

    def after(self, store: Store) -> int:
        return super().after(store) - 1


class TieWithoutOrigin(Model):
    """(timestamp, actor) is taken for a total order."""

    def order(self, stamp: Stamp) -> tuple[int, bytes, bytes]:
        return (stamp.timestamp, stamp.actor, b"")


class ReplicaIsActor(Model):
    """A client that roams between stores shares one total."""

    def add(self, store: Store, record: Record, name: CellName, delta: Number) -> None:
        actor = record.stamp.actor
        instance = store.cells.get(name)
        same = (
            next((stamp for who, (stamp, _) in instance.totals.items() if who[0] == actor), None) if instance else None
        )
        if instance is None or same is None:
            super().add(store, record, name, delta)
        else:
            replica = (actor, same.origin)
            instance.totals[replica] = (
                record.stamp._replace(origin=same.origin),
                instance.totals[replica][1] + delta,
            )


class RemovesEverything(Model):
    """A removal takes whatever is there, observed or not."""

    def is_removed(self, record: Record, stamp: Stamp, content: Value) -> bool:
        return True


class ReceiverChooses(Model):
    """The receiver chooses the instance of an increment, and creates one on nothing."""

    def add(self, store: Store, record: Record, name: CellName, delta: Number) -> None:
        chosen = self.choose(store, name[0])
        if chosen is None:
            self.put(store, record, name[0], COUNTER, ("implicit", delta))
        else:
            super().add(store, record, chosen, delta)


class IncrementRemovesLosers(Model):
    """An increment counts as a write that removes the other instances which it observed."""

    def add(self, store: Store, record: Record, name: CellName, delta: Number) -> None:
        super().add(store, record, name, delta)
        for other in [other for other in store.cells if other[:2] == name[:2] and other != name]:
            if self.is_covered(record.author_vector, other[2]):
                del store.cells[other]


class SumsAsInterned(Model):
    """Totals are added in the order in which this store met their replicas."""

    def addends(self, counted: Mapping[Stamp, Instance]) -> Iterable[Number]:
        return [total for instance in counted.values() for _, total in instance.totals.values()]


class NoCausalityCheck(Model):
    """Records are applied in each origin's own order, whatever their authors had seen from others."""

    def is_causal(self, store: Store, record: Record) -> bool:
        return True


class GreatestTotalWins(Model):
    """A replica's total never goes down."""

    def total(self, before: Number, delta: Number) -> Number:
        return max(before, before + delta)


class RedeliveryAdds(Model):
    """An increment that arrives again is added again."""

    def redeliver(self, store: Store, record: Record) -> bool:
        for name, delta in record.increments:
            self.add(store, record, name, delta)
        return False


class RedeliveryRevives(Model):
    """A write that arrives again is put again, though something later had removed it."""

    def redeliver(self, store: Store, record: Record) -> bool:
        for path, kind, content in record.cells:
            self.put(store, record, path, kind, content)
        return False


class ObservesItself(Model):
    """A removal takes what its own transaction wrote after it."""

    def merge(self, store: Store, record: Record) -> None:
        super().merge(store, record)
        late = [name for name in store.cells if name[2] == record.stamp]
        for name in [name for name in late if any(self.fits(it, name[0], name[1]) for it in record.removals)]:
            del store.cells[name]


class PrefixByLetters(Model):
    """A path is below another when its text starts with the other's."""

    def fits(self, removal: Remove, path: Path, kind: str) -> bool:
        return kind in removal.types and ".".join(path).startswith(".".join(removal.path))


class PutClearsBelow(Model):
    """A register removes the observed registers below its path as well."""

    def put(self, store: Store, record: Record, path: Path, kind: str, content: Value) -> None:
        if kind == REGISTER:
            for name in [name for name in store.cells if name[1] == kind and name[0][: len(path)] == path]:
                if self.is_removed(record, name[2], store.cells[name]):
                    del store.cells[name]
        super().put(store, record, path, kind, content)


class EveryExplicitCounts(Model):
    """Totals of all explicit instances are added, not those of the highest."""

    def value(self, instances: Mapping[Stamp, Instance]) -> Number:
        starts = sum(it.start for it in instances.values() if it.is_explicit)
        return starts + sum(self.addends(instances))


class TotalsAreNotRecent(Model):
    """Increments do not make a counter, or the map that holds it, the type last written."""

    def latest(self, kind: str, stamp: Stamp, content: Value) -> Stamp:
        return stamp


class DigestWithoutTotals(Model):
    """The digest covers what a counter was created with only."""

    def digest(self, store: Store) -> bytes:
        bare = {name: replace(it, totals={}) if isinstance(it, Instance) else it for name, it in store.cells.items()}
        return super().digest(replace(store, cells=bare))


class GraveClearsGraves(Model):
    """A grave takes whatever is there, another grave too: the one delivered last stays."""

    def bury(self, store: Store, record: Record, document: str) -> None:
        store.cells = {name: it for name, it in store.cells.items() if name[0][0] != document}
        store.cells[(document,), GRAVE, record.stamp] = None


class GraveSparesConcurrent(Model):
    """A write that comes behind a concurrent grave is put beside it."""

    def is_buried(self, store: Store, document: str) -> bool:
        return False


class ReceiverDecides(Model):
    """Whether a document is buried or removed is a setting of who receives it: here one store buries, others do not."""

    def bury(self, store: Store, record: Record, document: str) -> None:
        if store.origin == record.stamp.origin:
            super().bury(store, record, document)
        else:
            super().merge(store, record._replace(graves=(), removals=(Remove((document,), ALL_TYPES),)))


class InitialIsSeen(Model):
    """An initial write is seen like any other: the later one wins."""

    def is_real(self, content: Value) -> bool:
        return True


class InitialAdds(Model):
    """An initial counter counts beside another one, although nobody added to it."""

    def highest(self, instances: Mapping[Stamp, Instance]) -> Stamp | None:
        explicit = [stamp for stamp, it in instances.items() if it.is_explicit]
        return max(explicit, key=lambda at: (self.is_real(instances[at]), self.order(at)), default=None)


class AttachmentIsRegister(Model):
    """An attachment replaces the registers at its path, as if both were of one type."""

    def put(self, store: Store, record: Record, path: Path, kind: str, content: Value) -> None:
        for other in (REGISTER, ATTACHMENT) if kind in (REGISTER, ATTACHMENT) else ():
            for name in [name for name in store.cells if name[:2] == (path, other)]:
                if self.is_removed(record, name[2], store.cells[name]):
                    del store.cells[name]
        super().put(store, record, path, kind, content)


class GraveIsDropped(Model):
    """A join drops a grave that only one side has."""

    def join(self, store: Store, other: Store) -> None:
        ours, theirs = store.cells, other.cells
        super().join(store, other)
        kept = [name for name in store.cells if name[1] != GRAVE or (name in ours and name in theirs)]
        store.cells = {name: store.cells[name] for name in kept}


class FlagIsLost(Model):
    """A join takes what the other side alone holds for a real write."""

    def join(self, store: Store, other: Store) -> None:
        ours = store.cells
        super().join(store, other)
        store.cells = {name: it if name in ours else unflagged(it) for name, it in store.cells.items()}


def unflagged(content: Value) -> Value:
    """What a cell would hold if it were a real one."""
    if isinstance(content, Instance):
        return replace(content, is_initial=False)
    return content.content if isinstance(content, Flagged) else content


class Adopts(Model):
    """A snapshot takes the place of what is there."""

    def join(self, store: Store, other: Store) -> None:
        store.cells = self.copy(other).cells
        store.vector = self.join_vectors(store.vector, other.vector)


class KeepsItsOwn(Model):
    """A join looks at one side only: what the other side lacks is always kept."""

    def join(self, store: Store, other: Store) -> None:
        ours = store.cells
        super().join(store, other)
        store.cells = {**ours, **store.cells}


class KeepsAll(Model):
    """A join is a union: it does not ask what either side has seen."""

    def survives(self, name: CellName, content: Value, vector: Mapping[bytes, Reached]) -> bool:
        return True


class AsksItsOwnVector(Model):
    """Whether a cell was seen is asked of the side that holds it."""

    def join(self, store: Store, other: Store) -> None:
        ours, theirs = store.vector, other.vector
        swapped = replace(other, vector=ours)
        store.vector = theirs
        super().join(store, swapped)
        store.vector = self.join_vectors(ours, theirs)


class CoveredByTheGreatest(Model):
    """What is not newer than the greatest timestamp of a vector, over all origins, counts as seen."""

    def survives(self, name: CellName, content: Value, vector: Mapping[bytes, Reached]) -> bool:
        return name[2].timestamp > max((reached.timestamp for reached in vector.values()), default=0)


class TotalKeepsAliveInJoins(Model):
    """An instance survives a side that removed it, if that side has not seen its latest total."""

    def survives(self, name: CellName, content: Value, vector: Mapping[bytes, Reached]) -> bool:
        return not self.is_covered(vector, self.latest(name[1], name[2], content))


class TotalsAreAdded(Model):
    """A join adds the two totals of a replica."""

    def join_total(self, ours: tuple[Stamp, Number], theirs: tuple[Stamp, Number]) -> tuple[Stamp, Number]:
        return (max(ours[0], theirs[0]), ours[1] + theirs[1])


class GreatestTotalIsTaken(Model):
    """A join takes the greater of the two totals of a replica, not the later."""

    def join_total(self, ours: tuple[Stamp, Number], theirs: tuple[Stamp, Number]) -> tuple[Stamp, Number]:
        return (max(ours[0], theirs[0]), max(ours[1], theirs[1]))


class VectorForgets(Model):
    """A joined vector leaves out the origins that were not known before."""

    def join_vectors(self, ours: Mapping[bytes, Reached], theirs: Mapping[bytes, Reached]) -> dict[bytes, Reached]:
        return {origin: reached for origin, reached in super().join_vectors(ours, theirs).items() if origin in ours}


class Planted(NamedTuple):
    """A bug, the size of the smallest history that shows it, a law that it breaks, and where to look."""

    bug: type[Model]
    size: int
    law: str
    menu: tuple[Operations, ...] = ()


ON_COUNTERS: tuple[Operations, ...] = (
    (Increment(("d", "c"), 0.2),),
    (Restart(("d", "c"), 10),),
    (Increment(("d", "x"), 4),),
    (Put(("d", "x"), 1),),
)

ON_REGISTERS: tuple[Operations, ...] = (
    (Put(("d", "x"), 1),),
    (Put(("d", "x"), "other"),),
    (Remove(("d",)),),
)

ON_INITIALS: tuple[Operations, ...] = (
    (Initial(Restart(("d", "c"), 7)),),
    (Increment(("d", "c"), 2),),
    (Initial(Put(("d", "x"), 6)),),
    (Put(("d", "x"), 1),),
)

ON_GRAVES: tuple[Operations, ...] = (
    (Put(("d", "x"), 1),),
    (Bury(("d",)),),
    (Attach(("d", "x"), "file"),),
)

PLANTED = (
    Planted(GraveClearsGraves, 2, "state", ON_GRAVES),
    Planted(GraveSparesConcurrent, 2, "state", ON_GRAVES),
    Planted(ReceiverDecides, 1, "state", ON_GRAVES),
    Planted(InitialIsSeen, 2, "visible", ON_INITIALS),
    Planted(InitialAdds, 2, "visible", ON_INITIALS),
    Planted(AttachmentIsRegister, 1, "state", ON_GRAVES),
    Planted(DropsLosers, 2, "state"),
    Planted(TotalKeepsAlive, 2, "state"),
    Planted(OwnOriginClock, 2, "own write"),
    Planted(TimestampsRepeat, 2, "own write"),
    Planted(TieWithoutOrigin, 2, "visible"),
    Planted(ReplicaIsActor, 1, "state"),
    Planted(RemovesEverything, 2, "state"),
    Planted(ReceiverChooses, 2, "state"),
    Planted(IncrementRemovesLosers, 3, "state", ON_COUNTERS),
    Planted(SumsAsInterned, 2, "visible"),
    Planted(NoCausalityCheck, 1, "causality"),
    Planted(GreatestTotalWins, 2, "state"),
    Planted(RedeliveryAdds, 1, "state"),
    Planted(RedeliveryRevives, 1, "state"),
    Planted(ObservesItself, 1, "state"),
    Planted(PrefixByLetters, 2, "state"),
    Planted(PutClearsBelow, 1, "state"),
    Planted(EveryExplicitCounts, 2, "visible"),
    Planted(TotalsAreNotRecent, 3, "visible", ON_COUNTERS),
    Planted(DigestWithoutTotals, 1, "digest"),
)

PLANTED_IN_JOINS = (
    Planted(GraveIsDropped, 1, "join", ON_GRAVES),
    Planted(FlagIsLost, 1, "join", ON_INITIALS),
    Planted(Adopts, 1, "join"),
    Planted(KeepsItsOwn, 1, "join"),
    Planted(KeepsAll, 1, "join"),
    Planted(AsksItsOwnVector, 1, "join"),
    Planted(CoveredByTheGreatest, 2, "join"),
    Planted(TotalKeepsAliveInJoins, 2, "join"),
    Planted(TotalsAreAdded, 1, "join"),
    Planted(GreatestTotalIsTaken, 2, "join"),
    Planted(VectorForgets, 1, "idempotence"),
)
