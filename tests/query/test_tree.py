"""Printing a tree, and what two trees have in common."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from crdtstore.errors import InvalidValue
from crdtstore.query import tree
from crdtstore.query.legacy import parse
from crdtstore.query.legacy_print import print_legacy
from crdtstore.query.tree import LEGACY, Field, Literal, as_json
from tests.query.strategies import written_queries

A, B = Field(("a",)), Field(("b",))


@settings(max_examples=300)
@given(written_queries)
def test_a_printed_tree_is_read_back_as_it_was(node: tree.Node) -> None:
    assert parse(print_legacy(node)) == node


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "a",
        "!a",
        "!!a",
        "!a == 1",
        "a == 1 && b != 2 || c.d < -1.5",
        "(a || b) && c",
        "(a && b) && c",
        "(a || b) || c",
        "!(a && b)",
        "(a == b) == true",
        "(!a) == false",
        "a[0][1]._123",
        "a['0']['1']",
        "['a-b'] == ['a-b']",
        "a == (['a-b'])",
        "[('x')] == ['x']",
        "[(x)] == [x]",
        "[[['a-b']], [0], [(['a-b'])], [null, [b]]] == []",
        "['true'].x || [0].a",
        "contains(['1'], _id) && contains(['a-b'], '1') && contains([('1')], '1')",
        "contains((['a-b']), b)",
        "starts_with(['a-b'], 'x') && regex(a, '^x\\\\d$')",
        "a == 'it\\'s\\n\\u0001'",
        "a == 1e+16",
    ],
)
def test_the_shortest_text_of_a_tree(text: str) -> None:
    assert print_legacy(parse(text)) == text


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("((a))  ==(((1)))", "a == 1"),
        ("[a]", "a"),
        ('"x"==a["b"]', "'x' == a.b"),
        ("((a && b)) || (c)", "a && b || c"),
        ("startsWith(a, \"'\") && endsWith(a, 'x')", "starts_with(a, '\\'') && ends_with(a, 'x')"),
        ("a == [('x')]", "a == ['x']"),
        ("contains([b], 'x')", "contains(b, 'x')"),
    ],
)
def test_what_makes_no_difference_is_not_printed(written: str, printed: str) -> None:
    assert print_legacy(parse(written)) == printed


@pytest.mark.parametrize(
    "node",
    [
        tree.Compare("==", A, Literal({"a": 1}), LEGACY),
        tree.Compare("==", A, Literal(b"x"), LEGACY),
        tree.Compare("==", A, Literal([{}]), LEGACY),
        tree.Compare("==", A, B, tree.Comparison("false", "value", "unequal", True)),
        tree.Contains(A, B, tree.Comparison("null", "value", "unequal", False)),
        tree.Compare("==", tree.Truth(A), B, LEGACY),
        tree.Contains(A, tree.Truth(B), LEGACY),
        tree.Call("starts_with", (tree.Truth(A), B)),
        tree.Truth(tree.ArrayLiteral((tree.Truth(A),))),
        tree.Truth(Field((0,))),
    ],
)
def test_what_the_language_has_no_words_for_is_refused(node: tree.Node) -> None:
    with pytest.raises(InvalidValue, match="cannot write"):
        print_legacy(node)


def test_conditions_without_operands_are_constants() -> None:
    assert print_legacy(tree.And(())) == "true"
    assert print_legacy(tree.Or(())) == "false"


def test_trees_tell_types_apart_that_python_does_not() -> None:
    values = [1, 1.0, True, "1", None, [1], [True], {"a": 1}, {"a": 1.0}, b"1"]
    nodes = [tree.Compare("==", A, Literal(value), LEGACY) for value in values]
    assert len(set(nodes)) == len(values)
    assert Literal({"a": 1, "b": 2}) == Literal({"b": 2, "a": 1})
    assert hash(Literal({"a": 1, "b": 2})) == hash(Literal({"b": 2, "a": 1}))
    assert Literal(1) != 1
    assert (Literal(1) != Literal(1)) is False


def test_a_tree_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        A.path = ("b",)  # type: ignore[misc]


def test_a_tree_as_json_says_what_its_operators_mean() -> None:
    assert json.loads(as_json(parse("a['b'][0] == 1.0 && !c"))) == {
        "node": "and",
        "operands": [
            {
                "node": "compare",
                "operator": "==",
                "left": {"node": "field", "path": ["a", "b", 0]},
                "right": {"node": "literal", "value": 1.0},
                "comparison": {
                    "missing": "null",
                    "null": "value",
                    "mixed": "unequal",
                    "dates_are_instants": True,
                },
            },
            {"node": "not", "operand": {"node": "truth", "operand": {"node": "field", "path": ["c"]}}},
        ],
    }
