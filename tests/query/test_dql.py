"""DQL: every statement of the cases is read or refused, errors show their place, and bounds hold.

Rules: `dql.jsonl` holds one statement a line, and whether it can be read.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crdtstore.errors import QuerySyntaxError
from crdtstore.limits import DEPTH_MAX, INT_MIN, QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query.dql import messages
from crdtstore.query.dql.expression import Expression, Field
from crdtstore.query.dql.profile import Profile
from crdtstore.query.dql.statement import Select, Update
from crdtstore.query.dql.statement_parser import parse, parse_expression
from crdtstore.query.dql.statement_print import print_statement
from crdtstore.query.dql.tokens import directives
from crdtstore.query.dql.words import RESERVED, STRUCTURAL

CASES = [json.loads(line) for line in Path(__file__).with_name("dql.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_statement_of_the_cases_is_read_or_refused(case: dict[str, Any]) -> None:
    if case["valid"]:
        statement = parse(case["statement"], case["profile"])
        assert parse(print_statement(statement)) == statement
    else:
        with pytest.raises(QuerySyntaxError) as refused:
            parse(case["statement"], case["profile"])
        assert 0 <= refused.value.data["offset"] <= len(case["statement"])


# --- what a text stands for ---


def tree(text: str) -> Any:
    """An expression as JSON values, without the tags."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(item) for key, item in value.items() if key != "expression"}
        return [bare(item) for item in value] if isinstance(value, list | tuple) else value

    return bare(msgspec.to_builtins(parse_expression(text)))


def shape(text: str) -> str:
    """An expression with all its parentheses."""

    def show(node: dict[str, Any]) -> str:
        inside = [show(node[name]) for name in ("left", "right", "item", "array", "text", "pattern") if name in node]
        inside += [show(node[name]) for name in ("operand", "least", "greatest") if name in node]
        inside += [show(each) for each in node.get("operands", [])]
        word = node.get("operator") or node.get("what") or node["expression"]
        return f"({word} {' '.join(inside)})" if inside else ".".join(map(str, node.get("path", [node.get("value")])))

    return show(msgspec.to_builtins(parse_expression(text)))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a + b * c - d", "(- (+ a (* b c)) d)"),
        ("a << b + c", "(<< a (+ b c))"),
        ("a = b << c", "(== a (<< b c))"),
        ("- a * b", "(* (negate a) b)"),
        ("a || b + c || d", "(|| (+ (|| a b) c) d)"),
        ("NOT a = b", "(not (== a b))"),
        ("NOT NOT a AND b", "(and (not (not a)) b)"),
        ("a AND b OR c AND d XOR e", "(or (and a b) (xor (and c d) e))"),
        ("a OR b OR c", "(or a b c)"),
        ("a = b LIKE c", "(like (== a b) c)"),
        ("a LIKE b = c", "(like a (== b c))"),
        ("a LIKE b IS NULL", "(null (like a b))"),
        ("NOT a IS NOT MISSING", "(not (not (missing a)))"),
        ("a BETWEEN 1 AND 2 AND b", "(and (between a 1 2) b)"),
        ("a NOT IN b = c", "(== (not (in a b)) c)"),
        ("a <> b == c", "(== (!= a b) c)"),
        ("a SIMILAR TO b || c", "(similar a (|| b c))"),
        ("a IS UNKNOWN", "(null a)"),
    ],
)
def test_operators_bind_by_their_levels(text: str, read: str) -> None:
    assert shape(text) == read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0xFF", 255),
        ("0X7fffffffffffffff", 2**63 - 1),
        (f"{INT_MIN}", INT_MIN),
        ("-0.5e1", -5.0),
        ("'\\u00e9\\n\\''", "é\n'"),
        ('"a\'b"', "a'b"),
        ("True", True),
        ("nuLL", None),
    ],
)
def test_a_constant_stands_for_its_value(text: str, value: object) -> None:
    assert repr(tree(text)) == repr({"value": value})


def test_a_path_is_a_name_and_steps() -> None:
    assert tree("`a b`.date[0]['x.y'].`c``d`") == {"path": ["a b", "date", 0, "x.y", "c`d"]}
    assert tree("{'a':false,'b'::p}") == {"pairs": [["a", {"value": False}], ["b", {"name": "p"}]]}


def test_double_quotes_are_identifiers_in_version_4() -> None:
    assert parse_expression('"a ""b"""."c"', "v4") == parse_expression('`a "b"`.c')
    assert parse_expression('{"a": 1}', "v4") == parse_expression('{"a": 1}')


def test_a_list_behind_in_is_an_array() -> None:
    assert parse_expression("a IN (1, 2)") == parse_expression("a IN [1, 2]")
    assert parse_expression("a IN (:b)") != parse_expression("a IN :b")


def test_directives_change_nothing() -> None:
    text = '/*+ {"#a": 1} */ SELECT * --+ b\nFROM c -- d\n/* e *//*+f*/'
    assert directives(text) == ('{"#a": 1}', "b", "f")
    assert parse(text) == parse("SELECT * FROM c")


