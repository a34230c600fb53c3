"""RQL: every case of the language, texts that a grammar written apart accepts, and trees that come through printing.

Rules: `rql.jsonl` holds one text a line, with its tree, or none where it is refused. The grammar below is that of
docs/query-rql.md in the notation of lark, which reads it with Earley's algorithm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Lark
from lark.exceptions import LarkError

from crdtstore.errors import QuerySyntaxError
from crdtstore.limits import INT_MAX, INT_MIN, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query import rql
from crdtstore.query.rql import Compare, In, Join, Parser, Placeholder, Present, Query, parse, print_rql
from crdtstore.query.rql_options import (
    Cursor,
    Limit,
    Option,
    Sign,
    Size,
    Sort,
    options_as_json,
    parse_options,
    print_options,
)

CASES = [json.loads(line) for line in Path(__file__).with_name("rql.jsonl").read_text(encoding="utf-8").splitlines()]


def tree_of(case: dict[str, Any]) -> Any:
    """The tree of a case's text, as JSON."""
    text = case["input"]
    tree = rql.as_json(parse(text)) if case["grammar"] == "filter" else options_as_json(parse_options(text))
    return json.loads(json.dumps(tree))


@pytest.mark.parametrize("case", [case for case in CASES if case["valid"]], ids=lambda case: case["name"])
def test_a_text_has_its_tree(case: dict[str, Any]) -> None:
    assert spelled(tree_of(case)) == spelled(case["ast"])


def spelled(tree: Any) -> str:
    """A tree as text: 1, 1.0 and true are three values."""
    return json.dumps(tree, sort_keys=True)


@pytest.mark.parametrize("case", [case for case in CASES if not case["valid"]], ids=lambda case: case["name"])
def test_a_text_is_refused_with_its_place(case: dict[str, Any]) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        tree_of(case)
    assert 0 <= refused.value.data["offset"] <= len(case["input"])
    assert refused.value.data["line"] >= 1
    assert refused.value.data["column"] >= 1


# --- places and bounds ---


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("eq(a, 1)", 6, "no value begins here"),
        ("eq(a,1)\n", 8, "behind the query"),
        ("and(eq(a,1),\nEQ(b,2))", 1, "no operator is 'EQ('"),
        ("eq(a,12a)", 8, "expected ')'"),
        ("eq(a", 5, "the end does not fit; expected ','"),
        (r"eq(a,'it\"s')", 9, "no escape here"),
        ("eq(a,9223372036854775808)", 6, "beyond int64"),
        ("eq(a," + "9" * 400 + ".0)", 6, "beyond the largest double"),
        (r"eq(a,'\ud800')", 6, "surrogate"),
    ],
)
def test_an_error_says_where_and_what(text: str, column: int, words: str) -> None:
    with pytest.raises(QuerySyntaxError, match="cannot be read") as refused:
        parse(text)
    assert refused.value.data["column"] == column
    assert words in refused.value.message


def test_depth_and_size_are_bounded() -> None:
    def nested(depth: int) -> str:
        return "not(" * (depth - 1) + "exists(a)" + ")" * (depth - 1)

    def wide(count: int) -> str:
        return f"and({','.join(['exists(a)'] * (count - 1))})"

    def many(count: int) -> str:
        return f"in(a,{','.join('1' * count)})"

    for text in (nested(QUERY_DEPTH_MAX), wide(QUERY_NODES_MAX), many(QUERY_NODES_MAX)):
        parse(text)
    for text in (nested(QUERY_DEPTH_MAX + 1), wide(QUERY_NODES_MAX + 1), many(QUERY_NODES_MAX + 1)):
        with pytest.raises(QuerySyntaxError, match="QUERY_"):
            parse(text)
    with pytest.raises(QuerySyntaxError, match="QUERY_NODES_MAX"):
        parse_options(f"sort({','.join(['+a'] * (QUERY_NODES_MAX + 1))})")
    with pytest.raises(QuerySyntaxError, match="QUERY_DEPTH_MAX"):
        parse("not(" * 10_000)


# --- printing ---

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PLACEHOLDERS = st.from_regex(r"""time:[^ \n\r\t\f,()"'\\]{1,9}""", fullmatch=True).filter(str.isprintable)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT_MIN, INT_MAX),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
    PLACEHOLDERS.map(Placeholder),
)
LEAVES = st.one_of(
    st.builds(Compare, st.sampled_from(sorted(rql.RELATIONS)), TEXTS, VALUES),
    st.builds(In, TEXTS, st.lists(VALUES, min_size=1, max_size=4).map(tuple)),
    st.builds(Present, st.sampled_from(sorted(rql.PRESENCES)), TEXTS),
)


