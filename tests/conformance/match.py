"""What an answer must hold, and where it does not: expectations are subsets with wildcards.

Rules: an object is matched by the keys that are expected, an array item by item and of equal length. `$int`, `$str`
and `$any` stand for values of a kind, `$absent` for a key that is not there; `{"$gte": n}`, `{"$len": n}`,
`{"$unordered": [..]}` and `{"$oneof": [..]}` say what they say. Numbers and booleans are told apart, 1 and 1.0 are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

ABSENT: Final = object()
"""What stands where there is nothing."""

KINDS: Final[dict[str, Callable[[Any], bool]]] = {
    "$int": lambda found: isinstance(found, int) and not isinstance(found, bool),
    "$str": lambda found: isinstance(found, str),
    "$any": lambda found: found is not ABSENT,
    "$absent": lambda found: found is ABSENT,
}


def differences(expected: Any, found: Any, place: str = "$") -> Iterator[str]:
    """Where something does not match, in words."""
    if isinstance(expected, str) and expected in KINDS:
        if not KINDS[expected](found):
            yield f"{place}: {expected} was expected; {shown(found)} came"
    elif isinstance(expected, dict):
        yield from object_differences(expected, found, place)
    elif isinstance(expected, list):
        yield from array_differences(expected, found, place)
    elif found is ABSENT or isinstance(expected, bool) != isinstance(found, bool) or expected != found:
        yield f"{place}: {shown(expected)} was expected; {shown(found)} came"


def object_differences(expected: dict[str, Any], found: Any, place: str) -> Iterator[str]:
    """The same for an object, which may be a condition."""
    match expected:
        case {"$gte": least}:
            matched = isinstance(found, int | float) and found >= least
        case {"$len": length}:
            matched = isinstance(found, list | str) and len(found) == length
        case {"$oneof": choices}:
            matched = any(not list(differences(choice, found)) for choice in choices)
        case {"$unordered": items}:
            matched = isinstance(found, list) and is_permutation(items, found)
        case _:
            if not isinstance(found, dict):
                yield f"{place}: an object was expected; {shown(found)} came"
                return
            for key, value in expected.items():
                yield from differences(value, found.get(key, ABSENT), f"{place}.{key}")
            return
    if not matched:
        yield f"{place}: {shown(expected)} was expected; {shown(found)} came"


def array_differences(expected: list[Any], found: Any, place: str) -> Iterator[str]:
    """The same for an array."""
    if not isinstance(found, list) or len(found) != len(expected):
        yield f"{place}: {len(expected)} items were expected; {shown(found)} came"
        return
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        yield from differences(one, other, f"{place}[{number}]")


def is_permutation(expected: list[Any], found: list[Any]) -> bool:
    """Whether each expected item can have one of its own that it matches, and none is left.

    What matches one may match others too, so an item that is taken is given up where its holder finds another.
    """
    fits = [[place for place, other in enumerate(found) if not list(differences(item, other))] for item in expected]
    holders: dict[int, int] = {}

    def take(item: int, seen: set[int]) -> bool:
        for place in fits[item]:
            if place not in seen:
                seen.add(place)
                if place not in holders or take(holders[place], seen):
                    holders[place] = item
                    return True
        return False

    return len(expected) == len(found) and all(take(item, set()) for item in range(len(expected)))


def shown(value: Any) -> str:
    """A value, not too long."""
    return "nothing" if value is ABSENT else f"{value!r:.300}"
