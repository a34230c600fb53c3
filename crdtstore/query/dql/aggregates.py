"""Functions of many rows: each takes values one by one, and gives one at the end.

Rules: MISSING and null count nowhere. SUM, AVG, MEDIAN and MID take numbers and skip everything else; MIN and MAX take
any value, in the order of ORDER BY; COUNT skips false too. With DISTINCT equal values count once. Where nothing was
taken the result is MISSING, of COUNT 0. Sums are exact until they are told: no order of rows changes one.

MEDIAN, and DISTINCT, keep what they took.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from fractions import Fraction
from typing import Final, Protocol

from crdtstore.crdt.value import Number, Value, encode_value
from crdtstore.query.dql.expression import Aggregate, Expression, children
from crdtstore.query.dql.order import SortKey, sort_key
from crdtstore.query.dql.values import bounded
from crdtstore.query.relation import TYPES, identity
from crdtstore.query.tree import MISSING

VARYING: Final = frozenset({float, list, dict})
"""Types whose values may differ from others of which none is less; an integer is so beside a double only."""

PARTS_BITS: Final = 1_074
"""The least double is 2 to the power of minus this."""


class Accumulator(Protocol):
    """One aggregate of one group."""

    def add(self, value: Value, /) -> None:
        """Take the value of one row."""

    def result(self) -> Value:
        """What was made of all of them."""


def aggregates_in(expression: Expression) -> tuple[Aggregate, ...]:
    """The aggregates of an expression, each once, in the order written."""
    found: dict[Aggregate, None] = {}

    def walk(node: Expression) -> None:
        if isinstance(node, Aggregate):
            found[node] = None
        else:
            for child in children(node):
                walk(child)

    walk(expression)
    return tuple(found)


def make_accumulator(aggregate: Aggregate) -> Accumulator:
    """Make what computes an aggregate of one group; to COUNT(*) any value is given for each row."""
    if aggregate.argument is None:
        return Count(every=True)
    accumulator = ACCUMULATORS[aggregate.function]()
    return Distinct(accumulator) if aggregate.distinct else accumulator


def is_number(value: Value) -> bool:
    """Whether it is one of the value model."""
    return TYPES[value.__class__] == "number"


class Distinct:
    """Gives each of equal values on once."""

    def __init__(self, inner: Accumulator) -> None:
        self.inner = inner
        self.seen: set[Hashable] = set()

    def add(self, value: Value) -> None:
        """Take the value of one row."""
        if value is MISSING or value is None:
            return
        known = identity(value, dates=False)
        if known not in self.seen:
            self.seen.add(known)
            self.inner.add(value)

    def result(self) -> Value:
        """What was made of those that differ."""
        return self.inner.result()


class Count:
    """COUNT."""

    def __init__(self, *, every: bool = False) -> None:
        self.every = every
        self.count = 0

    def add(self, value: Value) -> None:
        """Take the value of one row."""
        self.count += self.every or not (value is MISSING or value is None or value is False)

    def result(self) -> Value:
        """How many."""
        return self.count


class Total:
    """Numbers added without rounding: a double is an integer many times the least double that there is."""

    def __init__(self) -> None:
        self.whole = 0
        self.parts = 0
        self.double = False
        self.count = 0

    def add(self, value: Value) -> None:
        """Take the value of one row."""
        if not is_number(value):
            return
        self.count += 1
        if value.__class__ is int:
            self.whole += value
        else:
            self.double = True
            numerator, denominator = value.as_integer_ratio()
            self.parts += numerator << (PARTS_BITS + 1 - denominator.bit_length())

    def exact(self) -> Fraction:
        """The sum."""
        return self.whole + Fraction(self.parts, 1 << PARTS_BITS)


class Sum(Total):
    """SUM."""

    def result(self) -> Value:
        """The sum: a double if one was among them."""
        if not self.count:
            return MISSING
        return nearest(self.exact()) if self.double else bounded(self.whole)


class Average(Total):
    """AVG."""

    def result(self) -> Value:
        """The mean, always a double."""
        return nearest(self.exact() / self.count) if self.count else MISSING


def nearest(number: Fraction) -> Value:
    """The double next to a number, null beyond the largest."""
    try:
        return bounded(float(number))
    except OverflowError:
        return None


class Extreme:
    """MIN and MAX."""

    def __init__(self, *, greatest: bool) -> None:
        self.greatest = greatest
        self.best: tuple[SortKey, Value] | None = None

    def add(self, value: Value) -> None:
        """Take the value of one row."""
        if value is MISSING or value is None:
            return
        key = sort_key(value)
        if self.best is None or (key > self.best[0] if self.greatest else key < self.best[0]):
            self.best = (key, value)
        elif key == self.best[0] and VARYING & {value.__class__, self.best[1].__class__}:
            self.best = (key, min(self.best[1], value, key=encode_value))

    def result(self) -> Value:
        """The least, or the greatest; of those that nothing orders the one whose bytes are least."""
        return MISSING if self.best is None else self.best[1]


class Middle:
    """MID: half of the least and the greatest number."""

    def __init__(self) -> None:
        self.least: Number = math.inf
        self.greatest: Number = -math.inf

    def add(self, value: Value) -> None:
        """Take the value of one row."""
        if is_number(value):
            self.least, self.greatest = min(self.least, value), max(self.greatest, value)

    def result(self) -> Value:
        """A double."""
        if self.greatest < self.least:
            return MISSING
        return nearest((Fraction(self.least) + Fraction(self.greatest)) / 2)


class Median:
    """MEDIAN: the number in the middle, or half of the two that are there."""

    def __init__(self) -> None:
        self.numbers: list[Number] = []

    def add(self, value: Value) -> None:
        """Take the value of one row."""
        if is_number(value):
            self.numbers.append(value)

    def result(self) -> Value:
        """A double."""
        if not self.numbers:
            return MISSING
        ordered = sorted(self.numbers)
        lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        return nearest((Fraction(lower) + Fraction(upper)) / 2)


ACCUMULATORS: Final[dict[str, Callable[[], Accumulator]]] = {
    "count": Count,
    "sum": Sum,
    "avg": Average,
    "min": lambda: Extreme(greatest=False),
    "max": lambda: Extreme(greatest=True),
    "median": Median,
    "mid": Middle,
}
