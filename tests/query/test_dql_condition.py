"""DQL: what the tree says of a condition is what the evaluator computes, and what it cannot say is left over."""

from __future__ import annotations

from typing import Any

import pytest

from crdtstore.errors import InvalidValue, MalformedRequest
from crdtstore.query import tree
from crdtstore.query.dql import condition
from crdtstore.query.dql.condition import split_condition, to_condition
from crdtstore.query.dql.evaluate import Context, compile_expression
from crdtstore.query.dql.statement_parser import parse_expression
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.tree import DQL, Field, Literal
from tests.query.dql_pairs import NAMES, VALUES, Pair, pairs

NOW = Context({}, lambda: 0)


def said(text: str, **parameters: Any) -> tree.Node | None:
    return to_condition(parse_expression(text), NOW._replace(parameters=parameters))


def disagrees(pair: Pair) -> bool:
    """Whether the tree of an expression says something else than its value; one without a tree says nothing."""
    context = NOW._replace(parameters=pair.parameters)
    node = to_condition(pair.expression, context)
    if node is None:
        return False
    found = compile_expression(pair.expression, context)(pair.row)
    return compile_match(node)(lookup_in(pair.row)) is not (found if isinstance(found, bool) else None)


@pytest.mark.parametrize(("seed", "count"), [(3, 6_000), pytest.param(4, 400_000, marks=pytest.mark.slow)])
def test_the_tree_says_what_is_computed(seed: int, count: int) -> None:
    assert [pair for pair in pairs(seed, count) if disagrees(pair)][:3] == []


CALLS = (
    *("starts_with(a, 'a')", "ends_with(a, 'b')", "contains(a, 'a%')", "contains(a, '*')", "regexp_like(a, '^A', 'i')"),
    *("is_boolean(a)", "is_number(a)", "is_string(a)", "ismissingornull(a)", "array_contains_null(a)"),
    *("array_contains(a, b)", "array_contains(a, 1)", "array_contains([1, 'a'], a)", "a IN (b, 1)", "a IN b"),
    *(
        "NOT a LIKE '%a_'",
        "a XOR b XOR c",
        "ANY x IN a SATISFIES x = 1 END",
        "EVERY y IN a SATISFIES y.b LIKE 'a%' END",
    ),
)


@pytest.mark.parametrize("text", CALLS)
def test_what_the_tree_can_say_is_said(text: str) -> None:
    expression = parse_expression(text)
    assert to_condition(expression, NOW) is not None
    for value in VALUES:
        for other in VALUES:
            row = {"a": value, "b": other}
            assert not disagrees(Pair(expression, row, {})), row
        assert not disagrees(Pair(expression, {"b": value}, {}))


@pytest.mark.parametrize(
    "text",
    [
        "a + 1 = 2",
        "abs(a) = 1",
        "a LIKE b",
        "ANY x IN a SATISFIES x = b END",
        "ANY x IN [1, 2] SATISFIES x = a END",
        "ANY x IN a SATISFIES ANY y IN x SATISFIES y = x END END",
        "CASE WHEN a THEN TRUE END",
        "coalesce(a, 1) = 1",
        "a = MISSING",
        "starts_with('abc', a)",
        "NOT (a = 1 OR b + 1 = 2)",
    ],
)
def test_what_the_tree_cannot_say_is_left(text: str) -> None:
    assert said(text) is None


def test_an_and_is_taken_apart() -> None:
    whole = parse_expression(
        "a = 1 AND b + 1 = 2 AND (c > 2 AND TRUE AND f(x) = 1 AND NOT b)".replace("f(x)", "abs(x)")
    )
    split = split_condition(whole, NOW)
    assert split.node == tree.And(
        (
            tree.Compare("==", Field(("a",)), Literal(1), DQL),
            tree.Compare(">", Field(("c",)), Literal(2), DQL),
            tree.Not(tree.Compare("==", Field(("b",)), Literal(True), DQL)),
        )
    )
    assert split.rest == (parse_expression("b + 1 = 2"), parse_expression("abs(x) = 1"))
    assert split_condition(None, NOW) == (Literal(True), ())


@pytest.mark.parametrize("seed", [5])
def test_both_parts_together_are_the_condition(seed: int) -> None:
    for pair in pairs(seed, 3_000):
        context = NOW._replace(parameters=pair.parameters)
        split = split_condition(pair.expression, context)
        tests = [compile_expression(part, context)(pair.row) is True for part in split.rest]
        holds = compile_match(split.node)(lookup_in(pair.row)) is True and all(tests)
        assert holds == (compile_expression(pair.expression, context)(pair.row) is True)


def test_constants_are_put_in() -> None:
    assert said("_id = :a || 'b'", a="x") == tree.Compare("==", Field(("_id",)), Literal("xb"), DQL)
    assert said("_id IN :ids", ids=[1, "x"]) == tree.Contains(Literal([1, "x"]), Field(("_id",)), DQL)
    assert said("a < clock()") == tree.Compare("<", Field(("a",)), Literal("1970-01-01T00:00:00.000Z"), DQL)
    assert said("1 = 1") == Literal(True)
    assert said("NULL") == condition.UNKNOWN


def test_a_path_may_begin_with_the_alias() -> None:
    expression = parse_expression("c.a = 1 AND c.c.b = 2 AND c = 3")
    split = split_condition(expression, NOW, "c")
    assert split.node == tree.And(
        (
            tree.Compare("==", Field(("a",)), Literal(1), DQL),
            tree.Compare("==", Field(("c", "b")), Literal(2), DQL),
        )
    )
    assert split.rest == (parse_expression("c = 3"),)


def test_what_cannot_be_asked_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="Parameter p was not provided"):
        said("a = :p")
    with pytest.raises(InvalidValue):
        said("a SIMILAR TO '('")


def test_a_long_xor_does_not_grow_deep() -> None:
    node = said(" XOR ".join(NAMES[at % 4] for at in range(400)))
    assert node is not None
    assert compile_match(node)(lookup_in({"a": True, "b": False, "c": True, "x": False})) is False


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "DQL", tree.LEGACY)
    assert any(map(disagrees, pairs(3, 1_000)))
