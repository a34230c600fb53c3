"""What expressions of DQL mean a second time, as slow and plain as the page that describes them: the oracle.

Written from docs/query-dql-values.md, apart from the evaluator: it shares no code with it, uses fractions for numbers,
walks the tree anew for each row, and knows truth as one of four letters. Functions are checked by tables elsewhere.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from crdtstore.query.dql import expression as ex
from crdtstore.query.tree import MISSING

ORDER = "FMNT"
"""False, MISSING, null, true: AND is the least of its operands in this order, OR the greatest."""


def evaluate(node: ex.Expression, row: dict[str, Any], parameters: dict[str, Any]) -> Any:
    """The value of an expression."""

    def value(inner: ex.Expression) -> Any:
        return evaluate(inner, row, parameters)

    if isinstance(node, ex.Literal):
        return node.value
    if isinstance(node, ex.Missing):
        return MISSING
    if isinstance(node, ex.Parameter):
        return parameters[node.name]
    if isinstance(node, ex.Field):
        return walk(row, node.path)
    if isinstance(node, ex.Array):
        return [None if (item := value(each)) is MISSING else item for each in node.items]
    if isinstance(node, ex.Object):
        pairs = {key: value(each) for key, each in node.pairs}
        return {key: item for key, item in pairs.items() if item is not MISSING}
    if isinstance(node, ex.Negate):
        return minus(value(node.operand))
    if isinstance(node, ex.Binary):
        return compute(node.operator, value(node.left), value(node.right))
    if isinstance(node, ex.Is):
        return kind(value(node.operand)) == node.what
    if isinstance(node, ex.Case):
        return choose(node, value)
    if isinstance(node, ex.Quantified):
        items = value(node.array)
        inner = [row | {node.variable: item} for item in items] if kind(items) == "array" else None
        held = [letter(evaluate(node.condition, each, parameters)) for each in inner or []]
        if inner is None:
            return False
        return spelled(max([*held, "F"], key=ORDER.index) if node.quantifier == "any" else least(held))
    return spelled(condition(node, value))


def condition(node: ex.Expression, value: Any) -> str:
    """The truth of an operator."""
    if isinstance(node, ex.Not):
        return {"T": "F", "F": "T", "M": "M", "N": "N"}[letter(value(node.operand))]
    if isinstance(node, ex.Logic):
        return logic(node.operator, [letter(value(operand)) for operand in node.operands])
    if isinstance(node, ex.Compare):
        return compare(node.operator, value(node.left), value(node.right))
    if isinstance(node, ex.Between):
        subject = value(node.operand)
        low = compare("<=", value(node.least), subject)
        return least([low, compare("<=", subject, value(node.greatest))])
    if isinstance(node, ex.In):
        array, item = value(node.array), value(node.item)
        if kind(array) != "array":
            return "N" if array is None else "M"
        return max(["F", *[compare("==", item, each) for each in array]], key=ORDER.index)
    assert isinstance(node, ex.Like)
    text, pattern = value(node.text), value(node.pattern)
    if MISSING in (text, pattern) or None in (text, pattern):
        return "M" if text is MISSING or pattern is MISSING else "N"
    if kind(text) != "string" or kind(pattern) != "string":
        return "M"
    return "T" if resembles(node.operator, text, pattern) else "F"


def logic(operator: str, letters: list[str]) -> str:
    """AND, OR, XOR."""
    if operator == "and":
        return least(letters)
    if operator == "or":
        return max(letters, key=ORDER.index)
    if "M" in letters or "N" in letters:
        return "M" if "M" in letters else "N"
    return "FT"[letters.count("T") % 2]


def least(letters: list[str]) -> str:
    """AND."""
    return min([*letters, "T"], key=ORDER.index)


def letter(value: Any) -> str:
    """A value as a condition."""
    if value is None:
        return "N"
    return {"True": "T", "False": "F"}.get(repr(value), "M")


def spelled(held: str) -> Any:
    """A truth as a value."""
    return {"T": True, "F": False, "N": None, "M": MISSING}[held]


def walk(value: Any, path: tuple[str | int, ...]) -> Any:
    """Follow a path through objects and arrays."""
    for segment in path:
        keys = value if kind(value) == "object" and isinstance(segment, str) else ()
        indexes = range(len(value)) if kind(value) == "array" and isinstance(segment, int) else ()
        if segment not in keys and segment not in indexes:
            return MISSING
        value = value[segment]
    return value


def kind(value: Any) -> str:
    """The type's name in the value model."""
    if value is None or value is MISSING:
        return "null" if value is None else "missing"
    names = {"bool": "boolean", "int": "number", "float": "number", "str": "string", "bytes": "binary"}
    return names.get(type(value).__name__) or {"list": "array", "dict": "object"}[type(value).__name__]


