"""Text to tokens for the statement language: comments, identifiers in backticks, hexadecimal numbers.

Rules: strings, escapes and decimal numbers are those of `lexer`. A comment goes from `--` to the end of its line, or
from `/*` to the first `*/`; it separates tokens as white space does. One that begins with `--+` or `/*+` is a
directive: it changes nothing of what a statement means, and `directives` lists them. A number has no sign; the one
integer that only a negative number has, 2^63, is left to the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from crdtstore.limits import INT_MAX
from crdtstore.query import lexer
from crdtstore.query.dql.profile import Profile, version_of
from crdtstore.query.lexer import END, NAME, NUMBER, STRING, SYMBOL, Token, fail, show

QUOTED: Final = "quoted"
"""An identifier in backticks, or in the double quotes of v4."""

SYMBOLS: Final = re.compile(r"->|<<|>>|<=|>=|<>|!=|==|\|\||[-=<>+*/%()\[\]{},.:]")
COMMENT: Final = re.compile(r"--[^\n]*|/\*(?s:.*?)\*/")
HEXADECIMAL: Final = re.compile(r"0[xX]([0-9A-Fa-f]+)(?![A-Za-z0-9_])")
HEXADECIMAL_CHARS_MAX: Final = 16
LEAST: Final = str(INT_MAX + 1)
LEAST_NUMBER: Final = re.compile(rf"{LEAST}(?![A-Za-z0-9_.])")
IDENTIFIERS: Final = {"`": re.compile(r"`((?:[^`]|``)*)`"), '"': re.compile(r'"((?:[^"]|"")*)"')}


def tokenize(text: str, profile: Profile) -> Iterator[Token]:
    """Split a statement into tokens as they are asked for; behind the last one stands the END, for ever.

    Raises:
        QuerySyntaxError: The text is too long, or a place in it begins no token.
    """
    lexer.check_text(text)
    at = skip_comments(text, 0)
    while at < len(text):
        token = read_token(text, at, profile)
        yield token
        at = skip_comments(text, token.end)
    while True:
        yield Token(END, "", None, at, at)


def skip_comments(text: str, at: int) -> int:
    """Where the white space and the comments that begin here end."""
    at = lexer.skip_space(text, at)
    while text.startswith(("--", "/*"), at):
        comment = COMMENT.match(text, at)
        if comment is None:
            fail(text, at, "the comment that begins here does not end", ("*/",))
        at = lexer.skip_space(text, comment.end())
    return at


def read_token(text: str, at: int, profile: Profile) -> Token:
    """Read the one token that begins here."""
    character = text[at]
    word = lexer.WORD.match(text, at)
    if word:
        return Token(NAME, word[0], word[0], at, word.end())
    if character == "`" or (character == '"' and version_of(profile) == 4):
        return read_identifier(text, at)
    if character in lexer.PLAIN:
        return lexer.read_string(text, at)
    if lexer.is_digit(character):
        return read_number(text, at)
    symbol = SYMBOLS.match(text, at)
    if symbol:
        return Token(SYMBOL, symbol[0], symbol[0], at, symbol.end())
    return fail(text, at, f"{show(character)} means nothing in this language")


def read_identifier(text: str, at: int) -> Token:
    """Read an identifier in quotes; a quote inside is doubled."""
    quote = text[at]
    found = IDENTIFIERS[quote].match(text, at)
    if found is None:
        fail(text, at, "the identifier that begins here does not end", (f"a closing {quote}",))
    if not found[1]:
        fail(text, at, "an identifier has at least one character")
    return Token(QUOTED, found[0], found[1].replace(quote * 2, quote), at, found.end())


def read_number(text: str, at: int) -> Token:
    """Read a number without its sign."""
    hexadecimal = HEXADECIMAL.match(text, at)
    if hexadecimal is not None:
        return read_hexadecimal(text, at, hexadecimal)
    least = LEAST_NUMBER.match(text, at)
    if least is not None:
        return Token(NUMBER, LEAST, INT_MAX + 1, at, least.end())
    return lexer.read_number(text, at)


def read_hexadecimal(text: str, at: int, found: re.Match[str]) -> Token:
    """Read an integer of hexadecimal digits; as every integer it is an int64."""
    digits = found[1].lstrip("0")
    if len(digits) > HEXADECIMAL_CHARS_MAX or int(digits or "0", 16) > INT_MAX:
        fail(text, at, f"the integer {show(found[0])} is beyond int64 (0x{INT_MAX:X})")
    return Token(NUMBER, found[0], int(digits or "0", 16), at, found.end())


def directives(text: str, profile: Profile = "v5") -> tuple[str, ...]:
    """What the directives of a statement say, in their order.

    Raises:
        QuerySyntaxError: As `tokenize`.
    """
    found: list[str] = []
    end = 0
    for token in tokenize(text, profile):
        comments = COMMENT.findall(text[end : token.start])
        found += [comment[3:].removesuffix("*/").strip() for comment in comments if comment[2:3] == "+"]
        end = token.end
        if token.kind == END:
            break
    return tuple(found)


__all__ = ["END", "NAME", "NUMBER", "QUOTED", "STRING", "SYMBOL", "Token", "directives", "tokenize"]
