"""What operators of the statement language give for values, in four letters and fractions: apart from the engine's.

Written from docs/query-dql-values.md. Rules: truth is one of `F`, `M` (missing), `N` (null), `T`; nothing comes from
the package but MISSING.

Not here: expressions (`tests/query/dql_oracle.py` for the engine's own trees, `tests/statement/naive_expressions.py`).
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final

from crdtstore.query.tree import MISSING
from tests.query.oracles.values import is_equal, is_less, kind_of, number

ORDER: Final = "FMNT"
"""False, MISSING, null, true: AND is the least of its operands in this order, OR the greatest."""


def logic(operator: str, letters: list[str]) -> str:
    """AND, OR, XOR."""
    if operator == "and":
        return least(letters)
    if operator == "or":
        return greatest(letters)
    if "M" in letters or "N" in letters:
        return "M" if "M" in letters else "N"
    return "FT"[letters.count("T") % 2]


def least(letters: list[str]) -> str:
    """AND."""
    return min([*letters, "T"], key=ORDER.index)


def greatest(letters: list[str]) -> str:
    """OR."""
    return max([*letters, "F"], key=ORDER.index)


def letter(value: Any) -> str:
    """A value as a condition."""
    if isinstance(value, bool):
        return "T" if value else "F"
    return "N" if value is None else "M"


def spelled(held: str) -> Any:
    """A truth as a value."""
    return {"T": True, "F": False, "N": None, "M": MISSING}[held]


def compare(operator: str, left: Any, right: Any) -> str:
    """One of the six operators."""
    kinds = {kind_of(left), kind_of(right)}
    if "missing" in kinds or (len(kinds) > 1 and "null" not in kinds):
        return "M"
    if "null" in kinds:
        return "N"
    match operator:
        case "==":
            told = is_equal(left, right, dates=False)
        case "!=":
            told = not is_equal(left, right, dates=False)
        case "<":
            told = is_less(left, right, dates=False)
        case ">":
            told = is_less(right, left, dates=False)
        case "<=":
            told = is_less(left, right, dates=False) or is_equal(left, right, dates=False)
        case _:
            told = is_less(right, left, dates=False) or is_equal(left, right, dates=False)
    return "T" if told else "F"


def is_in(item: Any, array: Any) -> str:
    """IN: equal to the first, or to the second ..."""
    if not isinstance(array, list):
        return "N" if array is None else "M"
    return greatest([compare("==", item, each) for each in array])


def between(subject: Any, low: Any, high: Any) -> str:
    """BETWEEN, both ends included."""
    return least([compare("<=", low, subject), compare("<=", subject, high)])


def flaw(*values: Any) -> Any:
    """MISSING where a value is missing, else null where one is null, else true."""
    if MISSING in values:
        return MISSING
    return None if None in values else True


def minus(value: Any) -> Any:
    """A number with the other sign."""
    if value is None or value is MISSING:
        return value
    return held(-value) if kind_of(value) == "number" else MISSING


def held(found: Any) -> Any:
    """A number as a document can hold it."""
    if isinstance(found, int) and -(2**63) <= found < 2**63:
        return found
    return float(found) if math.isfinite(found) else None


def compute(operator: str, left: Any, right: Any) -> Any:
    """Arithmetic; integers by fractions."""
    if (nothing := flaw(left, right)) is not True:
        return nothing
    kinds = {kind_of(left), kind_of(right)}
    if operator == "||":
        return f"{left}{right}" if kinds == {"string"} else MISSING
    if kinds != {"number"}:
        return MISSING
    whole = isinstance(left, int) and isinstance(right, int)
    if operator in ("<<", ">>"):
        return shift(operator, left, right) if whole else MISSING
    if operator in ("/", "%") and right == 0:
        return None
    if whole:
        ratio = math.trunc(number(left) / right) if right else 0
        return held(
            {"+": left + right, "-": left - right, "*": left * right, "/": ratio, "%": left - right * ratio}[operator]
        )
    one, other = float(left), float(right)
    if operator == "%":
        return math.fmod(one, other)
    plain = {"+": lambda: one + other, "-": lambda: one - other, "*": lambda: one * other, "/": lambda: one / other}
    return held(plain[operator]())


def shift(operator: str, left: int, right: int) -> Any:
    """Bits moved, as a product or a quotient."""
    if not 0 <= right < 64:
        return None
    return held(left * 2**right if operator == "<<" else math.floor(number(left) / 2**right))


def like(operator: str, text: Any, pattern: Any) -> Any:
    """LIKE, ILIKE and SIMILAR TO."""
    if (nothing := flaw(text, pattern)) is not True:
        return nothing
    if kind_of(text) != "string" or kind_of(pattern) != "string":
        return MISSING
    if operator == "ilike":
        text = text.casefold()
    return re.fullmatch(expression(operator, pattern), text, re.DOTALL) is not None


@lru_cache(1_024)
def expression(operator: str, pattern: str) -> str:
    """A regular expression that says the same as a pattern; of SIMILAR TO, one that means the same in `re`."""
    wild = {"%": ".*", "_": "."}
    if operator == "similar":
        return "".join(wild.get(part, part) for part in pattern)
    parts = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    folded = (lambda part: part.casefold()) if operator == "ilike" else str
    return "".join(wild.get(part) or re.escape(folded(part[1:] if len(part) > 1 else part)) for part in parts)
