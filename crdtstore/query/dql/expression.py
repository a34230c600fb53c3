"""What an expression of the statement language is: frozen nodes that say what was written.

Rules: one node, one operator. `NOT` before an operator is a Not around it, `IS UNKNOWN` is `IS NULL`, a list behind
`IN` is an array; operators that have two spellings have one here. What a node gives for a row is in `evaluate`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias
from typing import Literal as OneOf

import msgspec

from crdtstore.query.tree import Operator, Path, canonical

Arithmetic: TypeAlias = OneOf["+", "-", "*", "/", "%", "<<", ">>", "||"]
Connective: TypeAlias = OneOf["and", "or", "xor"]
Resemblance: TypeAlias = OneOf["like", "ilike", "similar"]
AggregateName: TypeAlias = OneOf["count", "sum", "avg", "min", "max", "median", "mid"]


class Base(msgspec.Struct, frozen=True, tag_field="expression", omit_defaults=True):
    """What every expression is."""


class Literal(Base, frozen=True, tag="literal", eq=False):
    """Null, a boolean, a number or a string. Unlike Python, equality here keeps 1, 1.0 and true apart."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and canonical(self.value) == canonical(other.value)

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct's own `!=` does not ask `==`

    def __hash__(self) -> int:
        return hash(canonical(self.value))


class Missing(Base, frozen=True, tag="missing"):
    """The word MISSING: no value."""


class Parameter(Base, frozen=True, tag="parameter"):
    """`:name`: a value that comes with the statement."""

    name: str


class Field(Base, frozen=True, tag="field"):
    """A path: what the row has there. Its first name may be an alias, or the variable of an ANY around it."""

    path: Path


class Array(Base, frozen=True, tag="array"):
    """`[a, b]`."""

    items: tuple[Expression, ...]


class Object(Base, frozen=True, tag="object"):
    """`{'key': value}`; each key stands once."""

    pairs: tuple[tuple[str, Expression], ...]


class Negate(Base, frozen=True, tag="negate"):
    """`-a`."""

    operand: Expression


class Binary(Base, frozen=True, tag="binary"):
    """Two values made one: arithmetic, shifts, and `||` for strings."""

    operator: Arithmetic
    left: Expression
    right: Expression


class Compare(Base, frozen=True, tag="compare"):
    """One value against another."""

    operator: Operator
    left: Expression
    right: Expression


class Logic(Base, frozen=True, tag="logic"):
    """Two conditions or more, joined."""

    operator: Connective
    operands: tuple[Expression, ...]


class Not(Base, frozen=True, tag="not"):
    """`NOT a`."""

    operand: Expression


class In(Base, frozen=True, tag="in"):
    """`item IN array`."""

    item: Expression
    array: Expression


class Between(Base, frozen=True, tag="between"):
    """`a BETWEEN least AND greatest`, both included."""

    operand: Expression
    least: Expression
    greatest: Expression


class Like(Base, frozen=True, tag="like"):
    """A text against a pattern: LIKE, ILIKE or SIMILAR TO."""

    operator: Resemblance
    text: Expression
    pattern: Expression


class Is(Base, frozen=True, tag="is"):
    """`a IS NULL` or `a IS MISSING`: true or false, nothing else."""

    operand: Expression
    what: OneOf["null", "missing"]


class Case(Base, frozen=True, tag="case"):
    """`CASE [operand] WHEN .. THEN .. [ELSE otherwise] END`."""

    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None


class Quantified(Base, frozen=True, tag="quantified"):
    """`ANY variable IN array SATISFIES condition END`, or EVERY."""

    quantifier: OneOf["any", "every"]
    variable: str
    array: Expression
    condition: Expression


class Call(Base, frozen=True, tag="call"):
    """A function, by its name in lower case."""

    function: str
    arguments: tuple[Expression, ...]


class Aggregate(Base, frozen=True, tag="aggregate"):
    """What is made of all rows of a group; without an argument it is COUNT(*)."""

    function: AggregateName
    argument: Expression | None = None
    distinct: bool = False


Expression: TypeAlias = (
    Literal
    | Missing
    | Parameter
    | Field
    | Array
    | Object
    | Negate
    | Binary
    | Compare
    | Logic
    | Not
    | In
    | Between
    | Like
    | Is
    | Case
    | Quantified
    | Call
    | Aggregate
)

LEVELS: Final = {
    "or": 5,
    "xor": 7,
    "and": 10,
    "not": 15,
    "is": 17,
    "like": 19,
    "compare": 20,
    "<<": 22,
    ">>": 22,
    "+": 30,
    "-": 30,
    "||": 30,
    "*": 40,
    "/": 40,
    "%": 40,
    "negate": 50,
}
"""How tightly an operator binds. Operators of one level are read from the left."""

PRIMARY: Final = 60
"""The level of what needs no parentheses."""


def children(expression: Expression) -> tuple[Expression, ...]:
    """The expressions right inside of one, in the order written."""
    match expression:
        case Array(items):
            return items
        case Object(pairs):
            return tuple(value for _, value in pairs)
        case Negate(operand) | Not(operand) | Is(operand):
            return (operand,)
        case Binary(_, left, right) | Compare(_, left, right) | Like(_, left, right) | In(left, right):
            return (left, right)
        case Logic(_, operands):
            return operands
        case Between(operand, least, greatest):
            return (operand, least, greatest)
        case Case(operand, branches, otherwise):
            parts = (operand, *[part for branch in branches for part in branch], otherwise)
            return tuple(part for part in parts if part is not None)
        case Quantified(_, _, array, condition):
            return (array, condition)
        case Call(_, arguments):
            return arguments
        case Aggregate(_, Base() as argument):
            return (argument,)
    return ()
