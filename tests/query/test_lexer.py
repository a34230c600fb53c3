"""Tokens of a text, and the place that a syntax error names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import QuerySyntaxError
from crdtstore.limits import QUERY_BYTES_MAX, QUERY_EXCERPT_CHARS_MAX
from crdtstore.query import lexer
from crdtstore.query.legacy import LEXICON
from crdtstore.query.lexer import Lexicon, Token, tokenize

ARITHMETIC = Lexicon(symbols=("<=", "<", "-", "+"), sigil="", signed=False)


def tokens_of(text: str, lexicon: Lexicon) -> list[Token]:
    """All tokens up to the END, which is the last."""
    source = tokenize(text, lexicon)
    tokens = [next(source)]
    while tokens[-1].kind != lexer.END:
        tokens.append(next(source))
    assert next(source) == tokens[-1]
    return tokens


def kinds_and_values(text: str, lexicon: Lexicon = LEXICON) -> list[tuple[str, object]]:
    return [(token.kind, token.value) for token in tokens_of(text, lexicon)[:-1]]


def test_every_kind_of_token() -> None:
    assert kinds_and_values("a_1 == -2.5e1 && 'x' $args.y\t[0]\r\n") == [
        ("name", "a_1"),
        ("symbol", "=="),
        ("number", -25.0),
        ("symbol", "&&"),
        ("string", "x"),
        ("variable", "args"),
        ("symbol", "."),
        ("name", "y"),
        ("symbol", "["),
        ("number", 0),
        ("symbol", "]"),
    ]


def test_tokens_say_where_they_are() -> None:
    tokens = tokens_of(" ab <='c' ", LEXICON)
    assert [(token.start, token.end, token.text) for token in tokens] == [
        (1, 3, "ab"),
        (4, 6, "<="),
        (6, 9, "'c'"),
        (10, 10, ""),
    ]


def test_another_language_brings_its_own_symbols_and_minus() -> None:
    assert kinds_and_values("a -1 <= - 2", ARITHMETIC) == [
        ("name", "a"),
        ("symbol", "-"),
        ("number", 1),
        ("symbol", "<="),
        ("symbol", "-"),
        ("number", 2),
    ]
    with pytest.raises(QuerySyntaxError):
        tokens_of("$a", ARITHMETIC)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("''", ""),
        ('""', ""),
        ("'\"'", '"'),
        ('"\'"', "'"),
        (r"'\\ \/ \' \" \b\f\n\r\t'", "\\ / ' \" \b\f\n\r\t"),
        (r"'\u0041\u00e9'", "A\u00e9"),
        (r"'\uD83D\ude00'", "\U0001f600"),
        ("'two\nlines'", "two\nlines"),
        ("'\U0001f600'", "\U0001f600"),
    ],
)
def test_strings(text: str, value: str) -> None:
    assert kinds_and_values(text) == [("string", value)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("10", 10),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("0.5", 0.5),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        ("-1.5e+2", -150.0),
        ("1e-999", 0.0),
    ],
)
def test_numbers(text: str, value: float) -> None:
    [(kind, found)] = kinds_and_values(text)
    assert (kind, found, type(found)) == ("number", value, type(value))


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("a = 1", 3),
        ("a & b", 3),
        ("a # b", 3),
        ("a \u00a0 b", 3),
        ("\u00e4", 1),
        ("$", 1),
        ("$1", 1),
        ("1st", 1),
        ("01", 1),
        ("1e", 1),
        ("1_000", 1),
        ("- 1", 1),
        ("\u0661", 1),
        ("9223372036854775808", 1),
        ("-9223372036854775809", 1),
        ("1" * 5_000, 1),
        ("1e999", 1),
        ("a == 'b", 6),
        ("a == 'b\\'", 6),
        ("'\\", 2),
        ("'\\d'", 2),
        ("'\\u12g4'", 2),
        ("'\\ud800'", 1),
        ("'\\udc00\\ud800'", 1),
        ("'a\ud800'", 3),
    ],
)
def test_what_is_no_token_is_refused_where_it_stands(text: str, column: int) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        tokens_of(text, LEXICON)
    assert (caught.value.data["line"], caught.value.data["column"]) == (1, column)


def test_a_text_beyond_the_limit_is_refused_by_its_bytes() -> None:
    tokens_of(" " * QUERY_BYTES_MAX, LEXICON)
    for text in (" " * (QUERY_BYTES_MAX + 1), f"'{'é' * (QUERY_BYTES_MAX // 2)}'"):
        with pytest.raises(QuerySyntaxError, match="QUERY_BYTES_MAX"):
            tokens_of(text, LEXICON)


def test_the_message_shows_the_place() -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        tokens_of("a == 1 &&\n  b = 2", LEXICON)
    assert caught.value.message == (
        "The query cannot be read at line 2, column 5: "
        "'=' alone means nothing in this language; expected '=='.\n"
        "    b = 2\n"
        "      ^"
    )
    assert caught.value.data == {"line": 2, "column": 5, "offset": 14, "expected": ["'=='"]}


def test_the_message_shows_a_part_of_a_long_line() -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        tokens_of("a" * 1_000 + " # " + "\x07" * 1_000, LEXICON)
    _, line, caret = caught.value.message.split("\n")
    assert line == f"  ...{'a' * 29} # {'?' * 28}..."
    assert line[caret.index("^")] == "#"


@given(st.text(), st.text(), st.integers(0, 200))
def test_an_error_shows_any_place_of_any_text(before: str, after: str, repeat: int) -> None:
    text = before * (1 + repeat % 7) + after
    place = min(len(text), repeat)
    with pytest.raises(QuerySyntaxError) as caught:
        lexer.fail(text, place, "it is wrong")
    line, column = caught.value.data["line"], caught.value.data["column"]
    assert sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1 == place
    sentence, shown, caret = caught.value.message.split("\n")
    assert sentence.endswith(": it is wrong.")
    assert len(shown) <= QUERY_EXCERPT_CHARS_MAX + 8
    assert caret.strip() == "^"
    if text[place : place + 1].strip("\n"):
        assert shown[caret.index("^")] == lexer.printable(text[place])
    assert caught.value.message.encode()
