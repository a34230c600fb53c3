"""The tree that every query language is parsed into: frozen nodes that say by themselves what they mean.

Rules: whatever differs between languages (missing fields, nulls, values of two types, arrays, dates) is written in
the node, never left to the evaluator. A node is either a condition (see CONDITIONS, and the literals true and
false) or a value (Literal, Parameter, Field, ArrayLiteral). Operands of And, Or, Not and Some and the root are
conditions: a grammar wraps a bare value there in Truth. A condition may stand where a value is asked for. Lists and
objects inside a Literal belong to the tree: nobody changes them.

A condition is true, false or unknown (the logic of Kleene); a document matches when the root is true. Unknown comes
only from nodes that say so: a language with two truth values has none.

A Field that is spread stands for several values; the condition right above it holds for the document as Or does:
true if it is true for one of them, else unknown if it is for one, else false. Where it finds none it stands for
MISSING.

Parsing is in each language's own module, evaluation in `match`, what a language's order is in `order`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, get_args
from typing import Literal as OneOf

import msgspec

from crdtstore.crdt.field import MISSING as MISSING  # noqa: PLC0414 -- what a lookup answers where nothing is.
from crdtstore.crdt.field import Missing as Missing  # noqa: PLC0414 -- its type.

Segment: TypeAlias = str | int
Path: TypeAlias = tuple[Segment, ...]
"""From the document's root: a string is the key of an object, an integer the index of an array, from 0. The
document's id is the field `_id`, and the parts of an id that is an object are below it."""

ID_PATH: Final[Path] = ("_id",)

Operator: TypeAlias = OneOf["==", "!=", "<", "<=", ">", ">="]

TypeName: TypeAlias = OneOf["missing", "null", "boolean", "number", "string", "binary", "array", "object"]
"""A type of the value model; int64 and double are one."""

TYPE_NAMES: Final[tuple[TypeName, ...]] = get_args(TypeName)


class Comparison(msgspec.Struct, frozen=True):
    """What comparing two values means in one language.

    These hold in all languages. Booleans are not numbers. Numbers compare by exact value, integers with
    doubles too. False is less than true. Strings order by code point, binary by byte, arrays by their first
    items that differ, and then by length. Objects are equal when they hold the same pairs, in whatever order;
    neither they nor nulls are ever less than each other. `<=` is "less or equal", `!=` is "not equal". Inside arrays
    and objects null equals null, and values of two types are not equal.
    """

    missing: OneOf["null", "false", "unknown"]
    """What a missing operand makes of a comparison: it counts as null, the comparison is false (`!=` too), or
    unknown."""

    null: OneOf["value", "unknown"]
    """Null is a value like any other, equal to itself; or a comparison with it is unknown."""

    mixed: OneOf["unequal", "false", "unknown"]
    """Of values of two types (null is a type, int64 and double are one) neither is ever equal to, or less than, the
    other: so `!=` holds; or it is false as well; or each of the six is unknown."""

    dates_are_instants: bool
    """True: two strings that are both RFC 3339 date-times compare as the instants they name."""


LEGACY: Final = Comparison(missing="null", null="value", mixed="unequal", dates_are_instants=True)
"""The legacy expression language: two truth values, an absent field is null."""

RQL: Final = Comparison(missing="false", null="value", mixed="false", dates_are_instants=False)
"""Things search: two truth values, a comparison stays within the type of its operand."""

PLATFORM: Final = Comparison(missing="false", null="value", mixed="false", dates_are_instants=False)
"""The platform's query language: as things search."""

PLATFORM_DATES: Final = Comparison(missing="false", null="value", mixed="false", dates_are_instants=True)
"""The platform's query language, for properties that are dates."""

DQL: Final = Comparison(missing="unknown", null="unknown", mixed="unknown", dates_are_instants=False)
"""The statement language: three truth values."""


class Base(msgspec.Struct, frozen=True, tag_field="node"):
    """What every node is."""


