"""Distinct values at several paths of many documents, each value once, in bounded memory.

Rules: a path leads through keys, and with `[*]` into every item of an array; what is not there adds nothing. Values
that are no objects and no arrays are told apart, equal numbers are one; all objects are one, `{}`, and all arrays are
one, `[]`. Values are sorted. How many there are, and how many bytes they take, is bounded for all paths together.

Not here: how documents are found, one path with an index (`distinct`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from crdtstore.crdt.value_key import value_key
from crdtstore.errors import InvalidQuery, LimitExceeded
from crdtstore.limits import DISTINCT_BYTES_MAX, DISTINCT_PATHS_MAX
from crdtstore.query.distinct import check_number
from crdtstore.query.relation import identity

if TYPE_CHECKING:
    from collections.abc import Hashable

    from crdtstore.crdt.value import Value

ITEMS: Final = None
"""The step into every item of an array."""

Step: TypeAlias = str | None
PART: Final = re.compile(r"([^.\[\]]+)((?:\[\*\])*)")


def read_steps(path: str) -> tuple[Step, ...]:
    """The steps of a path such as `a.b`, `a[*]` or `a[*].c`.

    Raises:
        InvalidQuery: It is none.
    """
    steps: list[Step] = []
    for part in path.split("."):
        found = PART.fullmatch(part)
        if found is None:
            message = f"The path {path!r:.60} is not read: names with points between them, and [*] for every item."
            raise InvalidQuery(message, reason="path", path=path[:60])
        steps += [found[1], *[ITEMS] * found[2].count("*")]
    return tuple(steps)


def distinct_paths(documents: Iterable[Mapping[str, Any]], paths: Iterable[str]) -> dict[str, list[Value]]:
    """The different values at each path, under the path as it was given.

    Raises:
        InvalidQuery: A path is none.
        LimitExceeded: More paths, values or bytes of values than an answer may have.
    """
    return distinct_steps(documents, {path: read_steps(path) for path in paths})


def distinct_steps(
    documents: Iterable[Mapping[str, Any]], steps: Mapping[str, Sequence[Step]]
) -> dict[str, list[Value]]:
    """As `distinct_paths`, for steps under names.

    Raises:
        LimitExceeded: More paths, values or bytes of values than an answer may have.
    """
    check_paths(len(steps))
    found: dict[str, dict[Hashable, Value]] = {name: {} for name in steps}
    values = size = 0
    for document in documents:
        for name, seen in found.items():
            for value in values_at(document, steps[name]):
                shown = {} if isinstance(value, dict) else [] if isinstance(value, list) else value
                same = identity(shown, dates=False)
                if same not in seen:
                    seen[same] = shown
                    values += 1
                    size += len(shown) if isinstance(shown, str | bytes) else 0
                    check_number(values)
                    check_bytes(size)
    return {name: sorted(seen.values(), key=value_key) for name, seen in found.items()}


def values_at(value: Any, steps: Sequence[Step]) -> Iterator[Value]:
    """The values to which steps lead."""
    for place, step in enumerate(steps):
        if step is ITEMS:
            for item in value if isinstance(value, list) else ():
                yield from values_at(item, steps[place + 1 :])
            return
        if not isinstance(value, Mapping) or step not in value:
            return
        value = value[step]
    yield value


def check_paths(paths: int) -> None:
    """Refuse more paths than one answer has."""
    if paths > DISTINCT_PATHS_MAX:
        message = f"{paths} paths are asked for; at most {DISTINCT_PATHS_MAX} are allowed."
        raise LimitExceeded(message, limit="DISTINCT_PATHS_MAX", value=paths, maximum=DISTINCT_PATHS_MAX)


def check_bytes(size: int) -> None:
    """Refuse values that take more than an answer may."""
    if size > DISTINCT_BYTES_MAX:
        message = f"The different values take more than {DISTINCT_BYTES_MAX} bytes; narrow the query."
        raise LimitExceeded(message, limit="DISTINCT_BYTES_MAX", value=size, maximum=DISTINCT_BYTES_MAX)
