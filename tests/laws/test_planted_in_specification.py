"""The same bugs, planted in the modules of `crdtstore`: the specification, joins, sequencing and delivery.

Each bug replaces one function of the real code. It must be caught by a history of exactly the size at which
it first shows; the unbroken code passes the same histories (`test_small_histories`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import pytest

from crdtstore.crdt import counter, document, grave, join, merge, register, timestamp, vector
from crdtstore.crdt import map as map_type
from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.operation import Increment, Remove, Start, Write
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import decode_value
from crdtstore.storage.head import Head
from crdtstore.version import delivery
from tests.laws.checker import Laws, first_violation
from tests.laws.conftest import use_core
from tests.laws.engine import Engine
from tests.laws.histories import MENU, Operations, shuffled_histories
from tests.laws.joins import JoinLaws
from tests.laws.planted import ON_COUNTERS, ON_GRAVES, ON_INITIALS, ON_REGISTERS
from tests.laws.specification import Specification
from tests.laws.stores import Logs

Plant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
IsObserved: TypeAlias = Callable[[Stamp], bool]


class Planted(NamedTuple):
    """A bug by the name of its page, the smallest history that shows it, and the law that it breaks."""

    plant: Plant
    size: int
    law: str
    menu: tuple[Operations, ...] = MENU


# --- in the types ---


def drop_loser(patch: pytest.MonkeyPatch) -> None:
    """The lower of two concurrent values is dropped by comparison."""
    write = register.write

    def broken(cells: Iterable[Cell], operation: Write, stamp: Stamp, is_observed: IsObserved) -> list[Cell]:
        written = write(cells, operation, stamp, is_observed)
        rivals = [cell for cell in written if cell[:2] == written[-1][:2]]
        winner = max(rivals, key=lambda cell: cell.stamp)
        return [cell for cell in written if cell is winner or cell not in rivals]

    patch.setattr(register, "write", broken)


def tie_no_origin(patch: pytest.MonkeyPatch) -> None:
    """(timestamp, actor) is taken for a total order."""

    def broken(siblings: Iterable[Cell]) -> Any:
        return decode_value(max(siblings, key=lambda cell: cell.stamp[:2]).value)

    patch.setattr(register, "visible", broken)


def remove_all(patch: pytest.MonkeyPatch) -> None:
    """A removal takes whatever is there, observed or not."""
    remove = map_type.remove
    patch.setattr(map_type, "remove", lambda cells, operation, _: remove(cells, operation, lambda _: True))


def life_by_latest_total(patch: pytest.MonkeyPatch) -> None:
    """A removal spares a counter instance with a total that it did not observe."""
    remove = map_type.remove

    def broken(cells: Iterable[Cell], operation: Remove, is_observed: IsObserved) -> list[Cell]:
        kept = remove(cells, operation, is_observed)
        spared = [cell for cell in cells if cell.totals and not is_observed(cell.recency[1])]
        return [*kept, *(cell for cell in spared if cell not in kept)]

    patch.setattr(map_type, "remove", broken)


def prefix_by_letters(patch: pytest.MonkeyPatch) -> None:
    """A path is below another when its text starts with the other's."""
    remove = map_type.remove

    def broken(cells: Iterable[Cell], operation: Remove, is_observed: IsObserved) -> list[Cell]:
        return remove(cells, operation._replace(path=operation.path[:-1]), is_observed)

    patch.setattr(map_type, "remove", broken)


def inc_at_receiver(patch: pytest.MonkeyPatch) -> None:
    """The receiver chooses the instance of an increment, and creates one on nothing."""
    increment = counter.increment

    def broken(cells: Sequence[Cell], operation: Increment, stamp: Stamp) -> list[Cell]:
        chosen = counter.choose(
            [cell for cell in cells if (cell.path, cell.type) == (operation.path, CellType.COUNTER)]
        )
        if chosen is None:
            return counter.start(cells, Start(operation.path, operation.delta), stamp)
        return increment(cells, operation._replace(instance=chosen), stamp)

    patch.setattr(counter, "increment", broken)


def total_by_max(patch: pytest.MonkeyPatch) -> None:
    """A replica's total never goes down."""
    add_total = counter.add_total
    patch.setattr(counter, "add_total", lambda cell, stamp, delta: add_total(cell, stamp, max(delta, 0)))


def total_restarts(patch: pytest.MonkeyPatch) -> None:
    """An increment replaces its replica's total instead of adding to it."""

    def broken(cell: Cell, stamp: Stamp, delta: int) -> Cell:
        others = [total for total in cell.totals if total.stamp.replica != stamp.replica]
        return cell._replace(totals=(*others, Total(stamp, delta)))

    patch.setattr(counter, "add_total", broken)