class Literal(Base, frozen=True, tag="literal", eq=False):
    """A constant of the value model. Unlike Python, equality here keeps 1, 1.0 and true apart."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and canonical(self.value) == canonical(other.value)

    def __ne__(self, other: object) -> bool:
        return not self == other  # a struct's own `!=` does not ask `==`

    def __hash__(self) -> int:
        return hash(canonical(self.value))


class Parameter(Base, frozen=True, tag="parameter"):
    """A constant that is not known yet: a tree that holds one is bound before it is evaluated (see `parameters`)."""

    name: str


class Field(Base, frozen=True, tag="field", omit_defaults=True):
    """What the document has at a path, or MISSING; inside Some, what the item has there.

    Spread: every value that the path finds when arrays are searched item by item. On the way, a key leads into each
    item of an array that is an object, and one that is all digits to the item of that index too; an integer only to
    the item. At the end an array stands for itself and for each of its items. Arrays right inside of arrays are not
    entered. Only a direct operand of Compare, Truth, IsType and Call, and the item of Contains may be spread.
    """

    path: Path
    spread: bool = False


class ArrayLiteral(Base, frozen=True, tag="array"):
    """An array whose items are not all constant (else it is a Literal). A missing item is null."""

    items: tuple[Node, ...]


class And(Base, frozen=True, tag="and"):
    """False when an operand is, else unknown when one is, else true."""

    operands: tuple[Node, ...]


class Or(Base, frozen=True, tag="or"):
    """True when an operand is, else unknown when one is, else false."""

    operands: tuple[Node, ...]


class Not(Base, frozen=True, tag="not"):
    """True when the operand is false, false when it is true, else unknown."""

    operand: Node


class Truth(Base, frozen=True, tag="truth"):
    """A value used as a condition: false for missing, null, false, 0 and the empty string, otherwise true."""

    operand: Node


class Compare(Base, frozen=True, tag="compare"):
    """One value against another."""

    operator: Operator
    left: Node
    right: Node
    comparison: Comparison


class Contains(Base, frozen=True, tag="contains"):
    """Whether `array` has an item that is equal to `item`: Or over `item == each`; so false for an empty array.

    What is no array has none: false, or unknown where comparing two types is.
    """

    array: Node
    item: Node
    comparison: Comparison


class Call(Base, frozen=True, tag="call", omit_defaults=True):
    """A function by its canonical name.

    `starts_with(text, part)` and `ends_with(text, part)`: by code points. `regex(text, pattern)`: the
    pattern, a literal in RE2 syntax, is found anywhere in the text. `like(text, pattern)`: the whole text fits the
    pattern, a literal in which `*` stands for any characters, none too, `?` for one, and a backslash before any
    character for that character. `ilike`: the same of both case-folded (Unicode, `str.casefold`).
    """

    function: str
    arguments: tuple[Node, ...]
    otherwise: OneOf["false", "unknown"] = "false"
    """What it is when an argument is not a string."""


class IsType(Base, frozen=True, tag="is-type"):
    """True when the operand is of one of these types, else false."""

    operand: Node
    types: tuple[TypeName, ...]


class Some(Base, frozen=True, tag="some"):
    """Or over the items of the array, or the values of the object, at a path; false where there is neither.

    Fields below stand for what the item has; `_id` is there a key like any other.
    """

    path: Path
    operand: Node


class Conflicted(Base, frozen=True, tag="conflicted"):
    """True when more than one value lives at a path itself; for the empty path, anywhere in the document."""

    path: Path


Node: TypeAlias = (
    Literal
    | Parameter
    | Field
    | ArrayLiteral
    | And
    | Or
    | Not
    | Truth
    | Compare
    | Contains
    | Call
    | IsType
    | Some
    | Conflicted
)
CONDITIONS: Final = (And, Or, Not, Truth, Compare, Contains, Call, IsType, Some, Conflicted)

canonical: Final = msgspec.msgpack.Encoder(order="sorted").encode


def is_condition(node: Node) -> bool:
    """Whether a node yields true or false, and so may stand as a condition without a Truth around it."""
    return isinstance(node, CONDITIONS) or (isinstance(node, Literal) and isinstance(node.value, bool))


def condition(node: Node) -> Node:
    """The node as a condition: itself when it is boolean, otherwise its Truth."""
    return node if is_condition(node) else Truth(node)


def as_json(node: Node) -> str:
    """A tree as JSON text, for people and for `explain`. Binary literals stand in Base64."""
    return msgspec.json.encode(node).decode()


EVERY_DOCUMENT: Final = Literal(True)
"""The condition that says nothing."""


def paths_in(part: Any) -> frozenset[Path]:
    """The paths of a document that a tree asks for; the empty one where it asks for all of them."""
    match part:
        case Field(path) | Some(path) | Conflicted(path):
            return frozenset({path})
        case tuple():
            return frozenset().union(*map(paths_in, part))
        case Base() if not isinstance(part, Literal):
            return paths_in(tuple(getattr(part, name) for name in part.__struct_fields__))
    return frozenset()
