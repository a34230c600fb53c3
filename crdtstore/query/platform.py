"""The platform's query language: `$filter=type eq 'pump' and has(hw) $orderby=name desc`. Text to expression.

Rules: keywords are in any case. Strings stand in single quotes, or are bare words without white space, quotes,
parentheses and commas; so are numbers. `not` binds stronger than `and`, that stronger than `or`. Null is only asked for
with `eq` and `ne`. Nothing is read twice, and nesting is bounded. The grammar is in docs/query-platform.md.

Source: the public interface of the platform. Not here: what an expression means (`platform_tree`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final, Literal, NoReturn, TypeAlias, get_args

import msgspec

from crdtstore.limits import DEPTH_MAX, INT_MAX, INT_MIN, QUERY_DEPTH_MAX, QUERY_EXCERPT_CHARS_MAX, QUERY_NODES_MAX
from crdtstore.query import lexer
from crdtstore.query.lexer import INT_CHARS_MAX, show

Operator: TypeAlias = Literal["eq", "ne", "gt", "ge", "lt", "le"]
Function: TypeAlias = Literal["bygroupid", "isinhierarchyof"]
Names: TypeAlias = tuple[str, ...]


class Text(msgspec.Struct, frozen=True, tag_field="value"):
    """A string; with `eq` and `ne` a star in it stands for any characters."""

    text: str


class Number(msgspec.Struct, frozen=True, tag_field="value"):
    """A number; `text` is how it was written, unless a suffix says that it is nothing but a number."""

    number: int | float
    text: str | None


Value: TypeAlias = Text | Number | bool | None


class Compare(msgspec.Struct, frozen=True):
    """A property against a value."""

    op: Operator
    path: Names
    value: Value


class Has(msgspec.Struct, frozen=True, tag_field="op", tag="has"):
    """Whether one of these properties is there: `has`, and `hasany` of several."""

    paths: tuple[Names, ...]


class Related(msgspec.Struct, frozen=True):
    """Whether an object stands in a relation to one of these ids."""

    op: Function
    ids: tuple[str, ...]


class Not(msgspec.Struct, frozen=True, tag_field="op", tag="not"):
    """Whatever the expression is not."""

    arg: Expression


class Join(msgspec.Struct, frozen=True):
    """Two or more expressions joined."""

    op: Literal["and", "or"]
    args: tuple[Expression, ...]


Expression: TypeAlias = Compare | Has | Related | Not | Join


class Key(msgspec.Struct, frozen=True):
    """One key of an order."""

    path: Names
    descending: bool = False


class Query(msgspec.Struct, frozen=True):
    """A whole query: without a filter everything is found, without an order in the order of ids."""

    filter: Expression | None
    order: tuple[Key, ...]


OPERATORS: Final = get_args(Operator)
FUNCTIONS: Final = ("has", "hasany", *get_args(Function))
CONNECTIVES: Final = ("and", "or", "not")
CONSTANTS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}

SPACE: Final = re.compile(r"[ \t\n\r\f]*")
FILTER: Final = re.compile(r"\$filter=", re.IGNORECASE)
ORDER: Final = re.compile(r"\+?\$orderby=", re.IGNORECASE)
WORD: Final = re.compile(r"[A-Za-z]+(?![\w.-])")
NAME: Final = re.compile(r"[^\W\d][\w-]*")
PART: Final = re.compile(r"\w[\w-]*")
BARE: Final = re.compile(r"(?:(?!\+\$orderby=)[^\s()',])+", re.IGNORECASE)
NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([fFdD])?")
PLAIN: Final = re.compile(r"[^'\\]*")
ESCAPED: Final = "()[]{}\\"
EXPRESSION_EXPECTED: Final = ("a property", "'not'", "'('", *[f"'{name}('" for name in FUNCTIONS])
VALUE_EXPECTED: Final = ("a string in single quotes", "a word", "a number", "true", "false", "null")


def parse(text: str) -> Query:
    """Read a query.

    Args:
        text: At most QUERY_BYTES_MAX bytes in UTF-8.

    Raises:
        QuerySyntaxError: Not a query, too deep or too large; with line, column and what was expected.
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
        self.take(SPACE)
        self.take(FILTER)
        self.take(SPACE)
        found = None if self.at_end() or ORDER.match(self.text, self.at) else self.disjunction(1)
        self.take(SPACE)
        order = self.order() if self.take(ORDER) else ()
        self.take(SPACE)
        if not self.at_end():
            wish = ("','", "the end") if order else ("'and'", "'or'", "'$orderby='", "the end")
            self.fail(f"{show(self.text[self.at :])} stands behind the query", *wish)
        return Query(found, order)

    # --- expressions ---

    def disjunction(self, depth: int) -> Expression:
        """Expressions with `or` between them."""
        found = [self.conjunction(depth)]
        while self.take_word("or"):
            found.append(self.conjunction(depth))
        return found[0] if len(found) == 1 else Join("or", tuple(found))

    def conjunction(self, depth: int) -> Expression:
        """Expressions with `and` between them."""
        found = [self.negation(depth)]
        while self.take_word("and"):
            found.append(self.negation(depth))
        return found[0] if len(found) == 1 else Join("and", tuple(found))

    def negation(self, depth: int) -> Expression:
        """An expression with any number of `not` before it."""
        self.count(depth)
        if self.take_word("not"):
            return Not(self.negation(depth + 1))
        if self.take_symbol("("):
            found = self.disjunction(depth + 1)
            self.expect(")")
            return found
        return self.call() or self.comparison()

    def call(self) -> Expression | None:
        """A function, if one begins here."""
        start = self.at
        name = self.word()
        if name not in FUNCTIONS or not self.take_symbol("("):
            self.at = start
            return None
        argument: Callable[[], Any] = self.held_path if name in ("has", "hasany") else self.id
        found = [argument()]
        while name != "has" and self.take_symbol(","):
            self.count(1)
            found.append(argument())
        self.expect(")")
        return Has(tuple(found)) if name in ("has", "hasany") else Related(name, tuple(found))  # type: ignore[arg-type]

    def comparison(self) -> Expression:
        """A property, an operator and a value."""
        if self.peek_word() in CONNECTIVES or not NAME.match(self.text, self.at):
            self.fail(f"{self.here()} begins no expression", *EXPRESSION_EXPECTED)
        path = self.path()
        self.take(SPACE)
        start = self.at
        operator = self.word()
        if operator not in OPERATORS:
            self.at = start
            self.fail(f"{self.here()} is no operator", *[f"'{name}'" for name in OPERATORS])
        self.take(SPACE)
        start = self.at
        value = self.value()
        if value is None and operator not in ("eq", "ne"):
            self.at = start
            self.fail("null is neither less nor greater", "'eq null'", "'ne null'")
        return Compare(operator, path, value)  # type: ignore[arg-type]

    def order(self) -> tuple[Key, ...]:
        """The keys of an order."""
        found = [self.key()]
        while self.take_symbol(","):
            found.append(self.key())
        return tuple(found)

    def key(self) -> Key:
        """A property and a direction."""
        self.count(1)
        self.take(SPACE)
        path = self.path()
        descending = self.take_word("desc")
        if not descending:
            self.take_word("asc")
        return Key(path, descending)

    # --- properties and values ---

    def path(self) -> Names:
        """A property: names with points between them."""
        start = self.at
        names = [self.take(NAME) or self.fail(f"{self.here()} begins no property", "a name")]
        while self.text.startswith(".", self.at):
            self.at += 1
            names.append(self.take(PART) or self.fail(f"{self.here()} is no name", "a name"))
        return self.checked(tuple(names), start)

    def checked(self, names: Names, start: int) -> Names:
        """A property that is not too long."""
        if len(names) > DEPTH_MAX:
            self.at = start
            self.fail(f"a property has more than {DEPTH_MAX} names (DEPTH_MAX)")
        return names

    def held_path(self) -> Names:
        """A property as an argument, in quotes or not."""
        self.take(SPACE)
        start = self.at
        if not self.text.startswith("'", start):
            return self.path()
        names = tuple(self.string().split("."))
        if not all(names):
            self.at = start
            self.fail("a name in the quotes is empty", "a property")
        return self.checked(names, start)

    def id(self) -> str:
        """An id, in quotes or not."""
        self.take(SPACE)
        if self.text.startswith("'", self.at):
            return self.string()
        return self.take(BARE) or self.fail(f"{self.here()} is no id", "an id")

    def value(self) -> Value:
        """A string, a number or a constant."""
        if self.text.startswith("'", self.at):
            return Text(self.string())
        start = self.at
        word = self.take(BARE)
        if not word or word.lower() in CONNECTIVES:
            self.at = start
            self.fail(f"{self.here()} is no value", *VALUE_EXPECTED)
        if word.lower() in CONSTANTS:
            return CONSTANTS[word.lower()]
        number = NUMBER.fullmatch(word)
        return Text(word) if number is None else self.number(number, start)

    def number(self, found: re.Match[str], start: int) -> Number:
        """What a number stands for; with a suffix it is a double."""
        whole, fraction, suffix = found.groups()
        text = None if suffix else found[0]
        if not fraction and not suffix:
            if len(whole) > INT_CHARS_MAX or not INT_MIN <= int(whole) <= INT_MAX:
                self.at = start
                self.fail(f"the integer {show(whole)} is beyond int64 ({INT_MIN} to {INT_MAX})", "a string in quotes")
            return Number(int(whole), text)
        value = float(f"{whole}{fraction or ''}")
        if not math.isfinite(value):
            self.at = start
            self.fail(f"the number {show(found[0])} is beyond the largest double", "a string in quotes")
        return Number(value, text)

    def string(self) -> str:
        """A string in single quotes; two of them stand for one."""
        start = self.at
        parts: list[str] = []
        while True:
            self.at += 1
            parts.append(self.take(PLAIN))
            if self.at_end():
                self.at = start
                self.fail("the string that begins here does not end", "a closing '")
            following = self.text[self.at + 1 : self.at + 2]
            if self.text[self.at] == "\\":
                if following not in ESCAPED or not following:
                    self.fail(f"{show(self.text[self.at : self.at + 2])} is no escape", "'\\' before one of ()[]{}\\")
            elif following != "'":
                self.at += 1
                return "".join(parts)
            parts.append(following)
            self.at += 1

    # --- pieces ---

    def count(self, depth: int) -> None:
        """Refuse one node too many, or too deep."""
        self.nodes += 1
        if depth > QUERY_DEPTH_MAX:
            self.fail(f"the query is nested deeper than {QUERY_DEPTH_MAX} levels (QUERY_DEPTH_MAX)")
        if self.nodes > QUERY_NODES_MAX:
            self.fail(f"the query has more than {QUERY_NODES_MAX} parts (QUERY_NODES_MAX)")
        self.take(SPACE)

    def take(self, pattern: re.Pattern[str]) -> str:
        """Take what a pattern fits here; the empty string if it does not."""
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found[0]

    def peek_word(self) -> str:
        """The word that begins here, in lower case; the empty string where none does."""
        found = WORD.match(self.text, self.at)
        return found[0].lower() if found else ""

    def word(self) -> str:
        """Take it."""
        found = self.peek_word()
        self.at += len(found)
        return found

    def take_word(self, word: str) -> bool:
        """Take a keyword if it comes next, white space before it."""
        start = self.at
        self.take(SPACE)
        if self.word() == word:
            return True
        self.at = start
        return False

    def take_symbol(self, symbol: str) -> bool:
        """Take a symbol if it comes next, white space before it."""
        start = self.at
        self.take(SPACE)
        if self.text.startswith(symbol, self.at):
            self.at += len(symbol)
            return True
        self.at = start
        return False

    def expect(self, symbol: str) -> None:
        """Take a symbol that must come next."""
        if not self.take_symbol(symbol):
            self.take(SPACE)
            self.fail(f"{self.here()} does not fit", show(symbol))

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.at == len(self.text)

    def here(self) -> str:
        """What comes next, for a message."""
        piece = self.text[self.at : self.at + QUERY_EXCERPT_CHARS_MAX]
        return show(piece.split()[0] if piece.strip() else piece) if piece else "the end"

    def fail(self, problem: str, *expected: str) -> NoReturn:
        """Raise the error that shows where the text goes wrong."""
        lexer.fail(self.text, self.at, problem, expected)


def as_json(query: Query) -> Any:
    """A query as JSON values, for people and programs."""
    return msgspec.to_builtins(query)
