"""Operators of the statement language on plain values, MISSING and null included.

Rules: a result is a value of the value model, or MISSING; nothing raises for a value. Where an operand is missing the
result is MISSING, else where one is null it is null, else where one is of a type that the operator does not take it is
MISSING. AND, OR and XOR know four truth values; what is no boolean counts there as MISSING. A value is true only when
it is the boolean.

An integer result beyond int64 is the nearest double; a double beyond the largest, a division by zero, and a string
beyond DOCUMENT_BYTES_MAX are null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from crdtstore.crdt.value import Number, Value
from crdtstore.limits import DOCUMENT_BYTES_MAX, INT_MAX, INT_MIN
from crdtstore.query.dql.expression import Arithmetic
from crdtstore.query.relation import TYPES, compile_relation
from crdtstore.query.tree import DQL, MISSING, Operator, TypeName

SHIFT_MAX: Final = 63

# --- truth ---


def truth(value: Value) -> Value:
    """A value as a condition: true, false, null or MISSING."""
    return value if value is None or value.__class__ is bool else MISSING


def negate_truth(value: Value) -> Value:
    """NOT."""
    held = truth(value)
    return not held if held.__class__ is bool else held


def all_of(values: Iterable[Value]) -> Value:
    """AND: false where one is, else MISSING where one is, else null where one is, else true."""
    result: Value = True
    for value in values:
        held = truth(value)
        if held is False:
            return False
        if held is MISSING or (held is None and result is True):
            result = held
    return result


def any_of(values: Iterable[Value]) -> Value:
    """OR: true where one is, else null where one is, else MISSING where one is, else false."""
    result: Value = False
    for value in values:
        held = truth(value)
        if held is True:
            return True
        if held is None or (held is MISSING and result is False):
            result = held
    return result


def one_of_two(values: Iterable[Value]) -> Value:
    """XOR: MISSING where one is, else null where one is, else whether the number of true ones is odd."""
    held = [truth(value) for value in values]
    if MISSING in held:
        return MISSING
    return None if None in held else sum(held) % 2 == 1


# --- comparing ---


def flaw(values: Iterable[Value]) -> Value:
    """MISSING where a value is missing, else null where one is null, else true: nothing stands in the way."""
    result: Value = True
    for value in values:
        if value is MISSING:
            return MISSING
        if value is None:
            result = None
    return result


def compile_compare(operator: Operator) -> Callable[[Value, Value], Value]:
    """Make one of the six operators; values of two types have no relation: MISSING."""
    relation = compile_relation(operator, DQL)

    def compare(left: Value, right: Value) -> Value:
        verdict = relation(left, right)
        if verdict is not None:
            return verdict
        return None if flaw((left, right)) is None else MISSING

    return compare


equal: Final = compile_compare("==")
at_most: Final = compile_compare("<=")


def is_in(item: Value, array: Value) -> Value:
    """IN: OR over the items of an array."""
    if array.__class__ is not list:
        return None if array is None else MISSING
    return any_of(equal(item, each) for each in array)


def is_between(value: Value, least: Value, greatest: Value) -> Value:
    """BETWEEN: both bounds are within."""
    return all_of((at_most(least, value), at_most(value, greatest)))


# --- arithmetic ---


def compute(operator: Arithmetic, left: Value, right: Value) -> Value:
    """Two values made one."""
    nothing = flaw((left, right))
    if nothing is not True:
        return nothing
    kinds: set[TypeName] = {TYPES[left.__class__], TYPES[right.__class__]}
    if operator == "||":
        return joined(left, right) if kinds == {"string"} else MISSING
    if kinds != {"number"}:
        return MISSING
    whole = left.__class__ is int and right.__class__ is int
    if operator in ("<<", ">>"):
        return shift(operator, left, right) if whole else MISSING
    try:
        return bounded(INTEGER[operator](left, right) if whole else DOUBLE[operator](left, right))
    except (ZeroDivisionError, OverflowError):
        return None


def shift(operator: Arithmetic, left: int, right: int) -> Value:
    """Bits moved, by 0 to 63 places."""
    if not 0 <= right <= SHIFT_MAX:
        return None
    return bounded(left << right if operator == "<<" else left >> right)


def minus(value: Value) -> Value:
    """A number with the other sign."""
    if value is None or value is MISSING:
        return value
    return bounded(-value) if TYPES[value.__class__] == "number" else MISSING


def bounded(number: Number) -> Value:
    """A number as the value model can hold it."""
    if isinstance(number, int):
        if INT_MIN <= number <= INT_MAX:
            return number
        number = float(number)
    return number if math.isfinite(number) else None


def joined(left: str, right: str) -> Value:
    """Two strings, one behind the other; null where no document could hold it."""
    return left + right if len(left) + len(right) <= DOCUMENT_BYTES_MAX else None


def quotient(left: int, right: int) -> int:
    """The whole part of a quotient, towards zero."""
    whole = abs(left) // abs(right)
    return whole if (left < 0) == (right < 0) else -whole


def modulo(left: float, right: float) -> float:
    """What a division leaves, with the sign of the dividend."""
    if right == 0:
        raise ZeroDivisionError
    return math.fmod(left, right)


INTEGER: Final[dict[Arithmetic, Callable[[int, int], int]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": quotient,
    "%": lambda left, right: left - right * quotient(left, right),
}
DOUBLE: Final[dict[Arithmetic, Callable[[float, float], float]]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": modulo,
}
