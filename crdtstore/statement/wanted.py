"""What a SELECT wants of its source: in which order rows would best come, and how many are read at most.

Rules: this says again what `plain` and `select` ask for when they run, for those who only look at plans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore.limits import STATEMENT_ROWS_MAX
from crdtstore.query.order import BY_ID, Order
from crdtstore.statement.plain import read_plain
from crdtstore.statement.select import row_order, window_of

if TYPE_CHECKING:
    from crdtstore.query.dql.evaluate import Context
    from crdtstore.statement.select import Steps


class Wanted(NamedTuple):
    """An order, and a number; None for all."""

    order: Order
    rows: int | None


EVERYTHING: Final = Wanted(BY_ID, None)
"""What statements want that change documents."""


def wanted_of(steps: Steps, context: Context, *, in_draft: bool = False) -> Wanted:
    """What a SELECT of one source wants.

    Args:
        steps: What it does.
        context: Parameters and the clock.
        in_draft: Whether it runs in a transaction.
    """
    skip, rows = window_of(steps.select, context)
    plain = None if in_draft else read_plain(steps.select, steps.order, context.profile)
    if plain is not None:
        most = STATEMENT_ROWS_MAX + 1
        return Wanted(plain.order, skip + (most if rows is None else min(rows, most)))
    order, _ = row_order(steps)
    whole = steps.distinct or steps.grouping is not None or rows is None
    return Wanted(order, None if whole else skip + (rows or 0))
