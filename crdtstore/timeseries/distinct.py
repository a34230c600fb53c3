"""The different values of a series at some paths, each value once.

Rules: a path leads through keys, and with `[*]` into every item of an array. What is nowhere adds nothing; all objects
count as one, `{}`, and all arrays as one, `[]`. Equal numbers are one value. At most DISTINCT_VALUES_MAX for each path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from crdtstore.crdt.value_key import value_key
from crdtstore.errors import InvalidValue
from crdtstore.query.distinct import check_number
from crdtstore.query.relation import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from crdtstore.crdt.value import Value
    from crdtstore.timeseries.event import Event

ITEMS: Final = None
"""The step into every item of an array."""

Step: TypeAlias = "str | None"
PART: Final = re.compile(r"([^.\[\]]+)((?:\[\*\])*)")


def read_steps(path: str) -> tuple[Step, ...]:
    """The steps of a path such as `a.b`, `a[*]` or `a[*].c`.

    Raises:
        InvalidValue: It is none.
    """
    steps: list[Step] = []
    for part in path.split("."):
        found = PART.fullmatch(part)
        if found is None:
            message = f"The path {path!r:.60} is not read: keys with points between them, and [*] for every item."
            raise InvalidValue(message, path=path)
        steps += [found[1], *[ITEMS] * found[2].count("*")]
    return tuple(steps)


def distinct_values(events: Iterable[Event], paths: Sequence[tuple[Step, ...]]) -> list[list[Value]]:
    """The different values at each path, sorted.

    Raises:
        LimitExceeded: There are more than DISTINCT_VALUES_MAX at one.
    """
    found: list[dict[Hashable, Value]] = [{} for _ in paths]
    for event in events:
        fields = event.fields
        for steps, seen in zip(paths, found, strict=True):
            for value in values_at(fields, steps):
                plain = type(value)() if isinstance(value, dict | list) else value
                seen.setdefault(identity(plain, dates=False), plain)
            check_number(len(seen))
    return [sorted(seen.values(), key=value_key) for seen in found]


def values_at(value: Value, steps: Sequence[Step]) -> Iterator[Value]:
    """The values to which steps lead."""
    if not steps:
        yield value
    elif steps[0] is ITEMS:
        for item in value if isinstance(value, list) else ():
            yield from values_at(item, steps[1:])
    elif isinstance(value, dict) and steps[0] in value:
        yield from values_at(value[steps[0]], steps[1:])