def interned_sum(patch: pytest.MonkeyPatch) -> None:
    """Totals are added in the order in which they lie, not by (actor, origin)."""

    def broken(instances: Sequence[Cell]) -> Any:
        highest = max((cell for cell in instances if cell.explicit), key=lambda cell: cell.stamp, default=None)
        counted = [cell for cell in instances if not cell.explicit or cell is highest]
        value = decode_value(highest.value) if highest else 0
        return value + sum(total.amount for cell in counted for total in cell.totals)

    patch.setattr(counter, "visible", broken)


def every_explicit(patch: pytest.MonkeyPatch) -> None:
    """All explicit instances are counted, not the highest."""
    visible = counter.visible
    patch.setattr(counter, "visible", lambda instances: sum(visible([instance]) for instance in instances))


def replica_actor_only(patch: pytest.MonkeyPatch) -> None:
    """A client that roams between stores shares one total."""
    patch.setattr(Stamp, "replica", property(lambda stamp: stamp.actor + bytes(16)))


def totals_not_recent(patch: pytest.MonkeyPatch) -> None:
    """Increments do not make a counter, or the map that holds it, the type last written."""
    patch.setattr(Cell, "recency", property(lambda cell: (True, cell.stamp)))


def remove_losers(patch: pytest.MonkeyPatch) -> None:
    """An increment counts as a write that removes the other instances which it observed."""
    apply = merge.apply

    def broken(cells: list[Cell], operation: Any, stamp: Stamp, is_observed: IsObserved) -> list[Cell]:
        merged = apply(cells, operation, stamp, is_observed)
        if not isinstance(operation, Increment):
            return merged
        here = (operation.path, CellType.COUNTER)
        return [it for it in merged if it[:2] != here or it.stamp == operation.instance or not is_observed(it.stamp)]

    patch.setattr(merge, "apply", broken)


def removals_last(patch: pytest.MonkeyPatch) -> None:
    """A removal takes what its own transaction wrote after it."""
    apply = merge.apply

    def broken(cells: Iterable[Cell], operations: Iterable[Any], stamp: Stamp, is_observed: IsObserved) -> list[Cell]:
        merged = list(cells)
        for operation in sorted(operations, key=lambda it: isinstance(it, Remove)):
            merged = apply(merged, operation, stamp, lambda other: other == stamp or is_observed(other))
        return merged

    patch.setattr(merge, "merge", broken)


def digest_without_totals(patch: pytest.MonkeyPatch) -> None:
    """The digest covers what a counter was created with only."""
    parts = document.canonical_parts
    patch.setattr(document, "canonical_parts", lambda cell: parts(cell)[:1])


def grave_clears_graves(patch: pytest.MonkeyPatch) -> None:
    """The grave delivered last stays, not the greatest."""
    patch.setattr(grave, "bury", lambda cells, stamp: [Cell(b"", CellType.GRAVE, stamp, b"")])


def grave_spares_concurrent(patch: pytest.MonkeyPatch) -> None:
    """A write that comes behind a concurrent grave is put beside it."""
    patch.setattr(grave, "is_buried", lambda cells: False)


def initial_is_seen(patch: pytest.MonkeyPatch) -> None:
    """An initial write is seen like any other."""
    patch.setattr(
        Cell, "recency", property(lambda cell: (True, max(cell.stamp, *(it.stamp for it in cell.totals), cell.stamp)))
    )


def initial_adds(patch: pytest.MonkeyPatch) -> None:
    """An initial counter counts beside another one, although nobody added to it."""
    patch.setattr(
        counter,
        "highest_explicit",
        lambda instances: max((it for it in instances if it.explicit), key=counter.precedence, default=None),
    )


def attachment_is_register(patch: pytest.MonkeyPatch) -> None:
    """An attachment is stored as a register."""
    write = register.write
    patch.setattr(register, "write", lambda cells, it, *rest: write(cells, Write(it.path, it.value), *rest))


# --- in time and delivery ---


def ts_not_strict(patch: pytest.MonkeyPatch) -> None:
    """The clock is not ahead, only not behind."""
    patch.setattr(timestamp, "next_timestamp", lambda clock, greatest: max(clock << timestamp.LOGICAL_BITS, greatest))


def covered_by_origin(patch: pytest.MonkeyPatch) -> None:
    """A stamp counts as observed as soon as anything of its origin was."""
    patch.setattr(vector, "is_covered", lambda known, stamp: stamp.origin in known)


