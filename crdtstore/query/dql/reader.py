"""A statement being read: its tokens one by one, how far it has been read, how deep and how much.

Rules: nothing is read twice. Every refusal shows its place. Nesting and the number of parts are bounded here.

Not here: the grammar (`expression_parser`, `statement_parser`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from crdtstore.limits import QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query import lexer
from crdtstore.query.dql import tokens
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.tokens import END, NAME, QUOTED, SYMBOL, Token
from crdtstore.query.dql.words import is_reserved
from crdtstore.query.lexer import show

T = TypeVar("T")


class Reader:
    """One text being read: its tokens, how far it has been read, how deep and how much."""

    def __init__(self, text: str, profile: Profile) -> None:
        self.text = text
        self.profile = profile
        self.ahead = tokens.tokenize(text, profile)
        self.tokens: list[Token] = []
        self.at = 0
        self.depth = 0
        self.nodes = 0

    def peek(self, ahead: int = 0) -> Token:
        """The token to be read next, or one further ahead."""
        place, read = self.at + ahead, self.tokens
        while len(read) <= place:
            read.append(next(self.ahead))
        return read[place]

    def take(self) -> Token:
        """Read one token."""
        token = self.peek()
        self.at += 1
        return token

    def is_symbol(self, symbol: str, ahead: int = 0) -> bool:
        """Whether a token ahead is this symbol."""
        token = self.peek(ahead)
        return token.kind == SYMBOL and token.text == symbol

    def take_symbol(self, symbol: str) -> bool:
        """Read this symbol if it is next."""
        found = self.is_symbol(symbol)
        self.at += found
        return found

    def expect_symbol(self, symbol: str, *others: str) -> None:
        """Read this symbol; the others could have stood there too."""
        if not self.take_symbol(symbol):
            self.unexpected(*others, f"'{symbol}'")

    def word(self, ahead: int = 0) -> str:
        """The word ahead in capitals; empty where none is."""
        token = self.peek(ahead)
        return token.text.upper() if token.kind == NAME else ""

    def take_word(self, *words: str) -> str:
        """Read one of these words if it is next; which one, or nothing."""
        found = self.word()
        if found not in words:
            return ""
        self.at += 1
        return found

    def expect_word(self, *words: str) -> str:
        """Read one of these words."""
        found = self.take_word(*words)
        return found or self.unexpected(*words)

    def unexpected(self, *expected: str) -> NoReturn:
        """Refuse the token that comes next."""
        token = self.peek()
        found = "the statement ends here" if token.kind == END else f"{show(token.text)} cannot stand here"
        lexer.fail(self.text, token.start, found, expected)

    def fail(self, token: Token, problem: str, **data: object) -> NoReturn:
        """Refuse what a token says."""
        lexer.fail(self.text, token.start, problem, (), **data)

    def enter(self, token: Token) -> None:
        """Go one level deeper."""
        self.depth += 1
        if self.depth > QUERY_DEPTH_MAX:
            self.fail(token, f"the statement is nested deeper than {QUERY_DEPTH_MAX} levels (QUERY_DEPTH_MAX)")

    def count(self) -> None:
        """Count one part of the statement."""
        self.nodes += 1
        if self.nodes > QUERY_NODES_MAX:
            self.fail(self.peek(), f"the statement has more than {QUERY_NODES_MAX} parts (QUERY_NODES_MAX)")

    def several(self, read: Callable[[], T]) -> tuple[T, ...]:
        """One or more of something, with commas between them."""
        found = [read()]
        while self.take_symbol(","):
            self.count()
            found.append(read())
        return tuple(found)

    def identifier(self, *others: str) -> str:
        """A name: a word that is not reserved, or anything in backticks."""
        token = self.peek()
        if token.kind == QUOTED or (token.kind == NAME and not is_reserved(token.text, self.profile)):
            return str(self.take().value)
        if token.kind == NAME:
            problem = f"{show(token.text)} is a reserved word, which names nothing unless it stands in backticks"
            lexer.fail(self.text, token.start, problem, ("a name", *others))
        return self.unexpected("a name", *others)
