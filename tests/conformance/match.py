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
    """Whether each expected item matches one found, and none is left."""
    left = list(found)
    for item in expected:
        number = next((place for place, other in enumerate(left) if not list(differences(item, other))), None)
        if number is None:
            return False
        left.pop(number)
    return not left


def shown(value: Any) -> str:
    """A value, not too long."""
    return "nothing" if value is ABSENT else f"{value!r:.300}"
