"""The legacy language: which texts are queries, what tree they give, and where the others go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtstore.errors import InvalidValue, LimitExceeded, QuerySyntaxError
from crdtstore.limits import DEPTH_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query.legacy import parse, parse_path
from crdtstore.query.legacy_print import print_legacy
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.tree import (
    LEGACY,
    And,
    ArrayLiteral,
    Call,
    Compare,
    Conflicted,
    Contains,
    Field,
    Literal,
    Node,
    Not,
    Or,
    Truth,
    as_json,
)

A, B, C = Field(("a",)), Field(("b",)), Field(("c",))
ONE = Literal(1)


def equal(left: Node, right: Node) -> Compare:
    return Compare("==", left, right, LEGACY)


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("true", Literal(True)),
        ("false", Literal(False)),
        ("null", Truth(Literal(None))),
        ("a", Truth(A)),
        ("a || b && c", Or((Truth(A), And((Truth(B), Truth(C)))))),
        ("a && b || c", Or((And((Truth(A), Truth(B))), Truth(C)))),
        ("(a || b) && c", And((Or((Truth(A), Truth(B))), Truth(C)))),
        ("!a == b", Not(equal(A, B))),
        ("!a && b", And((Not(Truth(A)), Truth(B)))),
        ("!!a", Not(Not(Truth(A)))),
        ("(a) == 1", equal(A, ONE)),
        ("(a == 1) == b", equal(equal(A, ONE), B)),
        ("(a || b) == c", equal(Or((Truth(A), Truth(B))), C)),
        ("1 == 1.0", equal(ONE, Literal(1.0))),
        ("a == [1, 'x', [null]]", equal(A, Literal([1, "x", [None]]))),
        ("a == [1, b]", equal(A, ArrayLiteral((ONE, B)))),
        ("a == [b || c]", equal(A, ArrayLiteral((Or((Truth(B), Truth(C))),)))),
        ("contains(a, b)", Contains(A, B, LEGACY)),
        ("contains(a, !b)", Contains(A, Not(Truth(B)), LEGACY)),
        ("startsWith(a, 'x')", Call("starts_with", (A, Literal("x")))),
        ("ends_with(a, b)", Call("ends_with", (A, B))),
        ("regex(a, ('x'))", Call("regex", (A, Literal("x")))),
        ("conflicted()", Conflicted(())),
        ("conflicted ( a.b[0]['c'] )", Conflicted(("a", "b", 0, "c"))),
        ("conflicted(['x-y'])", Conflicted(("x-y",))),
        ("conflicted((a))", Conflicted(("a",))),
        ("!conflicted(a) && a", And((Not(Conflicted(("a",))), Truth(A)))),
        ("conflicted(a) == b", equal(Conflicted(("a",)), B)),
        ("conflicted == 1", equal(Field(("conflicted",)), ONE)),
        ("contains == 1", equal(Field(("contains",)), ONE)),
        ("a.true.null == 1", equal(Field(("a", "true", "null")), ONE)),
        ("a . b [ 0 ] [ c ]", Truth(Field(("a", "b", 0, "c")))),
    ],
)
def test_trees(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('a[0][1]["_123"]', ("a", 0, 1, "_123")),
        ('a["0"]["1"]', ("a", "0", "1")),
        ('["a"]["0"]["1"]', ("a", "0", "1")),
        ("work['street-line']", ("work", "street-line")),
        ('["full-names"]', ("full-names",)),
        ("a[foo]", ("a", "foo")),
        ("[foo]", ("foo",)),
    ],
)
def test_paths(text: str, path: tuple[str | int, ...]) -> None:
    assert parse(text) == Truth(Field(path))
    assert parse(f"{text} == 1") == equal(Field(path), ONE)
    assert parse_path(text) == path


ARRAY, FIELD = Literal(["x-y"]), Field(("x-y",))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("['x-y']", Truth(FIELD)),
        ("!['x-y']", Not(Truth(FIELD))),
        ("['x-y'] == 1", equal(FIELD, ONE)),
        ("1 == ['x-y']", equal(ONE, ARRAY)),
        ("1 == (['x-y'])", equal(ONE, FIELD)),
        ("1 == ['x-y'].z", equal(ONE, Field(("x-y", "z")))),
        ("[('x-y')] == 1", equal(ARRAY, ONE)),
        ("a == [['x-y'], 1]", equal(A, Literal([["x-y"], 1]))),
        ("a == [['x-y'] == 1]", equal(A, ArrayLiteral((equal(FIELD, ONE),)))),
        ("a == [b]", equal(A, ArrayLiteral((B,)))),
        ("[b] == 1", equal(B, ONE)),
        ("[true] == 1", equal(Literal([True]), ONE)),
        ("[0] == 1", equal(Literal([0]), ONE)),
        ("contains(['x-y'], a)", Contains(ARRAY, A, LEGACY)),
        ("contains(['x-y'], 'z')", Contains(FIELD, Literal("z"), LEGACY)),
        ("contains((['x-y']), a)", Contains(FIELD, A, LEGACY)),
        ("contains([b], a)", Contains(ArrayLiteral((B,)), A, LEGACY)),
        ("contains(a, ['x-y'])", Contains(A, FIELD, LEGACY)),
        ("starts_with(['x-y'], 'z')", Call("starts_with", (FIELD, Literal("z")))),
    ],
)
def test_a_single_bracket_is_a_field_or_an_array_by_its_place(text: str, node: Node) -> None:
    assert parse(text) == node


ARGS: Mapping[str, Any] = {"n": 40, "d": {"a-b": [1, {"x": None}]}, "true": 1, "ids": ["1", "2"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$args.n", 40),
        ("$args['n']", 40),
        (":n", 40),
        ("$args.d", {"a-b": [1, {"x": None}]}),
        ("$args.d['a-b'][0]", 1),
        ("$args.d['a-b'][1].x", None),
        ("$args.true", 1),
        (":true", 1),
        ("$args.ids", ["1", "2"]),
    ],
)
def test_arguments_are_constants(text: str, value: object) -> None:
    assert parse(f"a == {text}", ARGS) == equal(A, Literal(value))


def test_an_argument_belongs_to_the_tree() -> None:
    class Text(str):
        __slots__ = ()

    given_args: dict[str, Any] = {"ids": [Text("1")]}
    node = parse("contains($args.ids, a)", given_args)
    given_args["ids"].append("2")
    assert node == Contains(Literal(["1"]), A, LEGACY)
    assert isinstance(node, Contains)
    assert isinstance(node.array, Literal)
    assert type(node.array.value[0]) is str


def test_an_argument_cannot_change_the_query() -> None:
    node = parse("a == $args.x", {"x": "1' || true || b == '"})
    assert node == equal(A, Literal("1' || true || b == '"))


def test_arguments_outside_the_value_model_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(DEPTH_MAX + 1):
        deep = [deep]
    with pytest.raises(InvalidValue):
        parse("a == $args.x", {"x": float("nan")})
    with pytest.raises(InvalidValue):
        parse("a == $args.x", {"x": 2**63})
    with pytest.raises(LimitExceeded):
        parse("a == $args.x", {"x": deep})


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "the query ends here"),
        (" \n ", 2, 2, "the query ends here"),
        ("a ==", 1, 5, "expected a field"),
        ("a == == b", 1, 6, "'==' cannot stand here"),
        ("a == b == c", 1, 8, "do not chain"),
        ("a < b < c", 1, 7, "do not chain"),
        ("a == !b", 1, 6, "'!' cannot stand here"),
        ("a b", 1, 3, "expected an operator or the end of the query"),
        ("a b 'no end", 1, 3, "'b' cannot stand here"),
        ("a &&", 1, 5, "the query ends here"),
        ("a && || b", 1, 6, "'||' cannot stand here"),
        ("(", 1, 2, "the query ends here"),
        ("((", 1, 3, "the query ends here"),
        ("(a", 1, 3, "expected an operator or ')'"),
        ("a)", 1, 2, "')' cannot stand here"),
        ("false) || (true", 1, 6, "')' cannot stand here"),
        ("()", 1, 2, "')' cannot stand here"),
        ("a[1st] == 1", 1, 3, "'1st' is neither"),
        ("b[$foo] == 1", 1, 3, "'$foo' cannot stand here"),
        ("b[foo$] == 1", 1, 6, "'$' alone"),
        ('a["foo"]b == 1', 1, 9, "'b' cannot stand here"),
        ("$foo == 1", 1, 1, "no variable '$foo'"),
        ("a[-1] == 1", 1, 3, "expected an index from 0"),
        ("a[1.0] == 1", 1, 3, "expected an index from 0"),
        ("a[0", 1, 4, "expected ']'"),
        ("a. == 1", 1, 4, "expected a name"),
        ("a.0 == 1", 1, 3, "expected a name"),
        ("a..b", 1, 3, "expected a name"),
        (".a", 1, 1, "'.' cannot stand here"),
        ("true.a", 1, 5, "'.' cannot stand here"),
        ("'a'['b']", 1, 4, "'[' cannot stand here"),
        ("a == [1", 1, 8, "expected ',' or ']'"),
        ("a == [1,]", 1, 9, "']' cannot stand here"),
        ("a == [,]", 1, 7, "',' cannot stand here"),
        ("a == {}", 1, 6, "'{' alone"),
        ("size(a)", 1, 1, "no function 'size'"),
        ("Contains(a, b)", 1, 1, "no function 'Contains'"),
        ("true(a, b)", 1, 1, "no function 'true'"),
        ("contains()", 1, 10, "contains takes two arguments"),
        ("contains(a)", 1, 11, "contains takes two arguments"),
        ("contains(a,)", 1, 12, "contains takes two arguments"),
        ("contains(a, b, c)", 1, 14, "contains takes two arguments"),
        ("contains(a b)", 1, 12, "expected an operator or ','"),
        ("contains(a, b", 1, 14, "expected an operator or ')'"),
        ("conflicted(", 1, 12, "expected a field"),
        ("conflicted(a", 1, 13, "expected ')'"),
        ("conflicted(1)", 1, 12, "conflicted takes a path; expected a name"),
        ("conflicted(:n)", 1, 12, "conflicted takes a path"),
        ("conflicted(a || b)", 1, 14, "'||' cannot stand here"),
        ("conflicted(a, b)", 1, 13, "',' cannot stand here"),
        ("regex(a, b)", 1, 10, "must be known beforehand"),
        ("regex(a, 1)", 1, 10, "must be known beforehand"),
        ("a ==\n  $args", 2, 8, "expected '.' and a name"),
        ("a == $args.", 1, 12, "expected a name"),
        ("a == $args.nope", 1, 11, "no argument 'nope' was given"),
        ("a == $args.n.m", 1, 13, "no argument 'm' was given"),
        ("a == $args['nope']", 1, 11, "no argument 'nope' was given"),
        ("a == $args[0]", 1, 11, "no argument '0' was given"),
        ("a == $args.ids[2]", 1, 15, "no argument '2' was given"),
        ("a == :nope", 1, 6, "no argument 'nope' was given"),
        ("a == :'n'", 1, 7, "expected the name of an argument"),
        ("a == :", 1, 7, "expected the name of an argument"),
    ],
)
def test_errors_name_their_place(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(text, ARGS)
    assert words in caught.value.message
    assert (caught.value.data["line"], caught.value.data["column"]) == (line, column)


def test_no_arguments_is_no_argument() -> None:
    assert parse("n == 1", None) == parse("n == 1", {})
    with pytest.raises(QuerySyntaxError, match="no argument 'a'"):
        parse("n == $args.a", None)


NO_PATHS = ["", "a.", "a b", "a[", "a['x'", "'a'", "a == 1", "$args.a", "[0", "(a)", "a(b)", "!a"]


@pytest.mark.parametrize("text", NO_PATHS)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(QuerySyntaxError):
        parse_path(text)


def test_a_path_alone_may_begin_with_any_name() -> None:
    assert parse_path("true.x") == ("true", "x")
    assert parse_path("[0]") == (0,)


NESTED = [
    ("(", "a", ")"),
    ("!", "a", ""),
    ("[", "a == 1", "]"),
    ("contains(a, ", "b", ")"),
    ("starts_with(", "b", ", 'x')"),
    ("(a || b && ", "c == 1", ")"),
    ("(", "a", " == b || c && d)"),
    ("(a == (b || ", "c", "))"),
    ("!(a == [b || ", "c", "])"),
]


@pytest.mark.parametrize(("before", "inner", "after"), NESTED)
def test_nesting_is_bounded(before: str, inner: str, after: str) -> None:
    levels = QUERY_DEPTH_MAX // sum(before.count(opening) for opening in "([!")
    node = parse(before * levels + inner + after * levels)
    assert parse(print_legacy(node)) == node
    assert as_json(node)
    assert compile_match(node)(lookup_in({})) in (True, False)
    with pytest.raises(QuerySyntaxError, match="QUERY_DEPTH_MAX"):
        parse(before * (levels + 1) + inner + after * (levels + 1))


def test_the_depth_is_that_of_one_place_not_of_all() -> None:
    parse(" && ".join(["!(a)", "[[a]] == (b)", "contains((a), !b)"] * QUERY_DEPTH_MAX))


def test_nodes_are_bounded() -> None:
    constants = ", ".join("1" for _ in range(QUERY_NODES_MAX - 3))
    node = parse(f"contains([{constants}], a)")
    assert parse(print_legacy(node)) == node
    with pytest.raises(QuerySyntaxError, match="QUERY_NODES_MAX") as caught:
        parse(f"contains([{constants}, 1], a)")
    assert caught.value.data["column"] > len(constants)
    parse("contains($args.ids, a)", {"ids": list(range(QUERY_NODES_MAX * 10))})


def test_the_segments_of_a_path_are_bounded() -> None:
    assert len(parse_path("a" + ".a" * (DEPTH_MAX - 1))) == DEPTH_MAX
    with pytest.raises(QuerySyntaxError, match="DEPTH_MAX"):
        parse("a" + "[0]" * DEPTH_MAX)


def test_a_hostile_text_is_refused_at_once() -> None:
    for text in ("(" * 60_000, "!" * 60_000, "not(" * 10_000, "[" * 60_000, "a" + ".a" * 30_000):
        with pytest.raises(QuerySyntaxError):
            parse(text)


PIECES = (
    r"a true null 1 -1 1.5 'x' ( ) [ ] , . : ! == != < <= && $args $args.n :n contains( regex( conflicted( '^a' \ '"
)
pieces = st.lists(st.sampled_from((*PIECES.split(" "), "||", '"', "\n")), max_size=12)


@settings(max_examples=500)
@given(st.text(max_size=20) | pieces.map("".join) | pieces.map(" ".join))
def test_any_text_gives_a_tree_or_an_error_inside_it(text: str) -> None:
    try:
        node = parse(text, ARGS)
    except QuerySyntaxError as error:
        refused = error
    else:
        assert parse(print_legacy(node)) == node
        return
    lines = text.split("\n")
    assert 1 <= refused.data["line"] <= len(lines)
    assert 1 <= refused.data["column"] <= len(lines[refused.data["line"] - 1]) + 1
    assert refused.message.encode()
