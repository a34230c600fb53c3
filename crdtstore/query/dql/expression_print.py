"""Expressions of the statement language as text; reading the text gives an equal expression.

Rules: parentheses stand only where an operator would bind otherwise. Words are in capitals, functions in lower case.
"""

from __future__ import annotations

import re
from typing import Final

from crdtstore.query.dql.expression import (
    LEVELS,
    PRIMARY,
    Aggregate,
    Array,
    Between,
    Binary,
    Call,
    Case,
    Compare,
    Expression,
    Field,
    In,
    Is,
    Like,
    Literal,
    Logic,
    Missing,
    Negate,
    Not,
    Object,
    Parameter,
    Quantified,
)
from crdtstore.query.dql.words import is_alias
from crdtstore.query.tree import Path

WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUOTED: Final = str.maketrans({"\\": "\\\\", "'": "\\'"})
SPELLED: Final = {"like": "LIKE", "ilike": "ILIKE", "similar": "SIMILAR TO"}
COMPARE: Final = LEVELS["compare"]
LIKE: Final = LEVELS["like"]


def print_expression(expression: Expression, level: int = 0) -> str:
    """Write an expression; in parentheses if it binds more loosely than a level."""
    written = write(expression)
    return f"({written})" if level_of(expression) < level else written


def level_of(expression: Expression) -> int:
    """How tightly the loosest operator outside of parentheses binds."""
    match expression:
        case Logic(operator, _) | Binary(operator, _, _):
            return LEVELS[operator]
        case Not(In() | Between() | Like() | Is() as inner):
            return level_of(inner)
        case Not():
            return LEVELS["not"]
        case Is():
            return LEVELS["is"]
        case Like():
            return LIKE
        case Compare() | In() | Between():
            return COMPARE
        case Negate():
            return LEVELS["negate"]
    return PRIMARY


def write(expression: Expression) -> str:
    """Write an expression as it stands where anything can stand."""
    match expression:
        case Logic(operator, operands):
            level = LEVELS[operator] + 1
            return f" {operator.upper()} ".join([print_expression(operand, level) for operand in operands])
        case Not(In() | Between() | Like() | Is() as inner):
            return write_relation(inner, "NOT ")
        case Not(operand):
            return f"NOT {print_expression(operand, LEVELS['not'])}"
        case In() | Between() | Like() | Is():
            return write_relation(expression, "")
        case Compare(operator, left, right):
            sign = "=" if operator == "==" else operator
            return f"{print_expression(left, COMPARE)} {sign} {print_expression(right, COMPARE + 1)}"
        case Binary(operator, left, right):
            level = LEVELS[operator]
            return f"{print_expression(left, level)} {operator} {print_expression(right, level + 1)}"
        case Negate(Literal(int() | float()) as operand):
            return f"-({write(operand)})"
        case Negate(operand):
            return f"- {print_expression(operand, LEVELS['negate'])}"
    return write_value(expression)


def write_relation(expression: In | Between | Like | Is, negation: str) -> str:
    """Write an operator of words, with NOT inside of it or without."""
    match expression:
        case In(item, array):
            return f"{print_expression(item, COMPARE)} {negation}IN {print_array(array)}"
        case Between(operand, least, greatest):
            bounds = " AND ".join([print_expression(bound, COMPARE + 1) for bound in (least, greatest)])
            return f"{print_expression(operand, COMPARE)} {negation}BETWEEN {bounds}"
        case Like(operator, text, pattern):
            wanted = print_expression(pattern, LIKE + 1)
            return f"{print_expression(text, LIKE)} {negation}{SPELLED[operator]} {wanted}"
        case Is(operand, what):
            return f"{print_expression(operand, LEVELS['is'])} IS {negation}{what.upper()}"


def write_value(expression: Expression) -> str:
    """Write what needs no parentheses."""
    match expression:
        case Literal(value):
            return print_literal(value)
        case Missing():
            return "MISSING"
        case Parameter(name):
            return f":{name}"
        case Field(path):
            return print_path(path)
        case Array(items):
            return f"[{print_list(items)}]"
        case Object(pairs):
            written = [f"{print_literal(key)}: {print_expression(value)}" for key, value in pairs]
            return f"{{{', '.join(written)}}}"
        case Case(operand, branches, otherwise):
            return write_case(operand, branches, otherwise)
        case Quantified(quantifier, variable, array, condition):
            head = f"{quantifier.upper()} {print_name(variable)} IN {print_array(array)}"
            return f"{head} SATISFIES {print_expression(condition)} END"
        case Call(function, arguments):
            return f"{function}({print_list(arguments)})"
        case Aggregate(function, None):
            return f"{function.upper()}(*)"
        case Aggregate(function, argument, distinct) if argument is not None:
            return f"{function.upper()}({'DISTINCT ' * distinct}{print_expression(argument)})"
    raise TypeError(f"{expression!r} is an operator.")


def write_case(
    operand: Expression | None, branches: tuple[tuple[Expression, Expression], ...], otherwise: Expression | None
) -> str:
    """Write CASE with its branches."""
    words = ["CASE", *([] if operand is None else [print_expression(operand)])]
    words += [f"WHEN {print_expression(when)} THEN {print_expression(then)}" for when, then in branches]
    words += [] if otherwise is None else [f"ELSE {print_expression(otherwise)}"]
    return " ".join([*words, "END"])


# --- pieces ---


def print_list(expressions: tuple[Expression, ...]) -> str:
    """Write expressions with commas between them."""
    return ", ".join(map(print_expression, expressions))


def print_array(array: Expression) -> str:
    """Write what stands behind IN: an operator there would be the one item of a list."""
    if level_of(array) < PRIMARY or (isinstance(array, Literal) and is_negative(array.value)):
        raise TypeError(f"{array!r} cannot stand behind IN.")
    return write(array)


def is_negative(value: object) -> bool:
    """Whether a literal is written with a sign."""
    return isinstance(value, int | float) and str(value).startswith("-")


def print_literal(value: object) -> str:
    """Write a scalar."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return repr(value)
    return f"'{str(value).translate(QUOTED)}'"


def print_name(name: str) -> str:
    """Write an identifier, in backticks where it needs them."""
    if WORD.fullmatch(name) and is_alias(name):
        return name
    return f"`{name.replace('`', '``')}`"


def print_path(path: Path) -> str:
    """Write a path."""
    return print_name(str(path[0])) + "".join(map(print_segment, path[1:]))


def print_segment(segment: str | int) -> str:
    """Write one step of a path behind the first name."""
    if isinstance(segment, int):
        return f"[{segment}]"
    return f".{segment}" if WORD.fullmatch(segment) else f"[{print_literal(segment)}]"
