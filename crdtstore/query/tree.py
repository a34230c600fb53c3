"""The tree that every query language is parsed into: frozen nodes that say by themselves what they mean.

Rules: whatever differs between languages (missing fields, nulls, values of two types, dates) is written in
the node, never left to the evaluator. A node is either boolean (And, Or, Not, Truth, Compare, Contains, Call
and the literals true and false) or a value (Literal, Field, ArrayLiteral). Operands of And, Or and Not and
the root are boolean: a grammar wraps a bare value there in Truth. A boolean node may stand where a value is
asked for. Lists and objects inside a Literal belong to the tree: nobody changes them.

Parsing is in each language's own module, evaluation in `match`.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias
from typing import Literal as OneOf

import msgspec

from crdtstore.crdt.field import MISSING as MISSING  # noqa: PLC0414 -- what a lookup answers where nothing is.
from crdtstore.crdt.field import Missing as Missing  # noqa: PLC0414 -- its type.
from crdtstore.errors import InvalidValue

Segment: TypeAlias = str | int
Path: TypeAlias = tuple[Segment, ...]
"""From the document's root: a string is the key of an object, an integer the index of an array, from 0. The
document's id is the field `_id`, and the parts of an id that is an object are below it."""

ID_PATH: Final[Path] = ("_id",)

Operator: TypeAlias = OneOf["==", "!=", "<", "<=", ">", ">="]


class Comparison(msgspec.Struct, frozen=True):
    """What comparing two values means in one language.

    These hold in all languages. Booleans are not numbers. Numbers compare by exact value, integers with
    doubles too. False is less than true. Strings order by code point, binary by byte, arrays by their first
    items that differ, and then by length. Objects are equal when they hold the same pairs, in whatever order;
    neither they nor nulls are ever less than each other. `<=` is "less or equal", `!=` is "not equal".
    """

    missing_is_null: bool
    """True: a missing operand counts as null. False: a comparison with a missing operand fails, `!=` too."""

    types_are_unequal: bool
    """Of values of two types (null is a type, int64 and double are one) neither is ever equal to, or less
    than, the other. True: so `!=` holds. False: `!=` fails as well."""

    dates_are_instants: bool
    """True: two strings that are both RFC 3339 date-times compare as the instants they name."""


LEGACY: Final = Comparison(missing_is_null=True, types_are_unequal=True, dates_are_instants=True)
"""The legacy expression language: two truth values, an absent field is null."""


class Base(msgspec.Struct, frozen=True, tag_field="node"):
    """What every node is."""


