"""`crdtstore query`: trees are printed, and texts that are refused say where."""

from __future__ import annotations

import json

import pytest

from tests.cli.running import documents, error_of, lines, run

PLATFORM_TREE = {"filter": {"op": "has", "paths": [["a", "b"]]}, "order": [{"path": ["c"], "descending": True}]}


def test_a_tree_is_printed() -> None:
    tree = json.loads(run("query", "parse", "age >= :least", "--arg", "least=18").stdout)
    assert (tree["operator"], tree["left"]["path"], tree["right"]["value"]) == (">=", ["age"], 18)


@pytest.mark.parametrize(
    ("language", "text", "tree"),
    [
        ("rql", "not(exists(a))", {"op": "not", "args": [{"op": "exists", "property": "a"}]}),
        ("platform", "has(a.b) $orderby=c desc", PLATFORM_TREE),
        ("rql-options", "sort(-a),limit(0,5)", [{"sort": [["-", "a"]]}, {"limit": [0, 5]}]),
        ("dql", "SHOW a", {"statement": "show", "parameter": "a"}),
        ("dql-v4", 'DROP INDEX "a" ON b', {"statement": "drop-index", "name": "a", "collection": "b"}),
    ],
)
def test_a_language_can_be_chosen(language: str, text: str, tree: object) -> None:
    assert json.loads(run("query", "parse", text, "--language", language).stdout) == tree


def test_a_text_that_is_refused_says_where() -> None:
    error = error_of(run("query", "parse", "eq(a", "--language", "rql", "--json", code=3))
    assert error["code"] == "query-syntax"
    assert error["data"]["column"] == 5


def test_lines_are_answered_one_by_one() -> None:
    given = lines("exists(a)", "exists(", 7) + "oops\n"
    answers = documents(run("query", "parse", "--language", "rql", "--lines", given=given))
    assert answers[0] == {"op": "exists", "property": "a"}
    assert [answer["error"]["code"] for answer in answers[1:]] == ["query-syntax", "malformed-json", "malformed-json"]


def test_a_query_comes_from_one_place() -> None:
    for arguments in ((), ("a", "--lines")):
        run("query", "parse", *arguments, code=2)
