"""The filter language of things search, RQL: `and(gt(attributes/size,3),exists(features/lamp))`. Text to tree.

Rules: operator names are lower case, and their parenthesis follows at once. White space is allowed in three places
only: before the query, behind a value, and behind the comma between two queries. A property is any text up to a comma
or a closing parenthesis; these two, the double quote and the backslash are written as escapes. Which property names
there are, and that `like` wants a string, is not the grammar's: a text that breaks such a rule has a tree. Nothing is
read twice, and nesting is bounded. The grammar is in docs/query-rql.md.

Source: the public grammar of things search. Not here: what the operators mean, the options (`rql_options`).
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final, Literal, NoReturn, TypeAlias, get_args

import msgspec

from crdtstore.limits import INT_MAX, INT_MIN, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query import lexer
from crdtstore.query.lexer import HEX4, INT_CHARS_MAX, join_surrogates, show

Relation: TypeAlias = Literal["eq", "ne", "gt", "ge", "lt", "le", "like", "ilike"]
Presence: TypeAlias = Literal["exists", "empty"]
Connective: TypeAlias = Literal["and", "or", "not"]


class Placeholder(msgspec.Struct, frozen=True, tag=False):
    """A value that is known when the query runs, such as `time:now-1h`."""

    placeholder: str


Value: TypeAlias = bool | int | float | str | Placeholder | None


class Compare(msgspec.Struct, frozen=True):
    """A property against a value."""

    op: Relation
    property: str
    value: Value


class In(msgspec.Struct, frozen=True, tag_field="op", tag="in"):
    """A property against several values."""

    property: str
    values: tuple[Value, ...]


class Present(msgspec.Struct, frozen=True):
    """Whether a property is there, or holds nothing."""

    op: Presence
    property: str


class Join(msgspec.Struct, frozen=True):
    """Queries joined: at least one, and exactly one behind `not`."""

    op: Connective
    args: tuple[Query, ...]


Query: TypeAlias = Compare | In | Present | Join

RELATIONS: Final = frozenset(get_args(Relation))
PRESENCES: Final = frozenset(get_args(Presence))
CONNECTIVES: Final = frozenset(get_args(Connective))
OPERATORS: Final = tuple(sorted({*RELATIONS, *PRESENCES, *CONNECTIVES, "in"}))
OPERATORS_EXPECTED: Final = tuple(show(f"{name}(") for name in OPERATORS)
VALUE_EXPECTED: Final = (
    "a number",
    "a string in quotes",
    "true",
    "false",
    "null",
    "a placeholder that begins with time:",
)

SPACE: Final = re.compile(r"[ \n\r\t\f]*")
WORD: Final = re.compile(r"[A-Za-z]*")
NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9][0-9]*)\.[0-9]+|[+-]?[1-9][0-9]*|0")
PLACEHOLDER: Final = re.compile(r"""time:[^ \n\r\t\f,()"'\\]+""")
CONSTANT: Final = re.compile(r"true|false|null")
CONSTANTS: Final = {"true": True, "false": False, "null": None}
PLAIN: Final = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*"), ",": re.compile(r'[^,)"\\]*')}
"""Characters that stand for themselves: in strings by their quote, in a property under the comma."""

