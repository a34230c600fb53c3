"""A counter adds what everybody added; it can be restarted.

State: the live instances. An instance is (creation stamp, implicit or explicit, start) and, for each replica
    that added to it, one total (stamp, amount).
Law: an instance lives and dies with its creation stamp; totals keep nothing alive. The origin chooses the
    instance of an increment (highest explicit, else highest implicit, else it creates an implicit one); a
    receiver without that instance ignores the increment. Increments remove nothing. Per replica the total with
    the later stamp counts, so applying and joining agree (`tests/laws`, planted bugs `TotalKeepsAlive`,
    `ReceiverChooses`, `IncrementRemovesLosers`, `GreatestTotalWins`).
Visible: the totals of all implicit instances, plus start and totals of the highest explicit one, summed in
    (actor, origin) order, since sums of doubles depend on the order (planted bug `SumsAsInterned`). Integers are
    added exactly; a sum beyond int64 becomes the nearest double.

An initial instance is explicit. It comes behind every other explicit one, and while nobody has added to it, it does
not count beside any other instance: so an INITIAL write changes nothing of a counter that is there.
An instance created concurrently with a restart is not observed by it and adds to the restarted value.
Source: Shapiro et al., 2011, PN-counter; restarts after the observed-reset counter of Baquero et al., 2016.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence

from crdtstore.crdt.cell import Cell, CellType, Total
from crdtstore.crdt.operation import Increment, Restart, Start
from crdtstore.crdt.stamp import Stamp
from crdtstore.crdt.value import Number, decode_value, encode_value
from crdtstore.errors import InvalidValue
from crdtstore.limits import INT_MAX, INT_MIN

ZERO = encode_value(0)
DOUBLE_MAX = sys.float_info.max


def start(cells: Iterable[Cell], operation: Start, stamp: Stamp) -> list[Cell]:
    """Create an implicit instance with the author's first total; removes nothing."""
    path, amount = operation
    return [*cells, Cell(path, CellType.COUNTER, stamp, ZERO, explicit=False, totals=(Total(stamp, amount),))]


def restart(
    cells: Iterable[Cell], operation: Restart, stamp: Stamp, is_observed: Callable[[Stamp], bool]
) -> list[Cell]:
    """Create an explicit instance in place of the observed ones."""
    path, begin = operation
    kept = [
        cell for cell in cells if not (cell.path == path and cell.type == CellType.COUNTER and is_observed(cell.stamp))
    ]
    return [*kept, Cell(path, CellType.COUNTER, stamp, encode_value(begin), explicit=True)]


def increment(cells: Iterable[Cell], operation: Increment, stamp: Stamp) -> list[Cell]:
    """Add to the author's total in the named instance; without that instance nothing happens."""
    path, instance, delta = operation
    name = (path, CellType.COUNTER, instance)
    return [add_total(cell, stamp, delta) if cell[:3] == name else cell for cell in cells]


def add_total(cell: Cell, stamp: Stamp, delta: Number) -> Cell:
    """An instance with one replica's total raised by `delta`."""
    others = [total for total in cell.totals if total.stamp.replica != stamp.replica]
    before = next((total.amount for total in cell.totals if total.stamp.replica == stamp.replica), 0)
    return cell._replace(totals=tuple(sorted([*others, Total(stamp, clamp(before + delta))])))


def choose(instances: Sequence[Cell]) -> Stamp | None:
    """The instance that an increment goes to, at its origin: highest explicit, else highest implicit."""
    highest = highest_explicit(instances)
    best = highest or max(instances, key=lambda cell: (not cell.explicit, cell.stamp), default=None)
    return best.stamp if best else None


def highest_explicit(instances: Sequence[Cell]) -> Cell | None:
    """The explicit instance that counts, if one does."""
    highest = max((cell for cell in instances if cell.explicit), key=precedence, default=None)
    is_untouched = highest is not None and highest.initial and not highest.totals
    return None if is_untouched and any(not cell.explicit for cell in instances) else highest


def precedence(cell: Cell) -> tuple[bool, bool, Stamp]:
    """The order of explicit instances: initial ones last, those that nobody has added to behind the others."""
    return not cell.initial, cell.initial and bool(cell.totals), cell.stamp


def visible(instances: Sequence[Cell]) -> Number:
    """The value that a reader sees, of at least one instance."""
    highest = highest_explicit(instances)
    counted = [cell for cell in instances if not cell.explicit or cell is highest]
    parts = [(total.stamp.replica, cell.stamp, total.amount) for cell in counted for total in cell.totals]
    value: Number = decode_value(highest.value) if highest else 0
    for _, _, amount in sorted(parts):
        value += amount
    return clamp(value)


def clamp(number: Number) -> Number:
    """An integer beyond int64 as the nearest double, an infinite double as the greatest one.

    The origin refuses both (`check_sum`); here they must only be the same everywhere.
    """
    if isinstance(number, float):
        return math.copysign(DOUBLE_MAX, number) if math.isinf(number) else number
    return number if INT_MIN <= number <= INT_MAX else float(number)


def check_sum(number: Number) -> Number:
    """Refuse, at the origin, an amount that int64 or a finite double cannot hold.

    Raises:
        InvalidValue: The total would overflow.
    """
    if isinstance(number, float):
        if not math.isfinite(number):
            raise InvalidValue("This increment would make the counter's total infinite.")
    elif not INT_MIN <= number <= INT_MAX:
        raise InvalidValue(f"This increment would take the counter's total to {number}, beyond int64.")
    return number