def no_causality_check(patch: pytest.MonkeyPatch) -> None:
    """Records are applied in each origin's own order, whatever their authors had seen from others."""
    patch.setattr(vector, "missing_from", lambda known, needed: None)


IN_SPECIFICATION = (
    Planted(grave_clears_graves, 2, "state", ON_GRAVES),
    Planted(grave_spares_concurrent, 2, "state", ON_GRAVES),
    Planted(initial_is_seen, 2, "visible", ON_INITIALS),
    Planted(initial_adds, 2, "visible", ON_INITIALS),
    Planted(attachment_is_register, 1, "state", ON_GRAVES),
    Planted(drop_loser, 2, "state"),
    Planted(tie_no_origin, 2, "visible"),
    Planted(remove_all, 2, "state"),
    Planted(life_by_latest_total, 2, "state"),
    Planted(prefix_by_letters, 2, "state"),
    Planted(inc_at_receiver, 2, "state"),
    Planted(total_by_max, 1, "state"),
    Planted(total_restarts, 2, "state"),
    Planted(interned_sum, 2, "visible"),
    Planted(every_explicit, 2, "visible"),
    Planted(replica_actor_only, 1, "state"),
    Planted(totals_not_recent, 3, "visible", ON_COUNTERS),
    Planted(remove_losers, 3, "state", ON_COUNTERS),
    Planted(removals_last, 1, "state"),
    Planted(digest_without_totals, 1, "digest"),
    Planted(ts_not_strict, 2, "own write"),
    Planted(covered_by_origin, 3, "state", ON_REGISTERS),
    Planted(no_causality_check, 1, "causality"),
)


def own_origin_clock(patch: pytest.MonkeyPatch) -> None:
    """The clock is ahead of its own origin's log only."""
    advance = Head.advance

    def broken(head: Head, origin: bytes, *reached: Any) -> None:
        greatest = head.greatest
        advance(head, origin, *reached)
        if origin != head.origin:
            head.greatest = greatest

    patch.setattr(Head, "advance", broken)


def vector_forgets_relayed(patch: pytest.MonkeyPatch) -> None:
    """A record does not tell what its author had seen from other origins."""
    patch.setattr(Head, "observed_since", lambda head: {})


def receiver_observes(patch: pytest.MonkeyPatch) -> None:
    """What a record observed is judged by the receiver's vector instead of its author's."""
    coverage = Head.coverage
    patch.setattr(Head, "coverage", lambda head, origin, observed: coverage(head, origin, head.vector))


def delivered_unchecked(patch: pytest.MonkeyPatch) -> None:
    """Nothing asks whether a record is due."""
    patch.setattr(delivery, "check_causal", lambda *_: None)


IN_LOGS = (
    Planted(own_origin_clock, 2, "delivery"),
    Planted(vector_forgets_relayed, 1, "causality"),
    Planted(receiver_observes, 2, "state"),
    Planted(delivered_unchecked, 1, "causality"),
)


# --- in joins ---


def adopt(patch: pytest.MonkeyPatch) -> None:
    """A snapshot takes the place of what is there."""
    patch.setattr(join, "join", lambda ours, theirs, our_vector, their_vector: list(theirs))


def join_one_sided(patch: pytest.MonkeyPatch) -> None:
    """What the other side lacks is always kept."""
    both_sides = join.join
    patch.setattr(join, "join", lambda ours, theirs, our_vector, _: both_sides(ours, theirs, our_vector, {}))


def join_union(patch: pytest.MonkeyPatch) -> None:
    """A join does not ask what either side has seen."""
    patch.setattr(join, "survives", lambda cell, vector: True)


def vectors_swapped(patch: pytest.MonkeyPatch) -> None:
    """Whether a cell was seen is asked of the side that holds it."""
    right = join.join
    patch.setattr(
        join, "join", lambda ours, theirs, our_vector, their_vector: right(ours, theirs, their_vector, our_vector)
    )


def covered_by_greatest(patch: pytest.MonkeyPatch) -> None:
    """What is not newer than the greatest timestamp of a vector, over all origins, counts as seen."""
    patch.setattr(join, "is_covered", lambda known, stamp: stamp.timestamp <= vector.greatest_timestamp(known))


def life_by_latest_total_in_joins(patch: pytest.MonkeyPatch) -> None:
    """A counter instance survives a side that removed it and has not seen its latest total."""
    patch.setattr(join, "survives", lambda cell, known: not vector.is_covered(known, cell.recency[1]))


