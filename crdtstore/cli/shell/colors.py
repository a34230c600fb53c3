"""Which parts of what is typed are keywords, strings, numbers and so on, by the tokens of the language.

Rules: nothing is lost, and nothing is refused: what begins no token is plain, and a string that does not end yet is a
string all the same.

Not here: the colors themselves (`prompt`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from crdtstore.cli.shell.statements import PART
from crdtstore.errors import QuerySyntaxError
from crdtstore.query.dql.signatures import AGGREGATES, FUNCTIONS
from crdtstore.query.dql.statement_parser import STATEMENTS
from crdtstore.query.dql.tokens import NAME, NUMBER, QUOTED, STRING, Token, read_token
from crdtstore.query.dql.words import STRUCTURAL

KEYWORDS: Final = STRUCTURAL | {
    *STATEMENTS,
    *("ASC", "CONFLICT", "DESC", "DO", "DOCUMENTS", "EXISTS", "FAIL", "ID", "IDS", "INCREMENT", "INDEX", "INITIAL"),
    *("INNER", "INTO", "LEFT", "NOTHING", "OUTER", "RESTART", "RIGHT", "SYSTEM", "UPDATE_LOCAL_DIFF", "WITH"),
}
"""Words that mean something to a statement; as names they are colored too where they may be names."""

KINDS: Final = {NUMBER: "number", STRING: "string", QUOTED: "name"}


class Span(NamedTuple):
    """A part of the text and what it is: keyword, function, name, number, string, parameter, comment or plain."""

    kind: str
    text: str


def spans_of(text: str) -> Iterator[Span]:
    """Cut a text into spans."""
    for part in PART.finditer(text):
        piece = part[0]
        if part.lastgroup == "code":
            yield from spans_of_code(piece)
        elif part.lastgroup == "open":
            yield Span("comment" if piece.startswith("/*") else "name" if piece.startswith("`") else "string", piece)
        else:
            yield Span("comment" if piece.startswith(("--", "/*")) else "plain", piece)


def spans_of_code(text: str) -> Iterator[Span]:
    """Cut a text without white space and comments into spans."""
    at = 0
    while at < len(text):
        token = token_at(text, at)
        if token is None:
            yield Span("string" if text[at] in "'\"" else "plain", text[at:])
            return
        if token.text == ":" and (name := token_at(text, token.end)) and name.kind == NAME:
            token = token._replace(end=name.end, kind="parameter")
        yield Span(kind_of(token), text[at : token.end])
        at = token.end


def token_at(text: str, at: int) -> Token | None:
    """The token that begins here, if one does."""
    try:
        return read_token(text, at, "v5") if at < len(text) else None
    except QuerySyntaxError:
        return None


def kind_of(token: Token) -> str:
    """What a token is to a reader."""
    if token.kind != NAME:
        return KINDS.get(token.kind, "parameter" if token.kind == "parameter" else "plain")
    if token.text.upper() in KEYWORDS:
        return "keyword"
    return "function" if token.text.lower() in FUNCTIONS or token.text.lower() in AGGREGATES else "plain"
