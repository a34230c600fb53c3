"""What aggregates give for all the values of a group, which are neither missing nor null.

Written from docs/query-dql-values.md. Numbers are fractions until the end.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from crdtstore.query.tree import MISSING
from tests.query.oracles.dql_values import held
from tests.query.oracles.order import OrderOracle
from tests.query.oracles.values import kind_of

ORDER: Final = OrderOracle("boolean", "number", "binary", "string", "array", "object", "null", "missing")
"""ORDER BY, MIN and MAX."""


def numbers(taken: list[Any]) -> list[Any]:
    """Those that are numbers."""
    return [value for value in taken if kind_of(value) == "number"]


def double(exact: Fraction) -> Any:
    """The double next to a number; null where there is none."""
    try:
        return held(float(exact))
    except OverflowError:
        return None


def total(taken: list[Any]) -> Any:
    """SUM."""
    found = numbers(taken)
    if not found:
        return MISSING
    exact = sum(map(Fraction, found), Fraction(0))
    return double(exact) if any(isinstance(value, float) for value in found) else held(int(exact))


def average(taken: list[Any]) -> Any:
    """AVG."""
    found = numbers(taken)
    return double(sum(map(Fraction, found), Fraction(0)) / len(found)) if found else MISSING


def median(taken: list[Any]) -> Any:
    """MEDIAN: the middle one, or half of the two in the middle."""
    found = sorted(map(Fraction, numbers(taken)))
    if not found:
        return MISSING
    half = len(found) // 2
    return double(found[half] if len(found) % 2 else (found[half - 1] + found[half]) / 2)


def middle(taken: list[Any]) -> Any:
    """MID: half of the least and the greatest."""
    found = list(map(Fraction, numbers(taken)))
    return double((min(found) + max(found)) / 2) if found else MISSING


AGGREGATES: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "count": lambda taken: len([value for value in taken if value is not False]),
    "sum": total,
    "avg": average,
    "min": lambda taken: min(taken, key=ORDER.key) if taken else MISSING,
    "max": lambda taken: max(taken, key=ORDER.key) if taken else MISSING,
    "median": median,
    "mid": middle,
}
