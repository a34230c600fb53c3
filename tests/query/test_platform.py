"""The platform's query language: published cases, what texts are queries, where others go wrong, orders and dates.

Rules: the first lines of `platform.jsonl` are objects, the others queries: with the names of what they find among
these, in that order where it is one, or refused.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.errors import InvalidQuery, QuerySyntaxError
from crdtstore.limits import DEPTH_MAX, ORDER_KEYS_MAX, QUERY_DEPTH_MAX, QUERY_NODES_MAX
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.order import PLATFORM_ORDER, Order, OrderKey
from crdtstore.query.platform import Compare, Expression, Has, Join, Key, Not, Number, Query, Related, Text, parse
from crdtstore.query.platform_tree import make_order, make_tree
from crdtstore.query.point import point_ids
from tests.query.worlds import platform as objects

ROWS = [
    json.loads(line) for line in Path(__file__).with_name("platform.jsonl").read_text(encoding="utf-8").splitlines()
]
OBJECTS: list[dict[str, Any]] = [row["object"] for row in ROWS if "object" in row]
FOUND = [row for row in ROWS if "found" in row]
REFUSED = [row for row in ROWS if "refused" in row]


def finds(text: str, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents that a query finds."""
    test = compile_match(make_tree(parse(text).filter, lambda _op, ids: list(ids)))
    verdicts = [test(lookup_in(document)) for document in documents]
    assert set(verdicts) <= {True, False}, "There are two truth values."
    return [document for document, verdict in zip(documents, verdicts, strict=True) if verdict]


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case["name"])
def test_a_query_finds_what_it_must(case: dict[str, Any]) -> None:
    found = [document["name"] for document in finds(case["query"], OBJECTS)]
    assert sorted(found) == sorted(case["found"])


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["name"])
def test_what_is_no_query_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(QuerySyntaxError):
        parse(case["query"])


def test_the_cases_are_many() -> None:
    assert (len(OBJECTS), len(FOUND) > 30, len(REFUSED) > 4) == (5, True, True)


# --- texts ---

ONE = Number(1, "1")


