r"""The patterns of LIKE, SIMILAR TO and regexp_like, as those that `pattern` compiles.

Rules: in LIKE `%` stands for any characters and `_` for one; a backslash before either, or before a backslash, makes
it a character. SIMILAR TO has these, and `|` `*` `+` `?` `{m,n}`, parentheses and brackets as regular expressions have
them; a backslash makes any character one. Both are about the whole text. regexp_like looks for a match anywhere; its
flags are c (case counts), i (it does not), m (`^` and `$` at lines), s (`.` is a line's end too), x (white space and
comments in the pattern mean nothing).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from crdtstore.errors import InvalidValue
from crdtstore.query.dql.expression import Resemblance
from crdtstore.query.pattern import compile_like, compile_pattern

FLAGS: Final = "cimsx"
LIKE_ESCAPED: Final = re.compile(r"\\[%_\\]|.", re.DOTALL)
LIKE_PARTS: Final = {"%": "*", "_": "?", "\\%": "%", "\\_": "_", "\\\\": "\\\\", "\\": "\\\\", "*": "\\*", "?": "\\?"}
STARRED: Final = re.compile(r"[*?\\]")
BACKSLASHED: Final = r"\\\g<0>"
SIMILAR_PIECES: Final = re.compile(r"\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|.", re.DOTALL)
SIMILAR_PARTS: Final = {"%": ".*", "_": ".", ".": "\\.", "^": "\\^", "$": "\\$", "\\": "\\\\"}
EXTENDED_PIECES: Final = re.compile(r"(\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\])|[ \t\n\r\f]+|#[^\n]*|(.)", re.DOTALL)


def compile_resemblance(operator: Resemblance, pattern: str) -> Callable[[str], bool]:
    """Make the test whether a text is like a pattern.

    Raises:
        InvalidValue: A pattern of SIMILAR TO that is none.
        StoreError: SIMILAR TO, and RE2 is not installed.
    """
    if operator == "similar":
        return compile_pattern(similar_pattern(pattern))
    return compile_like(like_pattern(pattern), folded=operator == "ilike")


def like_pattern(pattern: str) -> str:
    """A pattern of LIKE as one of `tree.Call`."""
    return LIKE_ESCAPED.sub(lambda found: LIKE_PARTS.get(found[0], found[0]), pattern)


def contains_pattern(part: str) -> str:
    """The pattern of all texts that hold a part."""
    return f"*{STARRED.sub(BACKSLASHED, part)}*"


def similar_pattern(pattern: str) -> str:
    """A pattern of SIMILAR TO as a regular expression.

    Raises:
        InvalidValue: It is none.
        StoreError: RE2 is not installed.
    """

    def translate(found: re.Match[str]) -> str:
        piece = found[0]
        if len(piece) == 1:
            return SIMILAR_PARTS.get(piece, piece)
        return piece if piece.startswith("[") else re.escape(piece[1])

    body = SIMILAR_PIECES.sub(translate, pattern)
    # By itself first: a parenthesis too many must not close the one that stands around it.
    compile_pattern(body)
    return rf"(?s)\A(?:{body})\z"


def regular_pattern(pattern: str, flags: str = "") -> str:
    """A pattern of regexp_like with its flags inside.

    Raises:
        InvalidValue: There is no such flag.
    """
    if not set(flags) <= set(FLAGS):
        raise InvalidValue(f"The flags of regexp_like are of {FLAGS}; {flags[:20]!r} has another one.")
    if "x" in flags:
        pattern = EXTENDED_PIECES.sub(lambda found: found[1] or found[2] or "", pattern)
    # The last one of two that contradict each other counts.
    folded = "i" if flags.rfind("i") > flags.rfind("c") else ""
    chosen = folded + "".join([flag for flag in "ms" if flag in flags])
    return f"(?{chosen}){pattern}" if chosen else pattern
