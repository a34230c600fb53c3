"""What a query of the platform means, written from the platform's rules over the parsed expression.

Rules: it shares nothing with the engine but the classes of `platform` that a query is parsed into.
"""

from __future__ import annotations

import re
from typing import Any

from crdtstore.query.platform import Compare, Expression, Has, Join, Not, Number, Related, Text
from tests.query.oracles.values import instant, is_equal, is_less

STANDARD = (
    "id",
    "type",
    "name",
    "self",
    "owner",
    "lastUpdated",
    "creationTime",
    "supportedMeasurements",
    "externalIds",
)
CHILDREN = ("childDevices", "childAssets", "childAdditions")


def matches(expression: Expression | None, document: dict[str, Any], related: dict[str, list[Any]]) -> bool:
    """Whether an object, its id under `_id`, is found.

    Args:
        expression: The filter.
        document: The object.
        related: For each id as it is written, the ids that `bygroupid` and `isinhierarchyof` stand for.
    """
    match expression:
        case None:
            return True
        case Join("and", parts):
            return all(matches(part, document, related) for part in parts)
        case Join("or", parts):
            return any(matches(part, document, related) for part in parts)
        case Not(part):
            return not matches(part, document, related)
        case Has(paths):
            return any(path[0] not in (*STANDARD, *CHILDREN) and values_at(document, list(path)) for path in paths)
        case Related(_, ids):
            return any(is_equal(document["_id"], one, dates=False) for id_ in ids for one in related[id_])
        case Compare(op, path, value):
            return compare(op, document, list(path), value)
    raise AssertionError(expression)


def values_at(value: Any, names: list[str]) -> list[Any]:
    """All values of a property, element by element where there are arrays."""
    if not names:
        return [value, *value] if isinstance(value, list) else [value]
    name, rest = names[0], names[1:]
    if isinstance(value, dict):
        return values_at(value[name], rest) if name in value else []
    if not isinstance(value, list):
        return []
    found = [one for each in value if isinstance(each, dict) for one in values_at(each, names)]
    if name.isdecimal() and str(int(name)) == name and int(name) < len(value):
        found += values_at(value[int(name)], rest)
    return found


def compare(op: str, document: dict[str, Any], names: list[str], value: Any) -> bool:
    """A property against a value."""
    dates = names[1:] != [] and names[-1] == "date"
    if names in (["creationTime", "date"], ["lastUpdated", "date"]):
        names = names[:1]
    values = values_at(document, ["_id", *names[1:]] if names[0] == "id" else names)
    wanted = [value]
    if isinstance(value, Number):
        wanted = [value.number] if value.text is None or op not in ("eq", "ne") else [value.number, value.text]
    elif isinstance(value, Text):
        wanted = [as_date(value.text) if dates else value.text]
    match op:
        case "eq" if value is None:
            return not values or None in values
        case "eq":
            return any(equals(one, each, dates=dates) for one in values for each in wanted)
        case "ne":
            return bool(values) and not any(equals(one, each, dates=dates) for one in values for each in wanted)
        case "lt" | "le":
            less = any(is_less(one, wanted[0], dates=dates) for one in values)
        case _:
            less = any(is_less(wanted[0], one, dates=dates) for one in values)
    return less or (op in ("le", "ge") and any(is_equal(one, wanted[0], dates=dates) for one in values))


def equals(value: Any, wanted: Any, *, dates: bool) -> bool:
    """Equality; a star stands for any characters, and then case does not matter."""
    if not isinstance(wanted, str) or "*" not in wanted:
        return is_equal(value, wanted, dates=dates)
    made = ".*".join(map(re.escape, wanted.casefold().split("*")))
    return isinstance(value, str) and re.fullmatch(made, value.casefold(), re.DOTALL) is not None


def as_date(text: str) -> str:
    """A date of a query in full: only the forms that the worlds write."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"{text}T00:00:00Z"
    return text if instant(text) else f"{text}Z" if instant(f"{text}Z") else text
