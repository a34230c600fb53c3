"""A program is a tree as the compiled core runs it on document bytes; a filter is a tree with all that tests it.

Rules: the code is u32 words in native order, nodes in prefix order: a code, its words, then the nodes below it. A
word that is an operand has two low bits (0 a constant, 1 a field, 2 a field that is spread), and above them a number.

  0 false  1 true  2 ask           -
  3 and  4 or                      how many nodes follow
  5 not                            one node follows
  6 truth                          operand
  7 is-type                        operand, types as bits in the order of `tree.TypeName`
  8 compare                        left, right, operator in the order of `tree.Operator`, rules
  9 contains                       item, array, rules
  10 starts_with  11 ends_with     left, right, what it is without strings (0 false, 2 unknown)
  12 like                          text, pattern, the same
  13 ilike  14 regex               text, pattern, the same, number of a test
  15 some                          field; one node follows
  16 conflicted                    field, or 2³² - 1 for anywhere

Rules of a comparison are bits: 1 missing false, 2 missing unknown, 4 null unknown, 8 mixed false, 16 mixed unknown, 32
dates are instants. A field is (0 below an item of `some`, 1 in the document, 2 in the id; its path). Constants are
msgpack in a row. A pattern is an array with one binary for each part between stars, in which byte 255 stands for `?`;
for `ilike` in lower case, or null if it is not all ASCII. Tests are functions of a text, for what C does not do itself;
that of a regular expression gets UTF-8.

The core does not decide everything. It asks the plain twin, for one document at a time, about a map of cells that is
compared as a value with another object; about binary, arrays and objects inside of an id, and texts with control
characters 0 and 1 there; and about a text for whose test Python raises. A node asks always whose operand is an array
that is not all constant or a condition, a constant outside of the value model, or that is nested too deep; a tree with
too many fields has no program.

Compiled twin: `ext/program.pxi` checks and holds a program, `ext/evaluate.pxi` runs it.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_args

import msgpack

from crdtstore import core
from crdtstore.limits import DEPTH_MAX, INT_MAX, INT_MIN, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query.lookup import ID_FIELD, FieldLookup
from crdtstore.query.match import Predicate, compile_match, string_test
from crdtstore.query.pattern import like_parts
from crdtstore.query.relation import MIRRORED
from crdtstore.query.tree import (
    And,
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
    Operator,
    Or,
    Path,
    Some,
    Truth,
    TypeName,
)

if TYPE_CHECKING:
    from crdtstore.crdt.value import Value
    from crdtstore.query.relation import Verdict
    from crdtstore.storage.catalog import Catalog, Collection

FALSE, TRUE, ASK, AND, OR, NOT, TRUTH, IS_TYPE, COMPARE, CONTAINS, STARTS_WITH, ENDS_WITH = range(12)
LIKE, ILIKE, REGEX, SOME, CONFLICTED = range(12, 17)
CALLS: Final = {"starts_with": STARTS_WITH, "ends_with": ENDS_WITH, "like": LIKE, "ilike": ILIKE, "regex": REGEX}

INNER, DOCUMENT, ID = range(3)
CONSTANT, FIELD, SPREAD = range(3)
OPERAND_BITS = 2
ANYWHERE = 0xFFFF_FFFF
ANY_CHARACTER = b"\xff"
UNKNOWN = 2

TYPES: Final = {name: number for number, name in enumerate(get_args(TypeName))}
OPERATORS: Final = {name: number for number, name in enumerate(get_args(Operator))}
MISSING_RULES: Final = {"null": 0, "false": 1, "unknown": 2}
NULL_RULES: Final = {"value": 0, "unknown": 4}
MIXED_RULES: Final = {"unequal": 0, "false": 8, "unknown": 16}
DATES_RULE = 32

CONDITIONS_DEPTH_MAX = 2 * QUERY_DEPTH_MAX - 1
"""A grammar may put two conditions where a query has one level: a value and its Truth."""

STEPS_MAX = 2 * DEPTH_MAX
"""No document is nested deeper, keys of its paths and values together; C follows each step in a call of its own."""

packer = msgpack.Packer(use_bin_type=True, autoreset=True, unicode_errors="surrogatepass")


class Filter:
    """A tree that documents are tested by.

    `test` decides any document; `program` is the same for the compiled core, None without it.
    """

    __slots__ = ("node", "program", "test")

    def __init__(self, node: Node, test: Predicate, program: Any) -> None:
        self.node = node
        self.test = test
        self.program = program

    def matches(self, catalog: Catalog, collection: Collection, encoded_id: bytes, document: bytes) -> bool:
        """Whether a stored document matches: the core's verdict, or that of the plain twin where it asks."""
        verdict: Verdict = NotImplemented
        if self.program is not None:
            verdict = core.evaluate(self.program, document, encoded_id, collection.paths, catalog.replicas)
        if verdict is NotImplemented:
            verdict = self.test(FieldLookup(catalog, collection, encoded_id, document))
        return verdict is True


def compile_filter(node: Node) -> Filter:
    """Make the filter of a tree.

    Args:
        node: A condition (see `tree`).

    Raises:
        TypeError: The node is a value.
        StoreError: The query has a regular expression and RE2 is not installed.
    """
    return Filter(node, compile_match(node), compile_program(node) if core.Program else None)


def compile_program(node: Node) -> Any:
    """Make the program of a tree; None where it has too many fields."""
    draft = Draft()
    draft.node(node, DOCUMENT, CONDITIONS_DEPTH_MAX)
    if len(draft.fields) > QUERY_NODES_MAX:
        return None
    return core.Program(draft.words.tobytes(), tuple(draft.fields), bytes(draft.constants), tuple(draft.tests))