def test_mutators_are_changes_like_any_other() -> None:
    written = parse("UPDATE COLLECTION c (a MAP) SET a -> (b = 1, d -> (e -> tombstone()), f -> default())")
    assert isinstance(written, Update)
    assert [(each.path, each.value is None) for each in written.set] == [(("a", "b"), False), (("a", "f"), True)]
    assert written.unset == (("a", "d", "e"),)


def test_a_source_holds_all_that_is_said_of_it() -> None:
    text = "SELECT * FROM COLLECTION a (b MAP (`date` COUNTER), c ATTACHMENT) d USE INDEX 'i', j USE IDS LIST :k"
    read = parse(text)
    assert isinstance(read, Select)
    assert read.source.alias == "d"
    assert read.source.declarations[0].inside[0].name == "date"
    assert read.source.indexes == ("i", "j")
    assert read.source.ids is not None
    assert read.source.ids.parameter == "k"


# --- what is refused, and where ---


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", (1, 1), "ends here; expected SELECT"),
        ("SELEC * FROM a", (1, 1), "'SELEC' cannot stand here"),
        ("SELECT * FROM a;", (1, 16), "';' means nothing"),
        ("SELECT *\nFROM a WHERE", (2, 13), "ends here; expected a value"),
        ("SELECT * FROM a b c", (1, 19), "expected the end"),
        ("SELECT set FROM a", (1, 8), "'set' is a reserved word"),
        ("SELECT 'a' 'b' FROM c", (1, 12), "expected FROM"),
        ("SELECT a IS NULL = TRUE FROM b", (1, 18), "'=' cannot stand here"),
        ("SELECT a = NOT b FROM c", (1, 12), "'NOT' is a reserved word"),
        ("SELECT max(a) FROM b WHERE max(a) = 1", (1, 28), "several rows"),
        ("SELECT max(min(a)) FROM b", (1, 12), "several rows"),
        ("SELECT lower(a) FROM b", (1, 8), "no function 'lower'"),
        ("SELECT abs(a, b) FROM b", (1, 8), "abs has 2 arguments here and takes 1"),
        ("SELECT decode(a) FROM b", (1, 8), "takes at least 3"),
        ("SELECT {'a': 1, 'a': 2} FROM b", (1, 17), "stands twice"),
        ("SELECT {a: 1} FROM b", (1, 9), "expected a key in quotes"),
        ("SELECT : a FROM b", (1, 10), "right behind ':'"),
        ("SELECT a[-1] FROM b", (1, 10), "expected an index from 0"),
        ("SELECT 9223372036854775808 FROM b", (1, 8), "beyond int64"),
        ("SELECT -0x8000000000000000 FROM b", (1, 9), "beyond int64"),
        ("SELECT 0xg FROM b", (1, 8), "neither a number nor a name"),
        ("SELECT `` FROM b", (1, 8), "at least one character"),
        ("SELECT `a FROM b", (1, 8), "a closing `"),
        ("SELECT * FROM a /* b", (1, 17), "expected */"),
        ("SELECT * FROM a RIGHT JOIN b ON c RIGHT JOIN d ON e", (1, 35), "first of the joins"),
        ("SELECT * FROM a USE IDS 1 USE IDS 2", (1, 31), "expected DIRECTIVES or INDEX"),
        ("SELECT * FROM a USE IDS - b", (1, 25), "expected an id"),
        ("SELECT * FROM a USE IDS b", (1, 25), "expected an id"),
        ("INSERT INTO a INITIAL DOCUMENTS (b) ON ID CONFLICT DO NOTHING", (1, 37), "expected the end"),
        ("INSERT INTO a DOCUMENTS (b) ON ID CONFLICT NOTHING", (1, 44), "expected DO or FAIL"),
        ("UPDATE a WHERE b", (1, 10), "expected SET, UNSET or APPLY"),
        ("UPDATE a SET b[0] = 1", (1, 14), "item of an array"),
        ("EXPLAIN EXPLAIN SHOW a", (1, 9), "cannot stand here"),
    ],
)
def test_an_error_says_where_and_what(text: str, place: tuple[int, int], words: str) -> None:
    with pytest.raises(QuerySyntaxError, match="cannot be read") as refused:
        parse(text)
    assert (refused.value.data["line"], refused.value.data["column"]) == place
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("SELECT *, 1 AS a FROM b", messages.STAR_WITH_OTHERS),
        ("SELECT a, * FROM b", messages.STAR_WITH_OTHERS),
        ("UPDATE a SET _id = 1", messages.ID_NOT_MODIFIABLE),
        ("UPDATE a SET _id -> (b = 1)", messages.ID_NOT_MODIFIABLE),
        ("UPDATE a SET b.c = 1 UNSET b.c", messages.modified_twice("b.c")),
        ("UPDATE a APPLY b INCREMENT BY 1 SET b -> default()", messages.modified_twice("b")),
    ],
)
def test_a_public_sentence_is_told_word_for_word(text: str, description: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        parse(text)
    assert refused.value.data["description"] == description
    assert description in refused.value.message


def test_every_reserved_word_names_nothing_and_can_be_quoted() -> None:
    profiles: tuple[tuple[Profile, frozenset[str]], ...] = (("v4", RESERVED), ("v5", STRUCTURAL))
    for profile, words in profiles:
        for word in sorted(words):
            assert parse_expression(f"`{word}`.{word.lower()}", profile) == Field((word, word.lower()))
            with pytest.raises(QuerySyntaxError):
                parse(f"SELECT * FROM a AS {word}", profile)
            with pytest.raises(QuerySyntaxError):
                parse(f"SHOW x {word}", profile)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT COUNT(*) AS count FROM documents WHERE timestamp < :date ORDER BY year DESC",
        "SELECT date.day, MISSING id FROM text value_ WHERE type(value) = 'a' GROUP BY month",
        "INSERT INTO documents DOCUMENTS (:text)",
        "UPDATE `table` SET time = 1, position.x = 2",
    ],
)
def test_other_words_of_the_list_are_names_in_version_5(text: str) -> None:
    statement = parse(text)
    assert parse(print_statement(statement), "v4") == parse(print_statement(statement)) == statement
    with pytest.raises(QuerySyntaxError, match="is a reserved word"):
        parse(text, "v4")


