r"""Text to tokens for every query language that has tokens, and the error that shows where a text goes wrong.

Rules: one pass, no backtracking, a fixed bound on the text. White space is blank, tab, line feed, carriage
return and form feed. A string may hold any character but its own quote and the backslash; escapes are \\ \/
\' \" \b \f \n \r \t and \uXXXX, and nothing else: an unknown escape is an error rather than a guess. A
number is written as in JSON; without fraction and exponent it is an int64. Lines and columns count
characters, from 1.

What the tokens mean is each grammar's: it says in a `Lexicon` which symbols it has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

from crdtstore.errors import QuerySyntaxError
from crdtstore.limits import INT_MAX, INT_MIN, QUERY_BYTES_MAX, QUERY_EXCERPT_CHARS_MAX

NAME: Final = "name"
NUMBER: Final = "number"
STRING: Final = "string"
VARIABLE: Final = "variable"
SYMBOL: Final = "symbol"
END: Final = "end"


class Token(NamedTuple):
    """A piece of the text.

    `kind` is one of the constants above; `text` is what was written; `value` is what a string or number
    stands for; `start` and `end` are where it was written, in characters.
    """

    kind: str
    text: str
    value: Any
    start: int
    end: int


class Lexicon(NamedTuple):
    """What one language is written with.

    `symbols`: operators and punctuation; the first that fits is taken, so longer ones stand first. `sigil`: a
    character that makes a VARIABLE of the name right behind it, or the empty string. `signed`: a minus right
    before a digit belongs to the number, for languages without subtraction.
    """

    symbols: tuple[str, ...]
    sigil: str
    signed: bool


SPACE: Final = re.compile(r"[ \t\n\r\f]*")
WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DIGITS: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
RUN_ON: Final = re.compile(r"[A-Za-z0-9_]+")
PLAIN: Final = {"'": re.compile(r"[^'\\]*"), '"': re.compile(r'[^"\\]*')}
HEX4: Final = re.compile(r"[0-9A-Fa-f]{4}")
SURROGATE: Final = re.compile("[\ud800-\udfff]")

ESCAPED: Final = {
    "\\": "\\",
    "/": "/",
    "'": "'",
    '"': '"',
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}

INT_CHARS_MAX: Final = len(str(INT_MIN))


def tokenize(text: str, lexicon: Lexicon) -> Iterator[Token]:
    """Split a query's text into tokens as they are asked for; behind the last one stands the END, for ever.

    So the first error of a text is the one that is told, and nothing is read behind it.

    Raises:
        QuerySyntaxError: The text is too long, or a place in it begins no token of this language.
    """
    check_text(text)
    at = skip_space(text, 0)
    while at < len(text):
        token = read_token(text, at, lexicon)
        yield token
        at = skip_space(text, token.end)
    while True:
        yield Token(END, "", None, at, at)


def check_text(text: str) -> None:
    """Refuse a text that is too long, or that no UTF-8 request could have carried."""
    size = len(text) if len(text) > QUERY_BYTES_MAX else len(text.encode(errors="surrogatepass"))
    if size > QUERY_BYTES_MAX:
        problem = f"the query is longer than {QUERY_BYTES_MAX} bytes (QUERY_BYTES_MAX)"
        fail(text, min(len(text), QUERY_BYTES_MAX), problem)
    surrogate = SURROGATE.search(text)
    if surrogate:
        fail(text, surrogate.start(), "a lone surrogate stands here, which is no character")


def skip_space(text: str, at: int) -> int:
    """Where the white space that begins here ends."""
    space = SPACE.match(text, at)
    return space.end() if space else at


def read_token(text: str, at: int, lexicon: Lexicon) -> Token:
    """Read the one token that begins here; there is no white space before it."""
    character = text[at]
    word = WORD.match(text, at)
    if word:
        return Token(NAME, word[0], word[0], at, word.end())
    if character in PLAIN:
        return read_string(text, at)
    if is_digit(character) or (lexicon.signed and character == "-" and is_digit(text[at + 1 : at + 2])):
        return read_number(text, at)
    if character == lexicon.sigil:
        word = WORD.match(text, at + 1)
        if word:
            return Token(VARIABLE, text[at : word.end()], word[0], at, word.end())
    for symbol in lexicon.symbols:
        if text.startswith(symbol, at):
            return Token(SYMBOL, symbol, symbol, at, at + len(symbol))
    close = tuple([show(symbol) for symbol in lexicon.symbols if symbol[0] == character])
    return fail(text, at, f"{show(character)} alone means nothing in this language", close)


def is_digit(character: str) -> bool:
    """Whether it is one of 0 to 9; `str.isdigit` knows hundreds more."""
    return "0" <= character <= "9"


def read_number(text: str, at: int) -> Token:
    """Read a number: an int64, or a finite double when it has a fraction or an exponent."""
    number = DIGITS.match(text, at)
    end = number.end() if number else at
    run_on = RUN_ON.match(text, end)
    if number is None or run_on:
        word = text[at : run_on.end() if run_on else end]
        return fail(text, at, f"{show(word)} is neither a number nor a name")
    written = number[0]
    if number[1] is None and number[2] is None:
        # The length is looked at first: Python's conversion has a bound on digits and an error of its own.
        if len(written) > INT_CHARS_MAX or not INT_MIN <= int(written) <= INT_MAX:
            return fail(text, at, f"the integer {show(written)} is beyond int64 ({INT_MIN} to {INT_MAX})")
        return Token(NUMBER, written, int(written), at, end)
    if not math.isfinite(float(written)):
        return fail(text, at, f"the number {show(written)} is beyond the largest double")
    return Token(NUMBER, written, float(written), at, end)


def read_string(text: str, at: int) -> Token:
    """Read a string in single or double quotes."""
    quote = text[at]
    parts: list[str] = []
    end = at + 1
    while True:
        plain = PLAIN[quote].match(text, end)
        if plain:
            parts.append(plain[0])
            end = plain.end()
        if end == len(text):
            return fail(text, at, "the string that begins here does not end", (f"a closing {quote}",))
        if text[end] == quote:
            value = join_surrogates(text, at, "".join(parts))
            return Token(STRING, text[at : end + 1], value, at, end + 1)
        character, end = read_escape(text, end)
        parts.append(character)


def read_escape(text: str, at: int) -> tuple[str, int]:
    """Read one escape; returns the character and where the escape ends."""
    letter = text[at + 1 : at + 2]
    if letter in ESCAPED:
        return ESCAPED[letter], at + 2
    code = HEX4.match(text, at + 2) if letter == "u" else None
    if code is None:
        expected = (
            "\\\\ for a backslash",
            "\\' \\\" \\/ \\b \\f \\n \\r \\t",
            "\\u and four hexadecimal digits",
        )
        return fail(text, at, f"{show(text[at : at + 2])} is no escape", expected)
    return chr(int(code[0], 16)), code.end()


def join_surrogates(text: str, at: int, value: str) -> str:
    r"""Make one character of each pair of surrogates that was written as two \u escapes."""
    if not SURROGATE.search(value):
        return value
    try:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return fail(text, at, "this string holds half of a surrogate pair, which is no character")


# --- the error ---


def fail(text: str, at: int, problem: str, expected: tuple[str, ...] = (), **data: object) -> NoReturn:
    """Raise the error that shows a place in a query.

    Args:
        text: The whole query.
        at: The place, in characters; the length of the text means its end.
        problem: What is wrong there, without capital and full stop.
        expected: What could have stood there instead.
        data: What else a program would want to read.

    Raises:
        QuerySyntaxError: Always. `data` has `line`, `column`, `offset` and `expected`.
    """
    line = text.count("\n", 0, at) + 1
    line_start = text.rfind("\n", 0, at) + 1
    column = at - line_start + 1
    wish = f"; expected {one_of(expected)}" if expected else ""
    sentence = f"The query cannot be read at line {line}, column {column}: {problem}{wish}."
    message = f"{sentence}\n{excerpt(text, line_start, at)}"
    raise QuerySyntaxError(message, line=line, column=column, offset=at, expected=list(expected), **data)


def one_of(choices: tuple[str, ...]) -> str:
    """Join choices as a sentence does."""
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def excerpt(text: str, line_start: int, at: int) -> str:
    """The line around a place, shortened, and below it a caret under the place."""
    line_end = text.find("\n", at)
    line_end = len(text) if line_end < 0 else line_end
    start = max(line_start, at - QUERY_EXCERPT_CHARS_MAX // 2)
    end = min(line_end, start + QUERY_EXCERPT_CHARS_MAX)
    before, after = "..." * (start > line_start), "..." * (end < line_end)
    return f"  {before}{printable(text[start:end])}{after}\n  {' ' * (len(before) + at - start)}^"


def printable(text: str) -> str:
    """The text with every character that would not show replaced by one that does."""
    return "".join([character if character.isprintable() else "?" for character in text])


def show(text: str) -> str:
    """A piece of the text inside a message: quoted, printable, shortened."""
    shown = printable(text[:QUERY_EXCERPT_CHARS_MAX])
    return f"'{shown}'" + "..." * (len(text) > QUERY_EXCERPT_CHARS_MAX)