def join_add_totals(patch: pytest.MonkeyPatch) -> None:
    """The two totals of a replica are added."""

    def broken(ours: Iterable[Total], theirs: Iterable[Total]) -> tuple[Total, ...]:
        sums: dict[bytes, Total] = {}
        for total in (*ours, *theirs):
            known = sums.get(total.stamp.replica, Total(total.stamp, 0))
            sums[total.stamp.replica] = Total(max(known.stamp, total.stamp), known.amount + total.amount)
        return tuple(sorted(sums.values()))

    patch.setattr(join, "join_totals", broken)


def join_max_total(patch: pytest.MonkeyPatch) -> None:
    """The greater of the two totals of a replica is taken, not the later one."""

    def broken(ours: Iterable[Total], theirs: Iterable[Total]) -> tuple[Total, ...]:
        greatest: dict[bytes, Total] = {}
        for total in sorted((*ours, *theirs), key=lambda total: (total.amount, total.stamp)):
            greatest[total.stamp.replica] = total
        return tuple(sorted(greatest.values()))

    patch.setattr(join, "join_totals", broken)


def totals_of_one_side(patch: pytest.MonkeyPatch) -> None:
    """A cell on both sides is taken as it is here, although its totals may have moved there."""
    patch.setattr(join, "join_cell", lambda ours, theirs: ours)


def vector_forgets_joined(patch: pytest.MonkeyPatch) -> None:
    """A joined vector leaves out the origins that were not known before."""
    whole = join.join_vectors
    patch.setattr(
        join,
        "join_vectors",
        lambda ours, theirs: {origin: it for origin, it in whole(ours, theirs).items() if origin in ours},
    )


def authors_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A snapshot comes without the author vectors of its origins."""
    patch.setattr(join, "join_authors", lambda ours, theirs, our_vector, their_vector: ours)


def grave_as_any_cell(patch: pytest.MonkeyPatch) -> None:
    """A grave is joined as any cell would be, with others beside it."""
    patch.setattr(join, "join_graves", lambda ours, theirs: None)


def flag_lost_in_joins(patch: pytest.MonkeyPatch) -> None:
    """What comes from the other side counts as a real write."""
    right = join.join
    patch.setattr(
        join,
        "join",
        lambda ours, theirs, *vectors: right(ours, [cell._replace(initial=False) for cell in theirs], *vectors),
    )


IN_JOINS = (
    Planted(grave_as_any_cell, 2, "join", ON_GRAVES),
    Planted(flag_lost_in_joins, 1, "join", ON_INITIALS),
    Planted(adopt, 1, "join"),
    Planted(join_one_sided, 1, "join"),
    Planted(join_union, 1, "join"),
    Planted(vectors_swapped, 1, "join"),
    Planted(covered_by_greatest, 2, "join"),
    Planted(life_by_latest_total_in_joins, 2, "join"),
    Planted(join_add_totals, 1, "join"),
    Planted(join_max_total, 2, "join"),
    Planted(totals_of_one_side, 1, "join"),
    Planted(vector_forgets_joined, 1, "idempotence"),
    Planted(authors_forgotten, 1, "knowledge"),
)


def hold_against(planted: Planted, engine: Callable[[], Engine], laws: type[Laws] = Laws) -> None:
    """The bug shows at its size and not at one less (where that is three, in a part of the menu)."""
    if planted.size > 1:
        earlier = shuffled_histories(planted.size - 1, planted.menu if planted.size == 2 else planted.menu[:2])
        assert first_violation(engine(), earlier, laws) is None, "it shows earlier"
    violation = first_violation(engine(), shuffled_histories(planted.size, planted.menu), laws)
    assert violation is not None, "the bug was not caught"
    assert violation.law == planted.law, str(violation)


@pytest.mark.parametrize("planted", IN_SPECIFICATION, ids=lambda planted: planted.plant.__name__)
def test_bug_in_the_modules_is_caught(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    hold_against(planted, Specification)


@pytest.mark.parametrize("planted", IN_JOINS, ids=lambda planted: planted.plant.__name__)
def test_bug_in_joins_is_caught(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    planted.plant(monkeypatch)
    hold_against(planted, Specification, JoinLaws)


@pytest.mark.parametrize("planted", IN_LOGS, ids=lambda planted: planted.plant.__name__)
def test_bug_in_sequencing_and_delivery_is_caught(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    use_core("plain", monkeypatch)
    planted.plant(monkeypatch)
    hold_against(planted, lambda: Logs("plain"))