ESCAPED: Final = {"\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def parse(text: str) -> Query:
    """Read a filter.

    Args:
        text: At most QUERY_BYTES_MAX bytes in UTF-8.

    Raises:
        QuerySyntaxError: Not a filter, too deep or too large; with line, column and what was expected.
    """
    return Parser(text).parse()


class Parser:
    """One text, read from the left; `at` is where it goes on."""

    def __init__(self, text: str) -> None:
        lexer.check_text(text)
        self.text = text
        self.at = 0
        self.nodes = 0

    def parse(self) -> Query:
        """The whole text."""
        self.skip_space()
        query = self.query(1)
        if self.at < len(self.text):
            self.fail(f"{show(self.text[self.at :])} stands behind the query", "the end")
        return query

    # --- queries ---

    def query(self, depth: int) -> Query:
        """A query, whose operator comes next."""
        start = self.at
        name = self.match(WORD)
        if name not in OPERATORS or self.text[self.at : self.at + 1] != "(":
            self.at = start
            self.fail(f"no operator is {show(self.text[start : self.at_end_of(name)])}", *OPERATORS_EXPECTED)
        self.check_size(start, depth)
        self.at += 1
        query = self.operands(name, depth)
        self.expect(")")
        return query

    def at_end_of(self, name: str) -> int:
        """Where a wrong name ends, with the character behind it."""
        return self.at + len(name) + 1

    def check_size(self, start: int, depth: int) -> None:
        """Refuse one node too many, or too deep."""
        self.nodes += 1
        if depth > QUERY_DEPTH_MAX:
            self.at = start
            self.fail(f"the query is nested deeper than {QUERY_DEPTH_MAX} levels (QUERY_DEPTH_MAX)")
        if self.nodes > QUERY_NODES_MAX:
            self.at = start
            self.fail(f"the query has more than {QUERY_NODES_MAX} parts (QUERY_NODES_MAX)")

    def operands(self, name: str, depth: int) -> Query:
        """What stands in an operator's parentheses."""
        if name in CONNECTIVES:
            return Join(name, self.queries(depth + 1) if name != "not" else (self.query(depth + 1),))  # type: ignore[arg-type]
        held = self.property_name()
        if name in PRESENCES:
            return Present(name, held)  # type: ignore[arg-type]
        self.expect(",")
        if name == "in":
            return In(held, self.values())
        return Compare(name, held, self.value())  # type: ignore[arg-type]

    def queries(self, depth: int) -> tuple[Query, ...]:
        """Queries with commas between them."""
        found = [self.query(depth)]
        while self.next_is(","):
            self.skip_space()
            found.append(self.query(depth))
        return tuple(found)

    # --- values ---

    def values(self) -> tuple[Value, ...]:
        """Values with commas between them."""
        found = [self.value()]
        while self.next_is(","):
            self.check_size(self.at, depth=1)
            found.append(self.value())
        return tuple(found)

    def value(self) -> Value:
        """A value, and the white space behind it."""
        value = self.bare_value()
        self.skip_space()
        return value

    def bare_value(self) -> Value:
        """A number, a string, a placeholder or a constant."""
        if self.text[self.at : self.at + 1] in {'"', "'"}:
            return self.string()
        if number := self.match(NUMBER):
            return self.number(number)
        if placeholder := self.match(PLACEHOLDER):
            return Placeholder(placeholder)
        if constant := self.match(CONSTANT):
            return CONSTANTS[constant]
        return self.fail("no value begins here", *VALUE_EXPECTED)

    def number(self, written: str) -> int | float:
        """What a number stands for."""
        if "." not in written:
            if len(written) > INT_CHARS_MAX or not INT_MIN <= int(written) <= INT_MAX:
                self.at -= len(written)
                self.fail(f"the integer {show(written)} is beyond int64 ({INT_MIN} to {INT_MAX})")
            return int(written)
        if not math.isfinite(float(written)):
            self.at -= len(written)
            self.fail(f"the number {show(written)} is beyond the largest double")
        return float(written)

    def string(self) -> str:
        """A string in quotes."""
        start, quote = self.at, self.text[self.at]
        self.at += 1
        value = self.characters(quote, quote)
        if not self.next_is(quote):
            self.at = start
            self.fail("the string that begins here does not end", f"a closing {quote}")
        return join_surrogates(self.text, start, value)

    def property_name(self) -> str:
        """A property's name."""
        start = self.at
        return join_surrogates(self.text, start, self.characters(",", '"'))

    def characters(self, plain: str, delimiter: str) -> str:
        """Characters that stand for themselves, and escapes, up to anything else."""
        parts = [self.match(PLAIN[plain])]
        while self.text[self.at : self.at + 1] == "\\":
            parts.append(self.escape(delimiter))
            parts.append(self.match(PLAIN[plain]))
        return "".join(parts)

    def escape(self, delimiter: str) -> str:
        """An escape; of the quotes only the delimiter has one."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter in ESCAPED or letter == delimiter:
            self.at += 2
            return ESCAPED.get(letter, letter)
        code = HEX4.match(self.text, self.at + 2) if letter == "u" else None
        if code is None:
            expected = (
                "\\\\ for a backslash",
                f"\\{delimiter} \\/ \\b \\f \\n \\r \\t",
                "\\u and four hexadecimal digits",
            )
            self.fail(f"{show(self.text[self.at : self.at + 2])} is no escape here", *expected)
        self.at = code.end()
        return chr(int(code[0], 16))

    # --- pieces ---

    def match(self, pattern: re.Pattern[str]) -> str:
        """Take what a pattern fits here; the empty string if it does not."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def skip_space(self) -> None:
        """Go on behind white space."""
        self.match(SPACE)

    def next_is(self, symbol: str) -> bool:
        """Take a symbol if it comes next."""
        if not self.text.startswith(symbol, self.at):
            return False
        self.at += len(symbol)
        return True

    def expect(self, symbol: str) -> None:
        """Take a symbol that must come next."""
        if not self.next_is(symbol):
            here = show(self.text[self.at : self.at + 1]) if self.at < len(self.text) else "the end"
            self.fail(f"{here} does not fit", show(symbol))

    def fail(self, problem: str, *expected: str) -> NoReturn:
        """Raise the error that shows where the text goes wrong."""
        lexer.fail(self.text, self.at, problem, expected)


# --- printing ---

QUOTED: Final = str.maketrans({"\\": "\\\\", '"': '\\"'})
NAMED: Final = str.maketrans({"\\": "\\\\", '"': '\\"', ",": "\\u002c", ")": "\\u0029"})


def print_rql(query: Query) -> str:
    """Write a query as text; reading it gives an equal query."""
    match query:
        case Compare(op, name, value):
            return f"{op}({print_property(name)},{print_value(value)})"
        case In(name, values):
            return f"in({','.join([print_property(name), *map(print_value, values)])})"
        case Present(op, name):
            return f"{op}({print_property(name)})"
        case Join(op, args):
            return f"{op}({','.join(map(print_rql, args))})"


def print_property(name: str) -> str:
    """Write a property's name."""
    return name.translate(NAMED)


def print_value(value: Value) -> str:
    """Write a value; a double without an exponent, which the language has not."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            written = f"{Decimal(repr(value)):f}"
            return written if "." in written else f"{written}.0"
        case str():
            return f'"{value.translate(QUOTED)}"'
        case Placeholder(placeholder):
            return placeholder


def as_json(query: Query) -> Any:
    """A query as JSON values, for people and programs."""
    return msgspec.to_builtins(query)
