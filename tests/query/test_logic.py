"""Laws of the tree's conditions: three truth values, spread fields, some, types, patterns.

Rules: the verdicts of small conditions are made to order; the laws are those of Kleene's logic and the words of the
tree's docstrings.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.query import tree
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.pattern import compile_like
from crdtstore.query.tree import DQL, LEGACY, RQL, Comparison, Node
from tests.query.oracles.dql import AND, NOT, OR, Verdict
from tests.query.oracles.values import KINDS, is_equal
from tests.query.strategies import values

TRUE, FALSE = tree.Literal(True), tree.Literal(False)
UNKNOWN = tree.Compare("==", tree.Literal(None), tree.Literal(1), DQL)
NODES: dict[Verdict, Node] = {True: TRUE, False: FALSE, None: UNKNOWN}
VERDICTS: tuple[Verdict, ...] = (True, False, None)
TYPES: tuple[tree.TypeName, ...] = ("missing", "null", "boolean", "number", "string", "binary", "array", "object")


def verdict(node: Node, document: Any = None) -> Verdict:
    return compile_match(node)(lookup_in({} if document is None else document))


# --- three truth values ---


def deepen(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, max_size=3).map(tuple)
    return several.map(tree.And) | several.map(tree.Or) | inner.map(tree.Not)


conditions = st.recursive(st.sampled_from([TRUE, FALSE, UNKNOWN]), deepen, max_leaves=8)


@pytest.mark.parametrize(("one", "other"), list(product(VERDICTS, VERDICTS)))
def test_the_tables_of_kleene(one: Verdict, other: Verdict) -> None:
    both = (NODES[one], NODES[other])
    assert verdict(tree.And(both)) is AND[one, other]
    assert verdict(tree.Or(both)) is OR[one, other]
    assert verdict(tree.Not(both[0])) is NOT[one]


def test_nothing_joined_is_neutral() -> None:
    assert verdict(tree.And(())) is True
    assert verdict(tree.Or(())) is False


@given(conditions)
def test_not_not_is_nothing(node: Node) -> None:
    assert verdict(tree.Not(tree.Not(node))) is verdict(node)


@given(st.lists(conditions, max_size=4))
def test_de_morgan(nodes: list[Node]) -> None:
    negated = tuple(map(tree.Not, nodes))
    assert verdict(tree.Not(tree.And(tuple(nodes)))) is verdict(tree.Or(negated))
    assert verdict(tree.Not(tree.Or(tuple(nodes)))) is verdict(tree.And(negated))


@given(st.lists(conditions, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_operands_does_not_matter(nodes: list[Node], random: Any) -> None:
    shuffled = random.sample(nodes, len(nodes))
    for join in (tree.And, tree.Or):
        assert verdict(join(tuple(nodes))) is verdict(join(tuple(shuffled)))


@given(conditions, conditions, conditions)
def test_and_goes_over_or(one: Node, two: Node, three: Node) -> None:
    apart = tree.Or((tree.And((one, two)), tree.And((one, three))))
    assert verdict(tree.And((one, tree.Or((two, three))))) is verdict(apart)


# --- comparisons that may be unknown ---

OPERATORS: tuple[tree.Operator, ...] = ("==", "!=", "<", "<=", ">", ">=")
NEGATED: dict[tree.Operator, tree.Operator] = {"==": "!=", "<": ">=", ">": "<="}


@given(values, values, st.sampled_from(OPERATORS))
def test_a_comparison_is_known_within_one_type_only(left: Any, right: Any, operator: tree.Operator) -> None:
    node = tree.Compare(operator, tree.Field(("f",)), tree.Literal(right), DQL)
    known = left is not None and right is not None and KINDS[type(left)] == KINDS[type(right)]
    assert (verdict(node, {"f": left}) is not None) is known
    assert verdict(node, {}) is None


@given(values, values)
def test_unequal_is_not_equal_and_unknown_stays_so(left: Any, right: Any) -> None:
    def compare(operator: tree.Operator) -> Node:
        return tree.Compare(operator, tree.Literal(left), tree.Literal(right), DQL)

    assert verdict(compare("!=")) is verdict(tree.Not(compare("==")))
    assert verdict(compare("<=")) is verdict(tree.Or((compare("<"), compare("=="))))


@pytest.mark.parametrize("comparison", [DQL, LEGACY, RQL])
@given(item=values, items=st.lists(values, max_size=4))
def test_contains_is_or_over_equal(comparison: Comparison, item: Any, items: list[Any]) -> None:
    each = tuple([tree.Compare("==", tree.Field(("f",)), tree.Literal(one), comparison) for one in items])
    constant = tree.Contains(tree.Literal(items), tree.Field(("f",)), comparison)
    stored = tree.Contains(tree.Field(("l",)), tree.Field(("f",)), comparison)
    for document in ({"f": item, "l": items}, {"l": items}):
        assert verdict(constant, document) is verdict(tree.Or(each), document)
        assert verdict(stored, document) is verdict(constant, document)


def test_what_is_no_array_contains_nothing_or_is_unknown() -> None:
    for document in ({}, {"l": None}, {"l": "a"}, {"l": {"a": 1}}):
        assert verdict(tree.Contains(tree.Field(("l",)), tree.Literal("a"), DQL), document) is None
        assert verdict(tree.Contains(tree.Field(("l",)), tree.Literal("a"), RQL), document) is False


# --- spread ---


def spread_or(path: tuple[str, ...], found: list[Any], wanted: Any, comparison: Comparison) -> Verdict:
    """Or over what a field finds, as it must be."""
    each = tuple([tree.Compare("==", tree.Literal(one), tree.Literal(wanted), comparison) for one in found])
    missing = tree.Compare("==", tree.Field(("no such field", *path)), tree.Literal(wanted), comparison)
    return verdict(tree.Or(each) if found else missing)


@pytest.mark.parametrize("comparison", [DQL, RQL, LEGACY])
@given(items=st.lists(values, max_size=4), wanted=values)
def test_an_array_at_the_end_is_itself_and_its_items(comparison: Comparison, items: list[Any], wanted: Any) -> None:
    node = tree.Compare("==", tree.Field(("l",), spread=True), tree.Literal(wanted), comparison)
    assert verdict(node, {"l": items}) is spread_or(("l",), [items, *items], wanted, comparison)


@pytest.mark.parametrize("comparison", [DQL, RQL, LEGACY])
@given(items=st.lists(values, max_size=4), wanted=values)
def test_an_array_on_the_way_is_searched(comparison: Comparison, items: list[Any], wanted: Any) -> None:
    node = tree.Compare("==", tree.Field(("l", "a"), spread=True), tree.Literal(wanted), comparison)
    found = [item["a"] for item in items if isinstance(item, dict) and "a" in item]
    found += [inner for one in found if isinstance(one, list) for inner in one]
    assert verdict(node, {"l": items}) is spread_or(("l", "a"), found, wanted, comparison)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("l",), [[[1], {"k": [2, [3]]}, {"k": 4, "0": 5}, 6], [1], {"k": [2, [3]]}, {"k": 4, "0": 5}, 6]),
        (("l", "k"), [[2, [3]], 2, [3], 4]),
        (("l", "0"), [[1], 1, 5]),
        (("l", 0), [[1], 1]),
        (("l", 0, 0), [1]),
        (("l", "1", "k"), [[2, [3]], 2, [3]]),
        (("l", "k", "0"), [2]),
        (("l", "k", "1"), [[3], 3]),
        (("l", 1, "k", 1), [[3], 3]),
        (("l", "00"), []),
        (("l", "-1"), []),
        (("l", "9" * 30), []),
        (("l", "k", "k"), []),
        (("none",), []),
        (("o", "0"), ["zero"]),
        ((), [{"l": [[1], {"k": [2, [3]]}, {"k": 4, "0": 5}, 6], "o": {"0": "zero"}}]),
    ],
)
def test_what_a_spread_field_finds(path: tuple[str | int, ...], found: list[Any]) -> None:
    document = {"l": [[1], {"k": [2, [3]]}, {"k": 4, "0": 5}, 6], "o": {"0": "zero"}}
    field = tree.Field(path, spread=True)
    universe = [1, [1], 2, [3], 3, 4, 5, 6, [2, [3]], "zero", {"k": 4, "0": 5}, {"k": [2, [3]]}, *found]
    for value in universe:
        expected = any(is_equal(value, each, dates=False) for each in found)
        assert verdict(tree.Compare("==", field, tree.Literal(value), RQL), document) is expected
        assert verdict(tree.Contains(tree.Literal([value]), field, RQL), document) is expected
    assert verdict(tree.IsType(field, ("missing",)), document) is (not found)
    assert verdict(tree.Compare("==", field, tree.Literal(7), DQL), {}) is None


# --- types, some ---


@given(values)
def test_a_value_has_one_type(value: Any) -> None:
    field = tree.Field(("f",))
    assert [name for name in TYPES if verdict(tree.IsType(field, (name,)), {"f": value})] == [KINDS[type(value)]]
    assert [name for name in TYPES if verdict(tree.IsType(field, (name,)))] == ["missing"]
    assert verdict(tree.IsType(field, TYPES), {"f": value}) is True
    assert verdict(tree.IsType(field, ()), {"f": value}) is False


@given(verdicts=st.lists(st.sampled_from(VERDICTS), max_size=4), keyed=st.booleans())
def test_some_is_or_over_what_is_in_it(*, verdicts: list[Verdict], keyed: bool) -> None:
    items = [{"v": "unknown" if one is None else int(one)} for one in verdicts]
    held: Any = {f"k{at}": item for at, item in enumerate(items)} if keyed else items
    node = tree.Some(("f",), tree.Compare("==", tree.Field(("v",)), tree.Literal(1), DQL))
    assert verdict(node, {"f": held}) is verdict(tree.Or(tuple([NODES[one] for one in verdicts])))


def test_some_of_what_holds_nothing_is_false() -> None:
    documents: list[dict[str, Any]] = [{}, {"f": None}, {"f": 1}, {"f": []}, {"f": {}}, {"f": "text"}]
    for document in documents:
        assert verdict(tree.Some(("f",), TRUE), document) is False
        assert verdict(tree.Some(("f",), UNKNOWN), document) is False


def test_inside_some_the_id_is_a_key() -> None:
    node = tree.Some(("f",), tree.Compare("==", tree.Field(("_id",)), tree.Literal(1), RQL))
    assert verdict(node, {"_id": 1, "f": [{"_id": 2}]}) is False
    assert verdict(node, {"_id": 2, "f": [{"_id": 1}]}) is True
    items = tree.Some(("f",), tree.Compare("==", tree.Field(()), tree.Literal(1), RQL))
    assert [verdict(items, {"f": held}) for held in ([1], {"k": 1}, [[1]])] == [True, True, False]


# --- patterns ---

TEXTS = st.text("abAB*?\\\nß\u017f.", max_size=8) | st.text(max_size=5)


def regex_of(pattern: str) -> str:
    """A pattern of `like` as a regular expression."""
    pieces = re.findall(r"\\.|.|\\$", pattern, re.DOTALL)
    names = {"*": ".*", "?": "."}
    return "".join(names.get(piece) or re.escape(piece[1:] if len(piece) > 1 else piece) for piece in pieces)


@given(TEXTS, TEXTS)
def test_like_is_a_regular_expression(pattern: str, text: str) -> None:
    expected = re.fullmatch(regex_of(pattern), text, re.DOTALL) is not None
    assert compile_like(pattern, folded=False)(text) is expected
    folded = re.fullmatch(regex_of(pattern.casefold()), text.casefold(), re.DOTALL) is not None
    assert compile_like(pattern, folded=True)(text) is folded


@given(TEXTS)
def test_an_escaped_text_fits_itself_only(text: str) -> None:
    pattern = re.sub(r"[*?\\]", r"\\\g<0>", text)
    fits = compile_like(pattern, folded=False)
    assert fits(text)
    assert not fits(f"{text}x")
    assert compile_like(f"*{pattern}*", folded=False)(f"before {text} behind")


@given(TEXTS, st.integers(0, 8), st.integers(0, 8))
def test_a_star_stands_for_any_piece(text: str, start: int, end: int) -> None:
    escaped = [re.sub(r"[*?\\]", r"\\\g<0>", part) for part in (text[:start], text[max(start, end) :])]
    assert compile_like("*".join(escaped), folded=False)(text)


@pytest.mark.parametrize("name", ["like", "ilike"])
def test_what_is_no_text_fits_nothing_or_is_unknown(name: str) -> None:
    for value in (None, 1, True, b"a", ["a"], {"a": 1}):
        call = tree.Call(name, (tree.Field(("f",)), tree.Literal("*")))
        assert verdict(call, {"f": value}) is False
        assert verdict(tree.Call(name, call.arguments, otherwise="unknown"), {"f": value}) is None
    spread = tree.Call(name, (tree.Field(("f",), spread=True), tree.Literal("a*")))
    assert verdict(spread, {"f": [1, "ab"]}) is True