def compare(operator: str, left: Any, right: Any) -> str:
    """One of the six operators."""
    kinds = {kind(left), kind(right)}
    if "missing" in kinds or (len(kinds) > 1 and "null" not in kinds):
        return "M"
    if "null" in kinds:
        return "N"
    same, less, more = is_equal(left, right), is_less(left, right), is_less(right, left)
    told = {"==": same, "!=": not same, "<": less, ">": more, "<=": less or same, ">=": more or same}
    return "T" if told[operator] else "F"


def is_equal(left: Any, right: Any) -> bool:
    """Equality, all the way down; null equals null inside."""
    if kind(left) != kind(right):
        return False
    if kind(left) == "array":
        return len(left) == len(right) and all(map(is_equal, left, right))
    if kind(left) == "object":
        return sorted(left) == sorted(right) and all(is_equal(left[key], right[key]) for key in left)
    return bool(Fraction(left) == Fraction(right) if kind(left) == "number" else left == right)


def is_less(left: Any, right: Any) -> bool:
    """Order; values of two types, nulls and objects have none."""
    if kind(left) != kind(right) or kind(left) in ("null", "object"):
        return False
    if kind(left) == "array":
        for one, other in zip(left, right, strict=False):
            if not is_equal(one, other):
                return is_less(one, other)
        return len(left) < len(right)
    return bool(Fraction(left) < Fraction(right) if kind(left) == "number" else left < right)


def minus(value: Any) -> Any:
    """A number with the other sign."""
    if value is None or value is MISSING:
        return value
    return held(-value) if kind(value) == "number" else MISSING


def held(number: Any) -> Any:
    """A number as a document can hold it."""
    if isinstance(number, int) and -(2**63) <= number < 2**63:
        return number
    return float(number) if math.isfinite(number) else None


def compute(operator: str, left: Any, right: Any) -> Any:
    """Arithmetic; integers by fractions."""
    if left is MISSING or right is MISSING or left is None or right is None:
        return MISSING if left is MISSING or right is MISSING else None
    kinds = {kind(left), kind(right)}
    if operator == "||":
        return f"{left}{right}" if kinds == {"string"} else MISSING
    if kinds != {"number"}:
        return MISSING
    whole = isinstance(left, int) and isinstance(right, int)
    if operator in ("<<", ">>"):
        if not whole:
            return MISSING
        scale = Fraction(2) ** (right if operator == "<<" else -right) if 0 <= right < 64 else None
        return None if scale is None else held(math.floor(left * scale))
    if operator in "/%" and right == 0:
        return None
    if whole:
        ratio = math.trunc(Fraction(left, right)) if right else 0
        return held(
            {"+": left + right, "-": left - right, "*": left * right, "/": ratio, "%": left - right * ratio}[operator]
        )
    one, other = float(left), float(right)
    if operator == "%":
        return math.fmod(one, other)
    plain = {"+": lambda: one + other, "-": lambda: one - other, "*": lambda: one * other, "/": lambda: one / other}
    return held(plain[operator]())


def resembles(operator: str, text: str, pattern: str) -> bool:
    """LIKE, ILIKE and SIMILAR TO, of patterns that mean the same in `re`."""
    parts = re.findall(r"\\[%_\\]|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    if operator == "similar":
        expression = "".join(wild.get(part, part) for part in pattern)
    else:
        expression = "".join(wild.get(part) or re.escape(part[1:] if len(part) > 1 else part) for part in parts)
    if operator == "ilike":
        folded = "".join(wild.get(part) or re.escape(part[-1].casefold()) for part in parts)
        return re.fullmatch(folded, text.casefold(), re.DOTALL) is not None
    return re.fullmatch(expression, text, re.DOTALL) is not None


def choose(case: ex.Case, value: Any) -> Any:
    """CASE."""
    for when, then in case.branches:
        wanted = letter(value(when)) if case.operand is None else compare("==", value(case.operand), value(when))
        if wanted == "T":
            return value(then)
    return None if case.otherwise is None else value(case.otherwise)
