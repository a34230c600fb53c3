"""A tree written in the legacy query language, with no more parentheses than it needs.

Rules: what `legacy.parse` gives is written so that parsing the text gives an equal tree. What the language has no
words for is refused, never written as something else.

Not here: reading (`legacy`), the tree (`tree`).
"""

from __future__ import annotations

import re
from typing import Final

from crdtstore.errors import InvalidValue
from crdtstore.query.legacy import KEYWORDS
from crdtstore.query.tree import (
    LEGACY,
    And,
    ArrayLiteral,
    Call,
    Compare,
    Comparison,
    Conflicted,
    Contains,
    Field,
    IsType,
    Literal,
    Node,
    Not,
    Or,
    Parameter,
    Path,
    Segment,
    Some,
    Truth,
)

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FUNCTIONS: Final = ("starts_with", "ends_with", "regex")
ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

LEVEL_OR, LEVEL_AND, LEVEL_NOT, LEVEL_COMPARE, LEVEL_OPERAND = range(5)
LEVELS: Final = {Or: LEVEL_OR, And: LEVEL_AND, Not: LEVEL_NOT, Compare: LEVEL_COMPARE}


def print_legacy(node: Node) -> str:
    """Write a tree in the legacy language, with no more parentheses than it needs.

    For every tree that `legacy.parse` gives, parsing the text gives an equal tree, unless arguments brought
    in a value that the language cannot write.

    Raises:
        InvalidValue: The language has no words for a part of the tree: an object, binary, an operator that
            compares by another language's rules, a value used as a condition inside a value, or what only other
            languages can say.
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
        case Call(function, arguments, "false") if function in FUNCTIONS:
            texts = [print_value(argument, LEVEL_OR, lone_is_array=False) for argument in arguments]
            return f"{function}({', '.join(texts)})"
        case Field(path, False):
            return print_field(path, lone_is_array=lone_is_array)
        case Literal(list() as value):
            return print_array([Literal(item) for item in value], lone_is_array=lone_is_array)
        case ArrayLiteral(items):
            return print_array(list(items), lone_is_array=lone_is_array)
        case Literal(value):
            return print_scalar(value)
        case Conflicted(path):
            return f"conflicted({print_field(path, lone_is_array=False) if path else ''})"
        case Parameter(name):
            return f"$args[{print_scalar(name)}]"
        case Field() | Call() | IsType() | Some():
            raise InvalidValue(f"The legacy query language has no words for {type(node).__name__}: {node!r}.")


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