def joined(queries: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    """Queries made of others."""
    many = st.lists(queries, min_size=1, max_size=4).map(tuple)
    return st.builds(Join, st.sampled_from(("and", "or")), many) | queries.map(lambda query: Join("not", (query,)))


QUERIES: st.SearchStrategy[Query] = st.recursive(LEAVES, joined, max_leaves=12)
NUMBERS = st.integers(0, INT_MAX)
SIGNS: st.SearchStrategy[Sign] = st.sampled_from(("+", "-"))
OPTIONS: st.SearchStrategy[Option] = st.one_of(
    st.lists(st.tuples(SIGNS, TEXTS), min_size=1, max_size=4).map(lambda keys: Sort(tuple(keys))),
    st.builds(Limit, st.tuples(st.integers(INT_MIN, INT_MAX), NUMBERS)),
    NUMBERS.map(Size),
    st.from_regex(r"[0-9A-Za-z_-]{1,20}", fullmatch=True).map(Cursor),
)


@given(QUERIES)
def test_a_tree_comes_through_printing(query: Query) -> None:
    assert repr(parse(print_rql(query))) == repr(query)


@given(st.lists(OPTIONS, min_size=1, max_size=4).map(tuple))
def test_options_come_through_printing(options: tuple[Option, ...]) -> None:
    assert parse_options(print_options(options)) == options


@given(st.text(max_size=40) | st.text(alphabet="eqandort(),\\\"'u0c:1-. ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse, parse_options):
        with suppress(QuerySyntaxError):
            read(text)


# --- an independent grammar ---

GRAMMAR = r"""
filter: SPACE? query
query: compare | in | logic | not | present
compare: RELATION "(" property "," value ")"
in: "in(" property ("," value)+ ")"
logic: ("and(" | "or(") query ("," SPACE? query)* ")"
not: "not(" query ")"
present: ("exists(" | "empty(") property ")"
value: (DOUBLE | INTEGER | DOUBLE_QUOTED | SINGLE_QUOTED | PLACEHOLDER | "true" | "false" | "null") SPACE?
property: PROPERTY?
RELATION: "eq" | "ne" | "gt" | "ge" | "lt" | "le" | "like" | "ilike"
DOUBLE: /[+-]?(0|[1-9][0-9]*)\.[0-9]+/
INTEGER: /[+-]?[1-9][0-9]*|0/
DOUBLE_QUOTED: /"([^"\\]|\\([\\\/bfnrt"]|u[0-9A-Fa-f]{4}))*"/
SINGLE_QUOTED: /'([^'\\]|\\([\\\/bfnrt']|u[0-9A-Fa-f]{4}))*'/
PLACEHOLDER: /time:[^ \n\r\t\f,()"'\\]+/
PROPERTY: /([^,)"\\]|\\([\\\/bfnrt"]|u[0-9A-Fa-f]{4}))+/
SPACE: /[ \n\r\t\f]+/
"""

ORACLE = Lark(GRAMMAR, start="filter", parser="earley", ambiguity="resolve", lexer="dynamic_complete")

SEEDS = [
    "eq( a , 1 )",
    "and( eq( a , true ) , or( in( b , null , 'x' , time:now ) , exists(c) ) )",
    "not( empty( features/ * ) )",
    r"""like( a\u002c , "x\"*" )""",
    "lt( , -1.50 )",
    r"ilike( it's( , '\'' )",
    "or( exists(a) , exists(b) )",
]
PIECES = sorted(
    {piece for seed in SEEDS for piece in seed.split(" ")} | {"0", "01", "-0", "1e5", " ", '"\\\'"', "or()"}
)


def accepts(read: Callable[[str], object], text: str) -> bool:
    """Whether a reader takes a text."""
    try:
        read(text)
    except (QuerySyntaxError, LarkError):
        return False
    return True


def texts(seed: int, count: int) -> Iterator[str]:
    """Filters, and texts that are a change or two away from one."""
    random = Random(seed)
    for _ in range(count):
        pieces = random.choice(SEEDS).split(" ")
        for _ in range(random.choice((0, 0, 1, 2))):
            at = random.randrange(len(pieces) + 1)
            pieces[at : at + random.randrange(2)] = random.choice(([], [random.choice(PIECES)]))
        yield random.choice(("", "", " ")).join(pieces)


@pytest.mark.parametrize(("seed", "count"), [(0, 400), pytest.param(1, 10_000, marks=pytest.mark.slow)])
def test_the_parser_accepts_what_the_grammar_does(seed: int, count: int) -> None:
    accepted = {text: accepts(ORACLE.parse, text) for text in texts(seed, count)}
    assert {text: accepts(parse, text) for text in accepted} == accepted
    assert 0.1 < sum(accepted.values()) / len(accepted) < 0.9, "Nearly all texts are filters, or hardly any."


PLANTED: dict[str, Callable[[str], str]] = {
    "white space behind a parenthesis is skipped": lambda text: text.replace("( ", "("),
    "a leading zero is skipped": lambda text: text.replace("01", "1"),
    "either quote may be escaped": lambda text: text.replace("\\'", "'"),
    "an operator may be empty": lambda text: text.replace("or()", "or(exists(a))"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_parser_that_reads_another_language_is_found(name: str) -> None:
    bug = PLANTED[name]
    changed = (text for text in texts(0, 20_000) if bug(text) != text)
    assert any(accepts(parse, bug(text)) != accepts(ORACLE.parse, text) for text in changed)


def test_a_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the text, whatever its form: no operator is tried twice."""
    count = [0]
    match = Parser.match

    def counted(self: Parser, pattern: Any) -> str:
        count[0] += 1
        return match(self, pattern)

    monkeypatch.setattr(Parser, "match", counted)
    works = []
    for size in (100, 200):
        count[0] = 0
        parse(f"or({','.join(['and(eq(a,1))'] * size)})")
        works.append(count[0])
    assert works[1] <= 2 * works[0]
