"""A path that is spread finds several values: arrays on its way are searched item by item.

Rules: on the way a key leads into each item of an array that is an object, and one that is all digits to the item of
that index too; an integer only to the item. At the end an array stands for itself and for each of its items. Arrays
right inside of arrays are not entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from crdtstore.crdt.field import MISSING, step_into
from crdtstore.crdt.value import Value

INDEX_DIGITS_MAX: Final = 9
"""No array has more items than so many digits count."""


def spread(lookup: Callable[[tuple[str | int, ...]], Value], path: tuple[str | int, ...]) -> list[Value]:
    """Find every value of a path.

    Args:
        lookup: Gives the one value at a path, or MISSING.
        path: Keys and indexes.
    """
    value = lookup(path)
    if value is MISSING and len(path) > 1:
        return list(spread_in(lookup(path[:1]), path[1:]))
    return [] if value is MISSING else list(spread_in(value, ()))


def spread_in(value: Value, path: tuple[str | int, ...]) -> Iterator[Value]:
    """The same below a value."""
    if value is MISSING:
        return
    if not path:
        yield value
        if value.__class__ is list:
            yield from value
        return
    key, rest = path[0], path[1:]
    yield from spread_in(step_into(value, key), rest)
    if value.__class__ is list and isinstance(key, str):
        if (index := index_of(key)) is not None:
            yield from spread_in(step_into(value, index), rest)
        for item in value:
            if item.__class__ is dict:
                yield from spread_in(step_into(item, key), rest)


def index_of(key: str | int) -> int | None:
    """The index that a key of digits stands for."""
    if not isinstance(key, str) or len(key) > INDEX_DIGITS_MAX or not (key.isascii() and key.isdigit()):
        return None
    return int(key) if key == "0" or key[0] != "0" else None
