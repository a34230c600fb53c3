"""What a filter of things search means, written from the rules of things search over the parsed filter.

Rules: it shares nothing with the engine but the classes of `rql` that a filter is parsed into. A property is read
anew, and every value that it has is looked at.
"""

from __future__ import annotations

from typing import Any

from crdtstore.query.rql import Compare, In, Join, Placeholder, Present, Query
from tests.query.oracles.values import is_equal, is_less, kind_of


def matches(query: Query, document: dict[str, Any], times: dict[str, str]) -> bool:
    """Whether a thing, its id under `_id`, fulfils a filter.

    Args:
        query: The filter.
        document: The thing.
        times: What each placeholder stands for; one that is not there is null.
    """
    match query:
        case Join("and", parts):
            return all(matches(part, document, times) for part in parts)
        case Join("or", parts):
            return any(matches(part, document, times) for part in parts)
        case Join("not", parts):
            return not matches(parts[0], document, times)
    keys = pointer(query.property)  # type: ignore[union-attr]
    if keys == ["thingId"]:
        keys = ["_id"]
    if keys[:2] == ["features", "*"]:
        features = document.get("features")
        return any(meets(query, one, keys[2:], times) for one in (features or {}).values())
    return meets(query, document, keys, times)


def pointer(name: str) -> list[str]:
    """The keys of a property; an empty one at the end counts for nothing."""
    keys = name[1:].split("/") if name.startswith("/") else name.split("/")
    return [key.replace("~0", "~") for key in keys if key]


def values_at(value: Any, keys: list[str]) -> list[Any]:
    """All values at a path: arrays on the way are searched, one at the end is itself and its elements."""
    if not keys:
        return [value, *value] if isinstance(value, list) else [value]
    key, rest = keys[0], keys[1:]
    found: list[Any] = []
    inside = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
    for each in inside:
        if isinstance(each, dict) and key in each:
            found += values_at(each[key], rest)
    if isinstance(value, list) and key in map(str, range(len(value))):
        found += values_at(value[int(key)], rest)
    return found


def meets(query: Query, thing: Any, keys: list[str], times: dict[str, str]) -> bool:
    """Whether a property of a thing, or of one feature, meets an operator."""
    values = values_at(thing, keys)
    match query:
        case Present("exists"):
            return len(values) > 0
        case Present("empty"):
            return not values or any(value is None or value in ("", [], {}) for value in values)
        case In(_, wanted):
            constants = [constant(each, times) for each in wanted]
            return (not values and None in constants) or any(equals_any(values, each) for each in constants)
        case Compare(op, _, given):
            if isinstance(given, Placeholder) and constant(given, times) is None and op in ("gt", "ge", "lt", "le"):
                return False
            return compare(op, values, constant(given, times))
    raise AssertionError(query)


def constant(value: Any, times: dict[str, str]) -> Any:
    """A value, placeholders looked up."""
    return times.get(value.placeholder) if isinstance(value, Placeholder) else value


def equals_any(values: list[Any], wanted: Any) -> bool:
    """Whether one of the values equals another."""
    return any(is_equal(value, wanted, dates=False) for value in values)


def compare(op: str, values: list[Any], wanted: Any) -> bool:
    """A property's values against one value."""
    match op:
        case "eq":
            return equals_any(values, wanted)
        case "ne":
            return len(values) > 0 and not equals_any(values, wanted)
        case "gt":
            return any(is_less(wanted, value, dates=False) for value in values)
        case "lt":
            return any(is_less(value, wanted, dates=False) for value in values)
        case "ge" | "le" if wanted is None:
            return not values or None in values
        case "ge":
            return compare("gt", values, wanted) or equals_any(values, wanted)
        case "le":
            return compare("lt", values, wanted) or equals_any(values, wanted)
        case "like":
            return any(isinstance(value, str) and fits(value, wanted) for value in values)
        case "ilike":
            return any(isinstance(value, str) and fits(value.casefold(), wanted.casefold()) for value in values)
    raise AssertionError((op, kind_of(wanted)))


def fits(text: str, pattern: str) -> bool:
    """Whether all of a text fits a pattern: character by character, by the places in the pattern that are reached."""
    reached = skip_stars({0}, pattern)
    for character in text:
        after = {at for at in reached if at < len(pattern) and pattern[at] == "*"}
        after |= {
            at + 1 for at in reached if at < len(pattern) and pattern[at] in ("?", character) and pattern[at] != "*"
        }
        reached = skip_stars(after, pattern)
    return len(pattern) in reached


def skip_stars(places: set[int], pattern: str) -> set[int]:
    """The places, and those behind stars that stand for nothing."""
    found = set(places)
    for at in sorted(places):
        while at < len(pattern) and pattern[at] == "*":
            at += 1  # noqa: PLW2901  it walks on
            found.add(at)
    return found