def equal(name: str, value: Any = ONE) -> Compare:
    return Compare("eq", tuple(name.split(".")), value)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a eq 1", equal("a")),
        ("$filter=a eq 1", equal("a")),
        (" $FILTER=  a EQ 1 ", equal("a")),
        ("a.b.0 ne 1", Compare("ne", ("a", "b", "0"), ONE)),
        ("a-b.date eq 1", equal("a-b.date")),
        ("a eq -1.50", equal("a", Number(-1.5, "-1.50"))),
        ("a eq 1.5f", equal("a", Number(1.5, None))),
        ("a eq 20D", equal("a", Number(20.0, None))),
        ("a eq 007", equal("a", Text("007"))),
        ("a eq 1.", equal("a", Text("1."))),
        ("a eq True", equal("a", value=True)),
        ("a eq 'true'", equal("a", Text("true"))),
        ("a ne NULL", Compare("ne", ("a",), None)),
        ("a eq ''", equal("a", Text(""))),
        ("a eq 'it''s'", equal("a", Text("it's"))),
        (r"a eq '\(\)\[\]\{\}\\'", equal("a", Text("()[]{}\\"))),
        ("a eq'b'and b eq 1", Join("and", (equal("a", Text("b")), equal("b")))),
        ("a eq foo*bar$", equal("a", Text("foo*bar$"))),
        ("a eq 2024-05-31T12:00:00+02:00", equal("a", Text("2024-05-31T12:00:00+02:00"))),
        ("a eq 1 or b eq 1 and c eq 1", Join("or", (equal("a"), Join("and", (equal("b"), equal("c")))))),
        ("(a eq 1 OR b eq 1) and c eq 1", Join("and", (Join("or", (equal("a"), equal("b"))), equal("c")))),
        ("not a eq 1 and b eq 1", Join("and", (Not(equal("a")), equal("b")))),
        ("not(a eq 1 and b eq 1)", Not(Join("and", (equal("a"), equal("b"))))),
        ("not not (a eq 1)", Not(Not(equal("a")))),
        ("has(a.b)", Has((("a", "b"),))),
        ("has ( 'a b.c' )", Has((("a b", "c"),))),
        ("HasAny(a,'b', c)", Has((("a",), ("b",), ("c",)))),
        ("bygroupid(12,'13')", Related("bygroupid", ("12", "13"))),
        ("isinhierarchyof( 12 )", Related("isinhierarchyof", ("12",))),
        ("has eq 1", equal("has")),
        ("orders eq 1 or nothing eq 1", Join("or", (equal("orders"), equal("nothing")))),
        ("", None),
        ("$filter=", None),
    ],
)
def test_texts(text: str, expression: Expression | None) -> None:
    assert parse(text) == Query(expression, ())


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("$orderby=a", (Key(("a",)),)),
        ("a eq 1 $orderby=a.b desc, c ASC,d", (Key(("a", "b"), descending=True), Key(("c",)), Key(("d",)))),
        ("$filter=a eq 1+$orderby=a", (Key(("a",)),)),
        ("a eq b+c+$orderby=a", (Key(("a",)),)),
        ("$filter= $ORDERBY=descent", (Key(("descent",)),)),
        ("$filter=$orderby=a\n", (Key(("a",)),)),
    ],
)
def test_orders(text: str, order: tuple[Key, ...]) -> None:
    assert parse(text).order == order


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a", 1, 2, "the end is no operator; expected 'eq'"),
        ("a like 'x'", 1, 3, "'like' is no operator"),
        ("a eq", 1, 5, "the end is no value; expected a string"),
        ("a eq )", 1, 6, "')' is no value"),
        ("a eq and b eq 1", 1, 6, "'and' is no value"),
        ("a eq 'x", 1, 6, "the string that begins here does not end"),
        (r"a eq 'x\y'", 1, 8, "is no escape"),
        ("a eq 'x\\", 1, 8, "is no escape"),
        ("a gt null", 1, 6, "null is neither less nor greater"),
        ("a eq 9223372036854775808", 1, 6, "beyond int64"),
        (f"a eq {'9' * 400}d", 1, 6, "beyond the largest double"),
        ("a eq 'x' zzz", 1, 10, "stands behind the query; expected 'and'"),
        ("a eq 1)", 1, 7, "')' stands behind the query"),
        ("(a eq 1", 1, 8, "the end does not fit; expected ')'"),
        ("a eq 1 and", 1, 11, "the end begins no expression"),
        ("a eq 1\nor or", 2, 4, "'or' begins no expression; expected a property"),
        ("not", 1, 4, "the end begins no expression"),
        ("1 eq a", 1, 1, "'1' begins no expression"),
        ("a..b eq 1", 1, 3, "'.b' is no name"),
        ("has()", 1, 5, "')' begins no property"),
        ("has(a,b)", 1, 6, "',b)' does not fit"),
        ("has('a..b')", 1, 5, "a name in the quotes is empty"),
        ("hasany(a", 1, 9, "the end does not fit"),
        ("bygroupid()", 1, 11, "')' is no id"),
        ("$orderby=", 1, 10, "the end begins no property"),
        ("$orderby=a up", 1, 12, "stands behind the query; expected ','"),
        ("$orderby=a,", 1, 12, "the end begins no property"),
        ("a eq 1 $orderby=a $filter=b eq 1", 1, 19, "stands behind the query"),
    ],
)
def test_errors_name_their_place(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        parse(text)
    assert words in refused.value.message
    assert (refused.value.data["line"], refused.value.data["column"]) == (line, column)


def test_depth_and_size_are_bounded() -> None:
    def deep(count: int) -> str:
        return "not (" * (count // 2) + "a eq 1" + ")" * (count // 2)

    def wide(count: int) -> str:
        return " or ".join(["a eq 1"] * count)

    def many(count: int) -> str:
        return f"hasany({','.join('a' * count)})"

    for text in (
        deep(QUERY_DEPTH_MAX - 1),
        wide(QUERY_NODES_MAX),
        many(QUERY_NODES_MAX),
        "a" + ".a" * (DEPTH_MAX - 1) + " eq 1",
    ):
        parse(text)
    for text in (deep(QUERY_DEPTH_MAX + 1), "not " * 60_000, "(" * 60_000):
        with pytest.raises(QuerySyntaxError, match="QUERY_DEPTH_MAX"):
            parse(text[:65_000])
    for text in (
        wide(QUERY_NODES_MAX + 1),
        many(QUERY_NODES_MAX + 1),
        f"$orderby={','.join('a' * (QUERY_NODES_MAX + 1))}",
    ):
        with pytest.raises(QuerySyntaxError, match="QUERY_NODES_MAX"):
            parse(text)
    with pytest.raises(QuerySyntaxError, match=r"\(DEPTH_MAX"):
        parse("has(" + "a." * DEPTH_MAX + "a)")
    with pytest.raises(QuerySyntaxError, match="QUERY_BYTES_MAX"):
        parse(f"a eq '{'x' * 65_536}'")


@given(st.integers(0, 10**9))
def test_a_query_comes_through_writing(seed: int) -> None:
    random = Random(seed)
    world = objects.make_world(random)
    expression = objects.condition(world, 3)
    query = Query(expression, tuple([objects.make_key(random) for _ in range(random.randrange(3))]))
    assert parse(objects.write(random, query)) == query


WORDS = "a eq ne ' '' ( ) not and or has( 1 1.5f null $filter= $orderby= , . \\ desc"
PIECES = WORDS.split(" ")


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(PIECES),
        max_size=12,
    ).map(" ".join)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(QuerySyntaxError, InvalidQuery):
        compile_match(make_tree(parse(text).filter, lambda _op, ids: list(ids)))


# --- meaning ---


def test_an_order_is_of_paths() -> None:
    order = make_order(parse("$orderby=id desc,lastUpdated.date,a.b").order)
    keys = (OrderKey(("_id",), descending=True), OrderKey(("lastUpdated",)), OrderKey(("a", "b")))
    assert order == Order(keys, PLATFORM_ORDER)
    with pytest.raises(InvalidQuery) as refused:
        make_order(parse(f"$orderby={'a,' * ORDER_KEYS_MAX}b").order)
    assert refused.value.data == {"reason": "order", "property": "b"}


DAYS: list[dict[str, Any]] = [
    {"_id": "early", "lastUpdated": "2024-05-31T11:59:59.999Z"},
    {"_id": "noon", "lastUpdated": "2024-05-31T14:00:00+02:00", "x": {"date": "2024-05-31T12:00:00.000Z"}},
    {"_id": "text", "lastUpdated": "yesterday"},
    {"_id": "none"},
]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("lastUpdated.date eq '2024-05-31T12:00:00Z'", ["noon"]),
        ("lastUpdated.date lt 2024-05-31T12:00:00Z", ["early"]),
        ("lastUpdated.date ge '2024-05-31T12:00'", ["noon"]),
        ("lastUpdated.date ge '2024-05-31 14:00:00+0200'", ["noon"]),
        ("lastUpdated.date ge '2024-05-31T14:00:00 02:00'", ["noon"]),
        ("lastUpdated.date lt '2024-05-31T10:00:00.000-02:00'", ["early"]),
        ("lastUpdated.date gt '2024-05-31'", ["early", "noon"]),
        ("lastUpdated.date lt '2024-05-31'", []),
        ("lastUpdated eq '2024-05-31T12:00:00Z'", []),
        ("x.date eq '2024-05-31T12:00Z'", ["noon"]),
        ("x.date ne soon", ["noon"]),
        ("lastUpdated.date eq null", ["none"]),
        ("id eq noon", ["noon"]),
        ("id eq 'N*'", ["noon", "none"]),
        ("bygroupid(noon,none)", ["noon", "none"]),
        ("", ["early", "noon", "text", "none"]),
    ],
)
def test_dates_and_ids(text: str, ids: list[str]) -> None:
    found = [document["_id"] for document in finds(text, DAYS) if "yesterday" not in document.values() or not text]
    assert found == ids


@pytest.mark.parametrize("date", ["soon", "2024-13-01", "2024-05-31T25:00", "2024*", ""])
def test_a_date_that_cannot_be_read_is_refused(date: str) -> None:
    for name in ("creationTime.date", "lastUpdated.date"):
        with pytest.raises(InvalidQuery) as refused:
            finds(f"{name} gt '{date}'", [])
        assert refused.value.data == {"reason": "date", "property": name}


def test_a_query_that_names_ids_looks_them_up() -> None:
    node = make_tree(
        parse("id eq 12 or bygroupid(7,8) and has(x)").filter, lambda _op, ids: [f"of {id_}" for id_ in ids]
    )
    assert point_ids(node) == [12, "12", "of 7", "of 8"]


def test_whoever_searches_says_where_fields_live() -> None:
    node = make_tree(parse("owner.name eq x and id eq y").filter, lambda _op, ids: [], {"owner": ("meta", "owner")})
    assert compile_match(node)(lookup_in({"meta": {"owner": {"name": "x"}}, "id": "y"})) is True