class Uncompiled(Exception):
    """The core has no word for an operand: the condition above it becomes one that asks."""


class Draft:
    """A program that is being written."""

    def __init__(self) -> None:
        self.words = array("I")
        self.fields: dict[tuple[int, Path], int] = {}
        self.constants = bytearray()
        self.constant_count = 0
        self.tests: list[Callable[[Any], bool]] = []

    def node(self, node: Node, scope: int, depth: int) -> None:
        """Write a condition and all below it; whole, or as one that asks."""
        start = len(self.words)
        try:
            self.condition(node, scope, depth)
        except Uncompiled:
            del self.words[start:]
            self.words.append(ASK)

    def condition(self, node: Node, scope: int, depth: int) -> None:
        """Write a condition, or raise Uncompiled."""
        if depth == 0:
            raise Uncompiled
        match node:
            case Literal(bool() as value):
                self.words.append(TRUE if value else FALSE)
            case And(operands) | Or(operands):
                self.words.extend((AND if isinstance(node, And) else OR, len(operands)))
                for operand in operands:
                    self.node(operand, scope, depth - 1)
            case Not(operand):
                self.words.append(NOT)
                self.node(operand, scope, depth - 1)
            case Some(path, operand):
                self.words.extend((SOME, self.field(path, scope)))
                self.node(operand, INNER, depth - 1)
            case Conflicted(path):
                self.conflicted(path, scope)
            case _:
                self.test(node, scope)

    def test(self, node: Node, scope: int) -> None:
        """Write a condition of values."""
        match node:
            case Truth(operand):
                self.words.extend((TRUTH, self.operand(operand, scope)))
            case IsType(operand, types):
                mask = sum(1 << TYPES[name] for name in set(types))
                self.words.extend((IS_TYPE, self.operand(operand, scope), mask))
            case Compare(operator, left, right, comparison):
                if isinstance(left, Literal):
                    left, right, operator = right, left, MIRRORED[operator]
                sides = self.operand(left, scope), self.operand(right, scope)
                self.words.extend((COMPARE, *sides, OPERATORS[operator], rules_of(comparison)))
            case Contains(array_, item, comparison):
                sides = self.operand(item, scope), self.operand(array_, scope)
                self.words.extend((CONTAINS, *sides, rules_of(comparison)))
            case Call():
                self.call(node, scope)
            case _:
                raise Uncompiled

    def conflicted(self, path: Path, scope: int) -> None:
        """Write whether values compete: never below an item, nor in an array."""
        if scope == INNER or not all(isinstance(step, str) for step in path):
            self.words.append(FALSE)
        else:
            self.words.extend((CONFLICTED, self.field(path, scope) if path else ANYWHERE))

    def call(self, node: Call, scope: int) -> None:
        """Write a call; its pattern apart."""
        left, right = node.arguments
        code = CALLS[node.function]
        otherwise = UNKNOWN if node.otherwise == "unknown" else FALSE
        text = self.operand(left, scope)
        if code in (STARTS_WITH, ENDS_WITH):
            self.words.extend((code, text, self.operand(right, scope), otherwise))
            return
        if not isinstance(right, Literal):
            raise Uncompiled
        pattern = None if code == REGEX else encode_like(right.value, folded=code == ILIKE)
        words = [code, text, self.constant(pattern), otherwise]
        if code != LIKE:
            test = string_test(node)
            words.append(len(self.tests))
            self.tests.append(lambda text: bool(test(text, "")))
        self.words.extend(words)

    def operand(self, node: Node, scope: int) -> int:
        """The word of an operand."""
        if isinstance(node, Literal):
            return self.constant(node.value)
        if isinstance(node, Field):
            return self.field(node.path, scope) << OPERAND_BITS | (SPREAD if node.spread else FIELD)
        raise Uncompiled

    def constant(self, value: Value) -> int:
        """The operand of a constant."""
        check_constant(value)
        self.constants += packer.pack(value)
        self.constant_count += 1
        return (self.constant_count - 1) << OPERAND_BITS | CONSTANT

    def field(self, path: Path, scope: int) -> int:
        """The number of a field."""
        if len(path) > STEPS_MAX:
            raise Uncompiled
        kind = ID if scope == DOCUMENT and path and path[0] == ID_FIELD else scope
        return self.fields.setdefault((kind, path), len(self.fields))


def rules_of(comparison: Comparison) -> int:
    """A comparison as bits."""
    return (
        MISSING_RULES[comparison.missing]
        | NULL_RULES[comparison.null]
        | MIXED_RULES[comparison.mixed]
        | (DATES_RULE if comparison.dates_are_instants else 0)
    )


def check_constant(value: Value, depth: int = DEPTH_MAX) -> None:
    """Refuse what no document can hold: integers beyond int64, what is no number, what is nested too deep."""
    if isinstance(value, list | dict):
        if depth == 0:
            raise Uncompiled
        for item in value.values() if isinstance(value, dict) else value:
            check_constant(item, depth - 1)
    elif not (math.isfinite(value) if isinstance(value, float) else in_range(value)):
        raise Uncompiled


def in_range(value: Value) -> bool:
    """Whether a scalar other than a double is no integer beyond int64."""
    return not isinstance(value, int) or INT_MIN <= value <= INT_MAX


def encode_like(pattern: str, *, folded: bool) -> list[bytes] | None:
    """A pattern as C reads it; None for one that is to be folded and not all ASCII."""
    if folded and not pattern.isascii():
        return None
    parts = like_parts(pattern.casefold() if folded else pattern)
    return [
        b"".join(ANY_CHARACTER if each is None else each.encode(errors="surrogatepass") for each in part)
        for part in parts
    ]
