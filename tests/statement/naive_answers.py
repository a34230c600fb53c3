"""Whether an engine's rows are those that the naive interpreter says: in their order, and of one rank in any.

Rules: two rows are the same when all their values are; numbers of one value and two types are two (`exactly`), unless a
row stands for several of them, of which any may be the one shown (`identity`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from itertools import groupby
from typing import Any

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import kind_of
from tests.statement.naive_aggregates import ORDER
from tests.statement.naive_expressions import Row
from tests.statement.naive_select import Ranked


def exactly(value: Any) -> Hashable:
    """The same for values that are equal and of one type; 0.0 and -0.0 are two."""
    kind = kind_of(value)
    if kind == "number":
        return type(value), repr(value)
    if kind == "array":
        return kind, tuple(map(exactly, value))
    if kind == "object":
        return kind, tuple([(key, exactly(value[key])) for key in sorted(value)])
    return kind, None if value is MISSING else value


def in_order(value: Any) -> Hashable:
    """The same for rows whose values have the same place in the order: MIN and MAX of objects are any of them."""
    return tuple([(key, ORDER.key(value[key])) for key in sorted(value)])


def difference(rows: list[Row], ranked: Ranked, form: Callable[[Any], Hashable] = exactly) -> str | None:
    """Why these rows are not the ones asked for, if they are not; a form is the same for rows that may be either."""
    wanted = ranked.last - ranked.first
    if len(rows) != max(0, wanted):
        return f"{len(rows)} rows, not {max(0, wanted)}: {rows[:3]!r}"
    place = 0
    for _, group in groupby(zip(ranked.ranks, ranked.rows, strict=True), key=lambda pair: pair[0]):
        members = Counter(form(row) for _, row in group)
        size = members.total()
        first, last = max(place, ranked.first), min(place + size, ranked.last)
        found = Counter(map(form, rows[first - ranked.first : max(first, last) - ranked.first]))
        if not found <= members:
            wrong = next(row for row in rows[first - ranked.first :] if form(row) in found - members)
            some = ranked.rows[first:last][:3]
            return f"rows {first} to {last}: {wrong!r} is not of {some!r}"
        place += size
    return None
