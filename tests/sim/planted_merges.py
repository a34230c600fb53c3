"""Bugs to be planted in the plain twins of merging, which the worlds of the simulator must notice.

Not here: those that the laws plant as well; they stand in `tests/laws`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from crdtstore.crdt import counter, document
from crdtstore.crdt.cell import Cell, Total
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import decode_value
from tests.laws.test_planted_in_specification import (
    drop_loser,
    inc_at_receiver,
    life_by_latest_total,
    remove_all,
    tie_no_origin,
)
from tests.sim.planted import Planted


def replica_is_the_actor(patch: pytest.MonkeyPatch) -> None:
    """A client that roams between stores has one total."""

    def broken(cell: Cell, stamp: Stamp, delta: Any) -> Cell:
        others = [total for total in cell.totals if total.stamp.actor != stamp.actor]
        before = sum(total.amount for total in cell.totals if total.stamp.actor == stamp.actor)
        return cell._replace(totals=tuple(sorted([*others, Total(stamp, before + delta)])))

    patch.setattr(counter, "add_total", broken)


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
    Planted(plant, "plain", "tied" if plant is tie_no_origin else "honest")
    for plant in (
        drop_loser,
        remove_all,
        life_by_latest_total,
        inc_at_receiver,
        replica_is_the_actor,
        tie_no_origin,
        every_explicit_instance_counts,
        digest_without_totals,
    )
)
