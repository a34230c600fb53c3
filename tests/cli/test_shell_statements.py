"""Cutting input into statements: nothing is lost, and nothing that hides a `;` is cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crdtstore.cli.shell.statements import Piece, is_whole, read_pieces, split, verb_of, writes
from crdtstore.errors import QuerySyntaxError
from crdtstore.limits import QUERY_BYTES_MAX
from crdtstore.query.dql.tokens import END, tokenize

CONFUSING = st.text("ab;'\"`-/*\\.\n \u2028é", max_size=30)
QUOTED = st.one_of(
    CONFUSING.map(lambda text: "'" + re.sub(r"(['\\])", r"\\\1", text) + "'"),
    CONFUSING.map(lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'),
    CONFUSING.map(lambda text: "`a" + text.replace("`", "``") + "`"),
)
COMMENT = st.one_of(
    CONFUSING.map(lambda text: "--" + text.replace("\n", " ") + "\n"),
    CONFUSING.map(lambda text: "/*" + text.replace("*/", "*") + " */"),
)
WORD = st.sampled_from(["SELECT", "a", "*", "<=", "-", "/", "12", "2.5", ":b", "(", "{", "\n", " "])
STATEMENT = st.lists(st.one_of(QUOTED, COMMENT, WORD), min_size=1, max_size=8).map(" ".join)

Splitter = Callable[[str], Iterator[Piece]]


def joined(pieces: Iterator[Piece]) -> str:
    return "".join(piece.text + ";" * piece.ended for piece in pieces)


def offset_of(text: str, line: int, column: int) -> int:
    lines = text.split("\n")
    return sum(len(before) + 1 for before in lines[: line - 1]) + column - 1


@given(CONFUSING)
@example("a'\\")
@example("`a``;`;")
def test_nothing_is_lost(text: str) -> None:
    assert joined(split(text)) == text
    assert joined(read_pieces(StringIO(text))) == text


@given(CONFUSING)
def test_a_place_is_where_the_piece_stands(text: str) -> None:
    for piece in [*split(text), *read_pieces(StringIO(text))]:
        assert text.startswith(piece.text, offset_of(text, piece.line, piece.column))
        said = text[offset_of(text, *piece.place) :]
        assert piece.blank or said[0] not in " \n;"


def statements_of(splitter: Splitter, statements: list[str]) -> list[str]:
    """What a splitter makes of statements that were written one after the other."""
    return [piece.text for piece in splitter(";".join([*statements, ""]))][: len(statements)]


@given(st.lists(STATEMENT, min_size=1, max_size=4))
def test_statements_come_out_as_they_went_in(statements: list[str]) -> None:
    assert statements_of(split, statements) == statements
    assert not any(piece.open for piece in split(";".join(statements)))


def test_a_splitter_that_looks_for_semicolons_only_is_caught() -> None:
    def careless(text: str) -> Iterator[Piece]:
        return iter([Piece(part, 1, 1) for part in text.split(";")])

    assert statements_of(careless, ["a", "b"]) == ["a", "b"]
    assert statements_of(careless, ["a ';'", "b"]) != ["a ';'", "b"]


@given(STATEMENT)
@example("a -- 'x\n")
@example("/* ; */ 'a' \"b\" `c`")
def test_what_has_tokens_is_one_statement(text: str) -> None:
    try:
        for token in tokenize(text, "v5"):
            if token.kind == END:
                break
    except QuerySyntaxError:
        return
    [piece] = split(text)
    assert not piece.ended
    assert not piece.open


@given(st.lists(STATEMENT, min_size=1, max_size=3))
def test_statements_are_given_as_soon_as_they_end(statements: list[str]) -> None:
    read: list[str] = []

    def lines() -> Iterator[str]:
        for number, statement in enumerate(statements):
            assert len([text for text in read if text.strip()]) == number
            yield from StringIO(f"x {statement};\n")

    read.extend(piece.text for piece in read_pieces(lines()))
    assert [text.strip("\n") for text in read if text.strip()] == [f"x {text}".strip("\n") for text in statements]


def test_a_dot_command_is_a_line_where_a_statement_could_begin() -> None:
    text = ".help\n  -- .x\n.fields 'a\nSELECT 1\n.5; .x\n/*\n.y */ b;\n.end"
    assert [(piece.text, piece.line) for piece in read_pieces(StringIO(text)) if piece.dotted] == [
        (".help\n", 1),
        (".fields 'a\n", 3),
        (".end", 8),
    ]


@pytest.mark.parametrize("text", ["", " \n", "a;", "a;\n-- b", "a; b;", ".help", "'a;';", "-- a", "/* a */;"])
def test_what_is_whole_can_be_run(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", ["a", "a; b", "'a;", "/* a;", "`a;", '"a\\";', "a;\n'", "a /* b */"])
def test_what_is_not_whole_waits(text: str) -> None:
    assert not is_whole(text)


def test_what_is_too_long_ends_the_reading() -> None:
    def lines() -> Iterator[str]:
        yield "-- long\n" * QUERY_BYTES_MAX
        yield "a;\n"
        for _ in range(100):
            yield "x" * (QUERY_BYTES_MAX // 10)
        raise AssertionError

    pieces = list(read_pieces(lines()))
    assert QUERY_BYTES_MAX < len(pieces[-1].text) < 2 * QUERY_BYTES_MAX
    assert pieces[0].text.endswith("a")


@pytest.mark.parametrize(
    ("text", "verb", "writing"),
    [
        ("select 1", "SELECT", False),
        ("/* a */ -- b\n Update x", "UPDATE", True),
        ("EXPLAIN DELETE FROM a", "EXPLAIN", False),
        ("PROFILE DELETE FROM a", "PROFILE", True),
        ("PROFILE SELECT 1", "PROFILE", False),
        ("CREATE INDEX a ON b (c)", "CREATE", True),
        ("", "", False),
        ("'a", "", False),
        ("1", "", False),
    ],
)
def test_the_verb_says_whether_it_writes(text: str, verb: str, *, writing: bool) -> None:
    assert (verb_of(text), writes(text)) == (verb, writing)