def test_an_alias_that_is_a_word_of_the_list_stands_behind_as() -> None:
    with pytest.raises(QuerySyntaxError, match="'count' cannot stand here"):
        parse("SELECT a count FROM b")


# --- bounds ---


def nested(depth: int) -> tuple[str, ...]:
    """Expressions of so many levels, each in its own way."""
    return (
        "(" * depth + "a" + ")" * depth,
        "NOT " * depth + "a",
        "- " * depth + "a",
        "[" * depth + "]" * depth,
        "abs(" * depth + "a" + ")" * depth,
        "{'k': " * depth + "1" + "}" * depth,
        " + ".join("a" * (depth + 1)),
        " = ".join("a" * (depth + 1)),
        "a IN (" * (depth // 2) + "a" + ")" * (depth // 2),
        "CASE WHEN " * depth + "a" + " THEN 1 END" * depth,
        "ANY a IN b SATISFIES " * depth + "a" + " END" * depth,
    )


def test_depth_is_bounded() -> None:
    for text in nested(QUERY_DEPTH_MAX):
        parse_expression(text)
    for text in nested(20 * QUERY_DEPTH_MAX):
        with pytest.raises(QuerySyntaxError, match="QUERY_DEPTH_MAX"):
            parse_expression(text)
    with pytest.raises(QuerySyntaxError, match="QUERY_DEPTH_MAX"):
        parse("SELECT * FROM a (" + "b MAP (" * 100 + "c MAP" + ")" * 101)
    with pytest.raises(QuerySyntaxError, match=r"QUERY_DEPTH_MAX|\(DEPTH_MAX\)"):
        parse("UPDATE a SET " + "b -> (" * 100 + "c = 1" + ")" * 100)
    with pytest.raises(QuerySyntaxError, match=r"\(DEPTH_MAX\)"):
        parse_expression(".".join("a" * (DEPTH_MAX + 1)))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT {} FROM a",
        "SELECT a FROM a WHERE a IN ({})",
        "SELECT a FROM a ORDER BY {}",
        "CREATE INDEX a ON b ({})",
        "UPDATE a UNSET {}",
        "SELECT a FROM b USE INDEX {}",
    ],
)
def test_size_is_bounded(text: str) -> None:
    names = [f"a{number}" for number in range(QUERY_NODES_MAX + 2)]
    parse(text.format(", ".join(names[: QUERY_NODES_MAX // 4])))
    with pytest.raises(QuerySyntaxError, match="QUERY_NODES_MAX"):
        parse(text.format(", ".join(names)))


def test_size_of_connectives_and_branches_is_bounded() -> None:
    for text in (" OR ".join("a" * 1_001), "CASE " + "WHEN a THEN a " * 400 + "END"):
        with pytest.raises(QuerySyntaxError, match="QUERY_NODES_MAX"):
            parse_expression(text)
    with pytest.raises(QuerySyntaxError, match="QUERY_NODES_MAX"):
        parse("SELECT * FROM a " + "JOIN b ON c " * 500)
    with pytest.raises(QuerySyntaxError, match="QUERY_BYTES_MAX"):
        parse("SELECT " + "a" * QUERY_BYTES_MAX)


def test_an_expression_is_a_whole_text() -> None:
    found: Expression = parse_expression("a = 1 -- b")
    assert found == parse_expression("a == 1")
    with pytest.raises(QuerySyntaxError, match="expected the end"):
        parse_expression("a b")
