"""What a query of the legacy language means, written from docs/query-legacy.md over expressions of its own.

Rules: an expression is a tuple whose first item says what it is:

    ("or" | "and", expressions)  ("not", expression)  ("compare", operator, left, right)
    ("constant", value)  ("argument", name)  ("path", keys)  ("array", expressions)
    ("call", function, first, second)  ("conflicted", keys)

It shares nothing with the engine. The patterns of `regex` are ones that mean the same to `re`, `$` apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import at, is_equal, is_less, kind_of

Expression: TypeAlias = tuple[Any, ...]


class Judge:
    """One document, and the arguments of the query."""

    def __init__(
        self, document: Mapping[str, Any], rivals: frozenset[tuple[str, ...]], args: Mapping[str, Any]
    ) -> None:
        self.document = document
        self.rivals = rivals
        self.args = args

    def holds(self, expression: Expression) -> bool:
        """Whether an expression, used as a condition, is true."""
        value = self.value(expression)
        kind = kind_of(value)
        if kind in ("missing", "null"):
            return False
        if kind in ("boolean", "number", "string"):
            return value not in (False, 0, "")
        return True

    def value(self, expression: Expression) -> Any:
        """What an expression stands for."""
        match expression:
            case ("or", parts):
                return any(self.holds(part) for part in parts)
            case ("and", parts):
                return all(self.holds(part) for part in parts)
            case ("not", part):
                return not self.holds(part)
            case ("compare", operator, left, right):
                return compare(operator, self.value(left), self.value(right))
            case ("constant", value):
                return value
            case ("argument", name):
                return self.args[name]
            case ("path", keys):
                return at(self.document, keys)
            case ("array", parts):
                return [null_for_missing(self.value(part)) for part in parts]
            case ("call", function, first, second):
                return call(function, self.value(first), self.value(second))
            case ("conflicted", keys):
                return keys in self.rivals if keys else bool(self.rivals)
        raise AssertionError(expression)


def null_for_missing(value: Any) -> Any:
    """A missing field counts as null."""
    return None if value is MISSING else value


def compare(operator: str, left: Any, right: Any) -> bool:
    """One of the six operators."""
    left, right = null_for_missing(left), null_for_missing(right)
    equal = is_equal(left, right, dates=True)
    match operator:
        case "==":
            return equal
        case "!=":
            return not equal
        case "<":
            return is_less(left, right, dates=True)
        case ">":
            return is_less(right, left, dates=True)
        case "<=":
            return equal or is_less(left, right, dates=True)
        case ">=":
            return equal or is_less(right, left, dates=True)
    raise AssertionError(operator)


def call(function: str, first: Any, second: Any) -> bool:
    """A function of two values."""
    if function == "contains":
        return kind_of(first) == "array" and any(compare("==", each, second) for each in first)
    if not isinstance(first, str) or not isinstance(second, str):
        return False
    match function:
        case "starts_with" | "startsWith":
            return first[: len(second)] == second
        case "ends_with" | "endsWith":
            return first[len(first) - len(second) :] == second if len(second) <= len(first) else False
        case "regex":
            return re.search(second.replace("$", r"\Z"), first) is not None
    raise AssertionError(function)
