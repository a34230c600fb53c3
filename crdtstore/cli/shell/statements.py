"""Text is cut into statements at each `;` that stands in no string, no backticks and no comment.

Rules: nothing is lost: the pieces, with a `;` behind each that has ended, are the text again. What is wrong inside a
statement is for its parser to say, so that what does not end runs to the end of the text. A line that begins with a
point where a statement could begin is a dot command.

Not here: the tokens of a statement (`query/dql/tokens.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from crdtstore.errors import QuerySyntaxError
from crdtstore.limits import QUERY_BYTES_MAX
from crdtstore.query.dql.tokens import NAME, tokenize

PART: Final = re.compile(
    r"""
    (?P<end> ; )
    | (?P<blank> [ \t\n\r\f]++ | --[^\n]*+ | /\*.*?\*/ )
    | (?P<code> [^;'"`/\- \t\n\r\f]++ | '(?:[^'\\]++|\\.)*+' | "(?:[^"\\]++|\\.)*+" | `[^`]*+` | -(?!-) | /(?!\*) )
    | (?P<open> .++ )
    """,
    re.DOTALL | re.VERBOSE,
)
"""The parts of a text; `open` is a string, an identifier or a comment that does not end."""

READING: Final = frozenset({"SELECT", "SHOW", "EXPLAIN", "ADVISE", "PROFILE", ""})
"""What a statement that changes nothing begins with; also one that is none."""

CHANGING: Final = frozenset({"INSERT", "UPDATE", "DELETE", "EVICT", "TOMBSTONE"})
"""What a statement that changes documents begins with."""


class Piece(NamedTuple):
    """A part of the input: a statement, nothing but white space and comments, or a dot command."""

    text: str
    """Without the `;`; of a dot command with the end of its line."""
    line: int
    column: int
    """Where the text begins in the whole input, both from 1."""
    ended: bool = False
    """Whether a `;` follows."""
    blank: bool = False
    open: bool = False
    """Whether a string, an identifier or a comment in it does not end."""
    dotted: bool = False
    """Whether it is a dot command."""

    @property
    def place(self) -> tuple[int, int]:
        """The line and the column at which it says something."""
        said = 0
        for part in PART.finditer(self.text):
            if part.lastgroup != "blank":
                break
            said = part.end()
        return behind(self.text[:said], self.line, self.column)


def split(text: str, line: int = 1, column: int = 1) -> Iterator[Piece]:
    """Cut a text that begins at a place of the input; the last piece, which may be empty, has not ended."""
    start, blank = 0, True
    kind: str | None = None
    for part in PART.finditer(text):
        kind = part.lastgroup
        if kind == "end":
            yield Piece(text[start : part.start()], line, column, ended=True, blank=blank)
            line, column = behind(text[start : part.end()], line, column)
            start, blank = part.end(), True
        elif kind != "blank":
            blank = False
    yield Piece(text[start:], line, column, blank=blank, open=kind == "open")


def behind(text: str, line: int, column: int) -> tuple[int, int]:
    """The line and the column behind a text that begins at these."""
    lines = text.count("\n")
    return line + lines, len(text) - text.rfind("\n") if lines else column + len(text)


def read_pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """Cut lines as they come, each with its end: a piece is given as soon as its `;` was read.

    What follows a statement that is too long to be one is not read.
    """
    text, line, column = "", 1, 1
    for added in lines:
        dotted = added.startswith(".") and last_of(text, line, column).blank
        if dotted:
            yield from split(text, line, column) if text else ()
            line, column = behind(text, line, column)
            yield Piece(added, line, column, dotted=True)
            text, line, column = "", *behind(added, line, column)
            continue
        text += added
        if ";" in added or len(text) > QUERY_BYTES_MAX:
            *whole, last = split(text, line, column)
            yield from whole
            if len(last.text) > QUERY_BYTES_MAX and not last.blank:
                yield last
                return
            text, line, column = last.text, last.line, last.column
    if text:
        yield from split(text, line, column)


def last_of(text: str, line: int = 1, column: int = 1) -> Piece:
    """The last piece of a text."""
    *_, last = split(text, line, column)
    return last


def is_whole(text: str) -> bool:
    """Whether nothing is missing at the end of what is typed: it says nothing behind its last `;`."""
    return text.startswith(".") or last_of(text).blank


def verb_of(text: str) -> str:
    """The word that says what a statement does, in capitals; empty where none does."""
    return next(words_of(text), "")


def words_of(text: str) -> Iterator[str]:
    """The words with which a statement begins, in capitals."""
    try:
        for token in tokenize(text, "v5"):
            if token.kind != NAME:
                return
            yield token.text.upper()
    except QuerySyntaxError:
        pass


def writes(text: str) -> bool:
    """Whether a statement may change the store; PROFILE runs the one that follows it."""
    return next((word for word in words_of(text) if word != "PROFILE"), "") not in READING
