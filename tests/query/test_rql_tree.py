"""What filters of things search mean: published cases of what they find, properties, the time, and what is refused.

Rules: `things.jsonl` holds sets of things, `rql_finds.jsonl` which of a set a filter finds. In `rql.jsonl` some texts
say whether a search takes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crdtstore.errors import InvalidQuery
from crdtstore.limits import DEPTH_MAX
from crdtstore.query import rql
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.point import point_ids
from crdtstore.query.rql_time import resolve_time
from crdtstore.query.rql_tree import FIELDS, Property, Use, find_property, make_tree

NOW = 1_700_000_000_123
"""Tuesday, 2023-11-14T22:13:20.123Z."""


def read_lines(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def document_of(thing: dict[str, Any]) -> dict[str, Any]:
    """A thing as a document, with the fields that a search gives every thing."""
    id_ = thing["thingId"]
    given = {
        "namespace": id_.partition(":")[0],
        "policyId": id_,
        "_revision": 1,
        "_modified": "2023-11-14T21:59:59.000Z",
    }
    return {**given, **thing, "_id": id_}


THINGS = [(row["things"], document_of(row["thing"])) for row in read_lines("things.jsonl")]
FOUND = read_lines("rql_finds.jsonl")
JUDGED = [row for row in read_lines("rql.jsonl") if "semantic" in row]


def finds(text: str, documents: list[dict[str, Any]]) -> list[str]:
    """The ids of the documents that a filter finds."""
    test = compile_match(make_tree(rql.parse(text), NOW))
    verdicts = {document["_id"]: test(lookup_in(document)) for document in documents}
    assert set(verdicts.values()) <= {True, False}, "There are two truth values."
    return [id_ for id_, verdict in verdicts.items() if verdict]


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case["name"])
def test_a_filter_finds_what_it_must(case: dict[str, Any]) -> None:
    documents = [document for name, document in THINGS if name == case["things"]]
    assert sorted(finds(case["filter"], documents)) == sorted(case["ids"])


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case["name"])
def test_a_search_takes_a_filter_or_says_why_not(case: dict[str, Any]) -> None:
    query = rql.parse(case["input"])
    if case["semantic"] == "ok":
        make_tree(query, NOW)
        return
    reasons = {"like-needs-string": "text-needed", "json-pointer-invalid": "malformed-pointer"}
    with pytest.raises(InvalidQuery) as refused:
        make_tree(query, NOW)
    assert refused.value.data["reason"] == reasons.get(case["semantic"], case["semantic"])
    assert refused.value.data["property"] in case["input"]


def test_the_cases_are_many() -> None:
    assert len(FOUND) > 150
    assert len(JUDGED) > 30


# --- properties ---


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("thingId", Property(("_id",), None)),
        ("/thingId", Property(("_id",), None)),
        ("attributes/", Property(("attributes",), None)),
        ("/attributes/", Property(("attributes",), None)),
        ("attributes/a/b/", Property(("attributes", "a", "b"), None)),
        ("attributes/a~0b~1c", Property(("attributes", "a~b~1c"), None)),
        ("attributes/a.b $c*", Property(("attributes", "a.b $c*"), None)),
        ("attributes/0", Property(("attributes", "0"), None)),
        ("features/lamp/definition", Property(("features", "lamp", "definition"), None)),
        ("features/*/properties/on/", Property(("properties", "on"), ("features",))),
        ("features/a*/properties/on", Property(("features", "a*", "properties", "on"), None)),
        ("_metadata/x", Property(("_metadata", "x"), None)),
    ],
)
def test_where_a_property_leads(name: str, found: Property) -> None:
    assert find_property(name, "compare") == found


@pytest.mark.parametrize(
    ("name", "uses"),
    [
        ("thingId", "compare presence sort"),
        ("_modified", "compare presence sort"),
        ("attributes/", "compare presence sort"),
        ("attributes/x", "compare presence sort"),
        ("features/f/properties/p", "compare presence sort"),
        ("features/*/properties/p", "compare presence sort"),
        ("features/f/desiredProperties/p/q", "compare presence sort"),
        ("features/f/definition", "compare presence"),
        ("features/*/definition", "compare presence"),
        ("_metadata/x", "compare presence"),
        ("features/f", "presence"),
        ("features/*", "presence"),
        ("features/f/", "presence"),
        ("features/f/properties", "presence"),
        ("features/*/desiredProperties/", "presence"),
        ("features/f/definition/0", ""),
        ("features/f/other/p", ""),
        ("features", ""),
        ("features/", ""),
        ("attributes", ""),
        ("/attributes", ""),
        ("_metadata", ""),
        ("thingId/x", ""),
        ("ThingId", ""),
        (" thingId", ""),
        ("_policy", ""),
        ("_namespace", ""),
        ("", ""),
        ("/", ""),
    ],
)
def test_what_may_ask_for_a_property(name: str, uses: str) -> None:
    every: tuple[Use, ...] = ("compare", "presence", "sort")
    for use in every:
        if use in uses.split():
            find_property(name, use)
            continue
        with pytest.raises(InvalidQuery) as refused:
            find_property(name, use)
        assert refused.value.message == f"Unknown property name: {name}"
        assert refused.value.data == {"reason": "unknown-property", "property": name}


def test_a_star_is_an_id_like_any_other_in_an_order() -> None:
    path = ("features", "*", "properties", "p")
    assert find_property("features/*/properties/p", "sort") == Property(path, None)


@pytest.mark.parametrize(
    "name", ["//thingId", "attributes//a", "attributes/a//", "//", "attributes" + "/a" * DEPTH_MAX]
)
def test_a_pointer_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        find_property(name, "presence")
    assert refused.value.data == {"reason": "malformed-pointer", "property": name}


def test_whoever_searches_says_where_fields_live() -> None:
    fields = {"thingId": ("name",), "features": ("body", "features")}
    node = make_tree(rql.parse("and(eq(thingId,'a'),exists(features/*),exists(features/f))"), NOW, fields)
    inside = {"name": "a", "body": {"features": {"f": None}}}
    assert compile_match(node)(lookup_in(inside)) is True
    assert compile_match(node)(lookup_in({"_id": "a", "features": {"f": {}}})) is False
    with pytest.raises(InvalidQuery):
        make_tree(rql.parse("exists(attributes/x)"), NOW, fields)
    assert set(fields) < set(FIELDS)


def test_a_filter_that_names_ids_is_looked_up() -> None:
    text = "or(eq(thingId,'a:b'),and(in(thingId,'a:c','a:d'),exists(attributes/x)))"
    assert point_ids(make_tree(rql.parse(text), NOW)) == ["a:b", "a:c", "a:d"]


# --- the time ---


@pytest.mark.parametrize(
    ("placeholder", "text"),
    [
        ("time:now", "2023-11-14T22:13:20.123Z"),
        ("time:now_epoch_millis", "1700000000123"),
        ("time:now+1", "2023-11-14T22:13:21.123Z"),
        ("time:now-1s", "2023-11-14T22:13:19.123Z"),
        ("time:now+900ms", "2023-11-14T22:13:21.023Z"),
        ("time:now-14m", "2023-11-14T21:59:20.123Z"),
        ("time:now+2h", "2023-11-15T00:13:20.123Z"),
        ("time:now-15d", "2023-10-30T22:13:20.123Z"),
        ("time:now-1w", "2023-11-07T22:13:20.123Z"),
        ("time:now-11mo", "2022-12-14T22:13:20.123Z"),
        ("time:now+1mo", "2023-12-14T22:13:20.123Z"),
        ("time:now+1y", "2024-11-14T22:13:20.123Z"),
        ("time:now-0d", "2023-11-14T22:13:20.123Z"),
        ("time:now-2018y[y]", "0005-01-01T00:00:00.000Z"),
        ("time:now[ms]", "2023-11-14T22:13:20.123Z"),
        ("time:now[s]", "2023-11-14T22:13:20.000Z"),
        ("time:now[m]", "2023-11-14T22:13:00.000Z"),
        ("time:now[h]", "2023-11-14T22:00:00.000Z"),
        ("time:now[d]", "2023-11-14T00:00:00.000Z"),
        ("time:now[w]", "2023-11-13T00:00:00.000Z"),
        ("time:now[mo]", "2023-11-01T00:00:00.000Z"),
        ("time:now[y]", "2023-01-01T00:00:00.000Z"),
        ("time:now+1w[w]", "2023-11-20T00:00:00.000Z"),
        ("time:now_epoch_millis+1s[s]", "1700000001000"),
        ("time:tomorrow", None),
        ("time:NOW", None),
        ("time:now+", None),
        ("time:now+1q", None),
        ("time:now[q]", None),
        ("time:now[d]+1d", None),
        ("time:now+8000y", None),
        ("time:now-9999999999d", None),
        ("time:now+99999999999999999999", None),
    ],
)
def test_what_a_placeholder_stands_for(placeholder: str, text: str | None) -> None:
    assert resolve_time(placeholder, NOW) == text


def test_months_end_where_the_calendar_says() -> None:
    leap = 1_709_164_800_000  # 2024-02-29
    assert resolve_time("time:now+1y", leap) == "2025-02-28T00:00:00.000Z"
    assert resolve_time("time:now-1mo", leap) == "2024-01-29T00:00:00.000Z"
    assert resolve_time("time:now+2d-1mo", leap) is None
    assert resolve_time("time:now[mo]", leap) == "2024-02-01T00:00:00.000Z"


def test_a_time_is_compared_as_text() -> None:
    documents: list[dict[str, Any]] = [
        {"_id": "old", "_modified": "2023-11-14T22:13:19.999Z", "attributes": {"n": 10**15}},
        {"_id": "new", "_modified": "2023-11-14T22:13:20.124Z", "attributes": {"n": 1}},
        {"_id": "none", "_modified": None},
    ]
    assert finds("gt(_modified,time:now)", documents) == ["new"]
    assert finds("lt(_modified,time:now)", documents) == ["old"]
    assert finds("gt(attributes/n,time:now_epoch_millis)", documents) == []
    assert finds("in(_modified,time:now-124ms,'x')", documents) == ["old"]


@pytest.mark.parametrize(
    ("operator", "expected"), [("gt", []), ("ge", []), ("lt", []), ("le", []), ("eq", ["null"]), ("ne", ["text"])]
)
def test_a_time_that_is_none(operator: str, expected: list[str]) -> None:
    documents: list[dict[str, Any]] = [
        {"_id": "null", "_modified": None},
        {"_id": "text", "_modified": "x"},
        {"_id": "no"},
    ]
    assert finds(f"{operator}(_modified,time:tomorrow)", documents) == expected


# --- operators ---


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (r'like(attributes/x,"a\\*b")', ["backslash"]),
        ('like(attributes/x,"A*")', []),
        ('ilike(attributes/x,"A*B")', ["backslash", "lines"]),
        ('like(attributes/x,"a**b")', ["backslash", "lines"]),
        ('like(attributes/x,"a???b")', ["backslash", "lines"]),
        ('like(attributes/x,"a?/?b")', ["backslash"]),
        ('ilike(attributes/x,"STRASSE")', ["eszett"]),
        ("empty(features/*)", ["list", "one"]),
        ("exists(features/*)", ["list", "one"]),
        ("empty(features/*/properties)", ["list", "one"]),
        ("exists(features/*/properties)", ["one"]),
        ("not(exists(features/*/properties/on))", ["backslash", "lines", "eszett", "list"]),
        ("and(eq(features/*/properties/on,1),eq(features/*/properties/off,2))", ["one"]),
        ("ne(features/*/properties/on,1)", ["one"]),
        ("not(eq(features/*/properties/on,1))", ["backslash", "lines", "eszett", "list"]),
        ("ge(features/*/properties/on,null)", ["list", "one"]),
        ("in(attributes/x,2,null)", ["list", "one"]),
        ("eq(attributes/x/k,1)", ["list"]),
        ("eq(attributes/x/0/k,1)", ["list"]),
        ("ne(attributes/x,2)", ["backslash", "lines", "eszett"]),
        ("ne(attributes/x/k,2)", ["list"]),
        ("empty(attributes/x)", ["list", "one"]),
        ("exists(attributes/)", ["backslash", "lines", "eszett", "list"]),
    ],
)
def test_operators(filter_: str, expected: list[str]) -> None:
    documents: list[dict[str, Any]] = [
        {"_id": "backslash", "attributes": {"x": "a\\//b"}},
        {"_id": "lines", "attributes": {"x": "a\n\n\nb"}},
        {"_id": "eszett", "attributes": {"x": "Straße"}},
        {"_id": "list", "attributes": {"x": [{"k": 1}, 2, []]}, "features": {"f": {}}},
        {"_id": "one", "features": {"f": {"properties": {"on": 1}}, "g": {"properties": {"off": 2, "on": 3}}, "h": {}}},
    ]
    assert finds(filter_, documents) == expected