class Literal(Base, frozen=True, tag="literal", eq=False):
    """A constant of the value model. Unlike Python, equality here keeps 1, 1.0 and true apart."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and canonical(self.value) == canonical(other.value)

    def __hash__(self) -> int:
        return hash(canonical(self.value))


class Field(Base, frozen=True, tag="field"):
    """What the document has at a path, or MISSING."""

    path: Path


class ArrayLiteral(Base, frozen=True, tag="array"):
    """An array whose items are not all constant (else it is a Literal). A missing item is null."""

    items: tuple[Node, ...]


class And(Base, frozen=True, tag="and"):
    """True when all operands are; without operands, true."""

    operands: tuple[Node, ...]


class Or(Base, frozen=True, tag="or"):
    """True when any operand is; without operands, false."""

    operands: tuple[Node, ...]


class Not(Base, frozen=True, tag="not"):
    """True when the operand is false."""

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
    """True when `array` is an array with an item that is equal to `item`; false when it is not an array."""

    array: Node
    item: Node
    comparison: Comparison


class Call(Base, frozen=True, tag="call"):
    """A function by its canonical name.

    `starts_with(text, part)` and `ends_with(text, part)`: by code points. `regex(text, pattern)`: the
    pattern, a literal in RE2 syntax, is found anywhere in the text. All are false when an argument is not a
    string.
    """

    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Literal | Field | ArrayLiteral | And | Or | Not | Truth | Compare | Contains | Call
BOOLEANS: Final = (And, Or, Not, Truth, Compare, Contains, Call)

canonical: Final = msgspec.msgpack.Encoder(order="sorted").encode


def is_boolean(node: Node) -> bool:
    """Whether a node yields true or false, and so may stand as a condition without a Truth around it."""
    return isinstance(node, BOOLEANS) or (isinstance(node, Literal) and isinstance(node.value, bool))


def condition(node: Node) -> Node:
    """The node as a condition: itself when it is boolean, otherwise its Truth."""
    return node if is_boolean(node) else Truth(node)


def as_json(node: Node) -> str:
    """A tree as JSON text, for people and for `explain`. Binary literals stand in Base64."""
    return msgspec.json.encode(node).decode()


# --- printing in the legacy language ---

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KEYWORDS: Final = ("true", "false", "null")
ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

LEVEL_OR, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARE, LEVEL_OPERAND = range(5)
LEVELS: Final = {Or: LEVEL_OR, And: LEVEL_AND, Not: LEVEL_NOT, Compare: LEVEL_COMPARE}


def print_legacy(node: Node) -> str:
    """Write a tree in the legacy language, with no more parentheses than it needs.

    For every tree that `legacy.parse` gives, parsing the text gives an equal tree, unless arguments brought
    in a value that the language cannot write.

    Raises:
        InvalidValue: The language has no words for a part of the tree: an object, binary, an operator that
            compares by another language's rules, or a value used as a condition inside a value.
    """
    return print_node(node, LEVEL_OR, lone_is_array=False)


def print_node(node: Node, level: int, *, lone_is_array: bool) -> str:
    """Write one node for a place that takes `level` and above.

    Args:
        node: What to write.
        level: The weakest operator that may stand here without parentheses.
        lone_is_array: What `['x']` means at this place: an array with one item, or the field named x.
    """
    if LEVELS.get(type(node), LEVEL_OPERAND) < level:
        return f"({print_node(node, LEVEL_OR, lone_is_array=False)})"
    match node:
        case Or(operands):
            return print_operands(operands, " || ", LEVEL_AND) or "false"
        case And(operands):
            return print_operands(operands, " && ", LEVEL_NOT) or "true"
        case Not(operand):
            return "!" + print_node(operand, LEVEL_NOT, lone_is_array=False)
        case Compare():
            return print_compare(node)
        case Truth(operand):
            return print_node(operand, LEVEL_OPERAND, lone_is_array=False)
        case Contains():
            return print_contains(node)
        case Call(function, arguments):
            texts = [print_value(argument, LEVEL_OR, lone_is_array=False) for argument in arguments]
            return f"{function}({', '.join(texts)})"
        case Field(path):
            return print_field(path, lone_is_array=lone_is_array)
        case Literal(list() as value):
            return print_array([Literal(item) for item in value], lone_is_array=lone_is_array)
        case ArrayLiteral(items):
            return print_array(list(items), lone_is_array=lone_is_array)
        case Literal(value):
            return print_scalar(value)


def print_value(node: Node, level: int, *, lone_is_array: bool) -> str:
    """Write a node where a value is asked for: a Truth there would be read back as its bare operand."""
    if isinstance(node, Truth):
        raise InvalidValue("The legacy query language cannot write a value that is used as a condition in a value.")
    return print_node(node, level, lone_is_array=lone_is_array)


def print_operands(operands: tuple[Node, ...], between: str, level: int) -> str:
    """Write the operands of And or Or."""
    return between.join([print_node(operand, level, lone_is_array=False) for operand in operands])


def print_compare(node: Compare) -> str:
    """Write a comparison; `['x']` on its right is an array."""
    check_legacy(node.comparison)
    left = print_value(node.left, LEVEL_OPERAND, lone_is_array=False)
    return f"{left} {node.operator} {print_value(node.right, LEVEL_OPERAND, lone_is_array=True)}"


def print_contains(node: Contains) -> str:
    """Write `contains`; `['x']` as its first argument is an array unless the second is a constant."""
    check_legacy(node.comparison)
    array = print_value(node.array, LEVEL_OR, lone_is_array=not isinstance(node.item, Literal))
    return f"contains({array}, {print_value(node.item, LEVEL_OR, lone_is_array=False)})"


def check_legacy(comparison: Comparison) -> None:
    """Refuse to print what would mean something else when read back."""
    if comparison != LEGACY:
        raise InvalidValue("The legacy query language cannot write a comparison by another language's rules.")


def print_field(path: Path, *, lone_is_array: bool) -> str:
    """Write a path: names with dots, everything else in brackets."""
    first, *rest = path
    if isinstance(first, int) and not rest:
        raise InvalidValue(f"The legacy query language cannot write the path [{first}]: it means an array there.")
    named = is_name(first)
    text = str(first) if named else print_bracket(first)
    for segment in rest:
        after_dot = isinstance(segment, str) and NAME.fullmatch(segment)
        text += f".{segment}" if after_dot else print_bracket(segment)
    return f"({text})" if lone_is_array and not named and not rest else text


def is_name(segment: Segment) -> bool:
    """Whether a path may begin with this segment as it is, without brackets."""
    return isinstance(segment, str) and NAME.fullmatch(segment) is not None and segment not in KEYWORDS


def print_bracket(segment: Segment) -> str:
    """Write a segment in brackets."""
    return f"[{print_scalar(segment)}]"


def print_array(items: list[Node], *, lone_is_array: bool) -> str:
    """Write an array; where `['x']` means a field, the one item stands in parentheses."""
    texts = [print_value(item, LEVEL_OR, lone_is_array=True) for item in items]
    if len(items) == 1 and not lone_is_array and is_lone(items[0]):
        return f"[({texts[0]})]"
    return f"[{', '.join(texts)}]"


def is_lone(item: Node) -> bool:
    """Whether an array with only this item would be written as a field in brackets is."""
    if isinstance(item, Field):
        return len(item.path) == 1 and is_name(item.path[0])
    return isinstance(item, Literal) and isinstance(item.value, str)


def print_scalar(value: object) -> str:
    """Write a constant that is neither array nor object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return f"'{''.join(map(print_character, value))}'"
    kind = "an object" if isinstance(value, dict) else f"a value of type {type(value).__name__}"
    raise InvalidValue(f"The legacy query language cannot write {kind}; it can only be passed as an argument.")


def print_character(character: str) -> str:
    """One character inside single quotes; control characters by their code."""
    return ESCAPES.get(character) or (character if character >= " " else f"\\u{ord(character):04x}")
