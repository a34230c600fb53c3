"""What functions of the statement language give for values: written from docs/query-dql-values.md.

Rules: `strict` functions give MISSING for a missing argument, else null for a null one, else MISSING for one of another
type than they take. The others see what they are given.

Not here: dates, whose functions are checked by tables (`tests/query/test_dql_functions.py`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from crdtstore.query.tree import MISSING
from tests.query.oracles.dql_values import flaw, held
from tests.query.oracles.values import is_equal, kind_of

Function = Callable[..., Any]


def strict(kind: str, call: Function) -> Function:
    """A function whose arguments are all of one type."""

    def checked(*arguments: Any) -> Any:
        if (nothing := flaw(*arguments)) is not True:
            return nothing
        return call(*arguments) if all(kind_of(each) == kind for each in arguments) else MISSING

    return checked


def whole(cut: Callable[[float], int]) -> Function:
    """A whole number of the same type."""
    return strict("number", lambda number: number if isinstance(number, int) else float(cut(number)))


def regexp_like(text: str, pattern: str, flags: str = "") -> Any:
    """Whether a pattern is found anywhere; only of patterns that mean the same in `re`."""
    return re.search(pattern, text, re.IGNORECASE if "i" in flags else 0) is not None


def deserialize_json(text: str) -> Any:
    """The value that a text stands for."""
    try:
        return json.loads(text)
    except ValueError:
        return MISSING


def array_contains(array: Any, item: Any) -> bool:
    """Whether an item is in an array; null equals null."""
    if not isinstance(array, list) or item is MISSING:
        return False
    return any(is_equal(item, each, dates=False) for each in array)


def coalesce(*arguments: Any) -> Any:
    """The first that says something."""
    for each in arguments:
        if each is not MISSING and each is not None:
            return each
    return None


def ifmissing(*arguments: Any) -> Any:
    """The first that is not missing."""
    for each in arguments:
        if each is not MISSING:
            return each
    return MISSING


def decode(value: Any, *rest: Any) -> Any:
    """The result behind an equal comparand."""
    pairs = list(zip(rest[::2], rest[1::2], strict=False))
    for comparand, result in pairs:
        if value is not MISSING and comparand is not MISSING and is_equal(value, comparand, dates=False):
            return result
    return rest[-1] if len(rest) > 2 * len(pairs) else None


def type_of(value: Any) -> Any:
    """The name of a type in version 5."""
    if value is MISSING:
        return MISSING
    names = {"int": "integer", "float": "float"}
    return names.get(type(value).__name__, kind_of(value))


def is_of(*kinds: str) -> Function:
    """Whether a value is of a type."""
    return lambda value: kind_of(value) in kinds


FUNCTIONS: Final[dict[str, Function]] = {
    "abs": strict("number", lambda number: held(abs(number))),
    "ceil": whole(math.ceil),
    "floor": whole(math.floor),
    "concat": strict("string", lambda *texts: "".join(texts)),
    "byte_length": strict("string", lambda text: len(text.encode())),
    "char_length": strict("string", len),
    "character_length": strict("string", len),
    "contains": strict("string", lambda text, part: text.find(part) >= 0),
    "starts_with": strict("string", lambda text, part: text[: len(part)] == part),
    "ends_with": strict("string", lambda text, part: part in ("", text[-len(part) :])),
    "regexp_like": strict("string", regexp_like),
    "deserialize_json": strict("string", deserialize_json),
    "array_length": strict("array", len),
    "object_length": strict("object", len),
    "object_keys": strict("object", list),
    "object_values": strict("object", lambda found: [found[key] for key in found]),
    "object_size": strict("object", lambda found: len(written(found).encode())),
    "is_boolean": is_of("boolean"),
    "is_number": is_of("number"),
    "is_string": is_of("string"),
    "ismissingornull": is_of("missing", "null"),
    "type": type_of,
    "array_contains": array_contains,
    "array_contains_null": lambda array: array_contains(array, None),
    "coalesce": coalesce,
    "nvl": coalesce,
    "ifmissing": ifmissing,
    "decode": decode,
}


def written(value: Any) -> str:
    """A value as JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
