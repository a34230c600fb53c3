"""The options of things search: `sort(+thingId,-attributes/size),size(20)`. Text to a list, in the order written.

Rules: no white space but before the first option; the sign of a sort key is written. Which options go together, and
how large a page may be, is not the grammar's.

Source: as `rql`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from crdtstore.query.lexer import show
from crdtstore.query.rql import Parser, print_property

Sign: TypeAlias = Literal["+", "-"]


class Sort(msgspec.Struct, frozen=True):
    """An order: the sign and the property of each key."""

    sort: tuple[tuple[Sign, str], ...]


class Limit(msgspec.Struct, frozen=True):
    """How many results are skipped, and how many are given."""

    limit: tuple[int, int]


class Size(msgspec.Struct, frozen=True):
    """How many results a page has."""

    size: int


class Cursor(msgspec.Struct, frozen=True):
    """Where the last page ended."""

    cursor: str


Option: TypeAlias = Sort | Limit | Size | Cursor

NAME: Final = re.compile(r"sort|limit|size|cursor")
SIGN: Final = re.compile(r"[+-]")
INTEGER: Final = re.compile(r"[+-]?[1-9][0-9]*|0")
DIGITS: Final = re.compile(r"[0-9]+")
TOKEN: Final = re.compile(r"[0-9A-Za-z_-]+")
NAMES_EXPECTED: Final = ("'sort('", "'limit('", "'size('", "'cursor('")


def parse_options(text: str) -> tuple[Option, ...]:
    """Read options, at least one.

    Raises:
        QuerySyntaxError: Not options; with line, column and what was expected.
    """
    parser = OptionParser(text)
    parser.skip_space()
    options = [parser.option()]
    while parser.next_is(","):
        options.append(parser.option())
    if parser.at < len(text):
        parser.fail(f"{show(text[parser.at :])} stands behind the options", "','", "the end")
    return tuple(options)


class OptionParser(Parser):
    """One text of options."""

    def option(self) -> Option:
        """The option that comes next."""
        start = self.at
        name = self.match(NAME)
        if not name or not self.next_is("("):
            self.at = start
            self.fail("no option begins here", *NAMES_EXPECTED)
        self.check_size(start, depth=1)
        readers: dict[str, Callable[[], Option]] = {
            "sort": self.sort,
            "limit": self.limit,
            "size": self.size,
            "cursor": self.cursor,
        }
        option = readers[name]()
        self.expect(")")
        return option

    def sort(self) -> Sort:
        """The keys of an order."""
        keys = [self.sort_key()]
        while self.next_is(","):
            keys.append(self.sort_key())
        return Sort(tuple(keys))

    def sort_key(self) -> tuple[Sign, str]:
        """A sign and a property."""
        sign = self.match(SIGN)
        if not sign:
            self.fail("a sort key has a sign", "'+'", "'-'")
        self.check_size(self.at, depth=1)
        return "+" if sign == "+" else "-", self.property_name()

    def limit(self) -> Limit:
        """Two integers."""
        skipped = self.integer(INTEGER)
        self.expect(",")
        return Limit((skipped, self.integer(INTEGER)))

    def size(self) -> Size:
        """One integer."""
        return Size(self.integer(DIGITS))

    def cursor(self) -> Cursor:
        """A token."""
        token = self.match(TOKEN)
        if not token:
            self.fail("a cursor is not empty", "letters, digits, '-' and '_'")
        return Cursor(token)

    def integer(self, pattern: re.Pattern[str]) -> int:
        """An integer."""
        written = self.match(pattern)
        if not written:
            self.fail("no integer begins here", "an integer")
        return int(self.number(written))


def print_options(options: tuple[Option, ...]) -> str:
    """Write options as text; reading it gives equal options."""
    return ",".join(map(print_option, options))


def print_option(option: Option) -> str:
    """Write one option."""
    match option:
        case Sort(keys):
            return f"sort({','.join(sign + print_property(name) for sign, name in keys)})"
        case Limit((skipped, given)):
            return f"limit({skipped},{given})"
        case Size(size):
            return f"size({size})"
        case Cursor(cursor):
            return f"cursor({cursor})"


def options_as_json(options: tuple[Option, ...]) -> Any:
    """Options as JSON values."""
    return msgspec.to_builtins(options)
