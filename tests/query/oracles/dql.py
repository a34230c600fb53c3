"""What a condition of the statement language means: truth tables with three values, over expressions of its own.

Rules: an expression is a tuple whose first item says what it is:

    ("and" | "or", expressions)  ("not", expression)  ("true", keys)
    ("compare", operator, operand, operand)  ("between", operand, low, high)
    ("is", "null" | "missing", operand)  ("in", operand, operands)  ("in array", operand, keys)
    ("like" | "ilike", operand, pattern)  ("starts_with" | "ends_with", operand, text)

and an operand is ("path", keys) or ("constant", value). Patterns are written with `%`, `_` and a backslash. It shares
nothing with the engine. None is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import at, is_equal, is_less, kind_of

Expression: TypeAlias = tuple[Any, ...]
Verdict: TypeAlias = bool | None

AND: Final[dict[tuple[Verdict, Verdict], Verdict]] = {
    (True, True): True,
    (True, False): False,
    (True, None): None,
    (False, True): False,
    (False, False): False,
    (False, None): False,
    (None, True): None,
    (None, False): False,
    (None, None): None,
}
OR: Final[dict[tuple[Verdict, Verdict], Verdict]] = {
    (True, True): True,
    (True, False): True,
    (True, None): True,
    (False, True): True,
    (False, False): False,
    (False, None): None,
    (None, True): True,
    (None, False): None,
    (None, None): None,
}
NOT: Final[dict[Verdict, Verdict]] = {True: False, False: True, None: None}


def judge(expression: Expression, document: dict[str, Any]) -> Verdict:
    """The truth value of an expression."""
    match expression:
        case ("and" | "or" as name, parts):
            table = AND if name == "and" else OR
            result: Verdict = name == "and"
            for part in parts:
                result = table[result, judge(part, document)]
            return result
        case ("not", part):
            return NOT[judge(part, document)]
        case ("true", keys):
            return compare("=", at(document, keys), True)
        case ("compare", operator, left, right):
            return compare(operator, value_of(left, document), value_of(right, document))
        case ("between", operand, low, high):
            both = (("compare", ">=", operand, low), ("compare", "<=", operand, high))
            return judge(("and", both), document)
        case ("is", name, operand):
            return kind_of(value_of(operand, document)) == name
        case ("in", operand, others):
            return is_in(value_of(operand, document), [value_of(other, document) for other in others])
        case ("in array", operand, keys):
            array = at(document, keys)
            return is_in(value_of(operand, document), array) if isinstance(array, list) else None
        case (name, operand, text):
            value = value_of(operand, document)
            return TESTS[name](value, text) if isinstance(value, str) else None
    raise AssertionError(expression)


def value_of(operand: Expression, document: dict[str, Any]) -> Any:
    """What an operand stands for."""
    return at(document, operand[1]) if operand[0] == "path" else operand[1]


def compare(operator: str, left: Any, right: Any) -> Verdict:
    """A comparison: unknown with null, with what is missing, and between two types."""
    if left is MISSING or right is MISSING or left is None or right is None or kind_of(left) != kind_of(right):
        return None
    equal = is_equal(left, right, dates=False)
    match operator:
        case "=":
            return equal
        case "!=":
            return not equal
        case "<":
            return is_less(left, right, dates=False)
        case "<=":
            return equal or is_less(left, right, dates=False)
        case ">":
            return is_less(right, left, dates=False)
        case ">=":
            return equal or is_less(right, left, dates=False)
    raise AssertionError(operator)


def is_in(value: Any, others: list[Any]) -> Verdict:
    """Whether a value is among others: `value = a OR value = b ...`, false for none."""
    result: Verdict = False
    for other in others:
        result = OR[result, compare("=", value, other)]
    return result


def like(text: str, pattern: str) -> bool:
    """Whether all of a text fits a pattern, by a regular expression that says the same."""
    pieces = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    made = "".join({"%": ".*", "_": "."}.get(piece) or re.escape(piece[-1]) for piece in pieces)
    return re.fullmatch(made, text, re.DOTALL) is not None


TESTS: Final[dict[str, Callable[[str, str], bool]]] = {
    "like": like,
    "ilike": lambda text, pattern: like(text.casefold(), pattern.casefold()),
    "starts_with": lambda text, part: text[: len(part)] == part,
    "ends_with": lambda text, part: part in ("", text[-len(part) :]),
}
