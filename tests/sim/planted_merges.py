"""Bugs to be planted in the plain twins of merging, and what each world of the simulator must notice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from crdtstore.crdt import counter, document, register
from crdtstore.crdt import map as map_type
from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.operation import Increment, Remove, Start, Write
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import decode_value
from tests.sim.planted import IsObserved, Planted


def losers_are_dropped(patch: pytest.MonkeyPatch) -> None:
    """The lower of two concurrent values is dropped by comparison."""
    write = register.write

    def broken(cells: Iterable[Cell], operation: Write, stamp: Stamp, is_observed: IsObserved) -> list[Cell]:
        written = write(cells, operation, stamp, is_observed)
        rivals = [cell for cell in written if (cell.path, cell.type) == (operation.path, CellType.REGISTER)]
        winner = max(rivals, key=lambda cell: cell.stamp)
        return [cell for cell in written if cell is winner or cell not in rivals]

    patch.setattr(register, "write", broken)


def removal_takes_everything(patch: pytest.MonkeyPatch) -> None:
    """A removal takes whatever is there, observed or not."""
    remove = map_type.remove
    patch.setattr(map_type, "remove", lambda cells, operation, _: remove(cells, operation, lambda _: True))


def total_keeps_alive(patch: pytest.MonkeyPatch) -> None:
    """A removal spares a counter instance with a total that it did not observe."""
    remove = map_type.remove

    def broken(cells: Iterable[Cell], operation: Remove, is_observed: IsObserved) -> list[Cell]:
        kept = remove(cells, operation, is_observed)
        spared = [cell for cell in cells if cell.totals and not is_observed(cell.recency[1])]
        return [*kept, *(cell for cell in spared if cell not in kept)]

    patch.setattr(map_type, "remove", broken)


def receiver_chooses_the_instance(patch: pytest.MonkeyPatch) -> None:
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


def replica_is_the_actor(patch: pytest.MonkeyPatch) -> None:
    """A client that roams between stores has one total."""

    def broken(cell: Cell, stamp: Stamp, delta: Any) -> Cell:
        others = [total for total in cell.totals if total.stamp.actor != stamp.actor]
        before = sum(total.amount for total in cell.totals if total.stamp.actor == stamp.actor)
        return cell._replace(totals=tuple(sorted([*others, Total(stamp, before + delta)])))

    patch.setattr(counter, "add_total", broken)


def tie_without_origin(patch: pytest.MonkeyPatch) -> None:
    """(timestamp, actor) is taken for a total order."""

    def broken(siblings: Iterable[Cell]) -> Any:
        return decode_value(max(siblings, key=lambda cell: cell.stamp[:2]).value)

    patch.setattr(register, "visible", broken)


def every_explicit_instance_counts(patch: pytest.MonkeyPatch) -> None:
    """Totals and starts of all explicit instances are added, not those of the highest."""

    def broken(instances: Sequence[Cell]) -> Any:
        value: Any = sum(decode_value(cell.value) for cell in instances)
        return value + sum(total.amount for cell in instances for total in cell.totals)

    patch.setattr(counter, "visible", broken)


def digest_without_totals(patch: pytest.MonkeyPatch) -> None:
    """The digest covers what a counter was created with only."""
    parts = document.canonical_parts
    patch.setattr(document, "canonical_parts", lambda cell: parts(cell)[:1])


IN_MERGE: Sequence[Planted] = tuple(
    Planted(plant, "plain", "tied" if plant is tie_without_origin else "honest")
    for plant in (
        losers_are_dropped,
        removal_takes_everything,
        total_keeps_alive,
        receiver_chooses_the_instance,
        replica_is_the_actor,
        tie_without_origin,
        every_explicit_instance_counts,
        digest_without_totals,
    )
)
