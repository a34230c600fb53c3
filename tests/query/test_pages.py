"""Every table and example of the pages about query languages says what the code does; the legacy page: `test_page.py`.

Rules: a page's `documents` are what its `examples` are run over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from crdtstore import limits
from crdtstore.errors import InvalidQuery, QuerySyntaxError
from crdtstore.query import legacy, platform, platform_tree, rql, rql_tree, tree
from crdtstore.query.match import compile_match, lookup_in
from crdtstore.query.order import DQL_ORDER, LEGACY_ORDER, PLATFORM_ORDER, RQL_ORDER, make_ranks
from crdtstore.query.tree import DQL, Node
from tests.docs.pages import ROOT, marked_block
from tests.query.harness import dql_node
from tests.query.oracles.dql import AND, NOT, OR, Expression, Verdict, judge

NOON = 1_717_156_800_000
"""2024-05-31T12:00:00Z."""

PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("query", "query-rql", "query-platform", "query-dql")
}
WORDS: dict[str, Verdict] = {"true": True, "false": False, "unknown": None, "yes": True, "no": False, "?": None}


def table(page: str, marker: str) -> list[list[str]]:
    """The cells of the table after a marker, without its head."""
    text = PAGES[page].partition(f"<!-- {marker} -->\n")[2].partition("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines()[2:]]
    return [[cell.strip().strip("`").replace(r"\|", "|") for cell in row] for row in rows]


def rql_node(text: str) -> Node:
    return rql_tree.make_tree(rql.parse(text), NOON + 30 * 60_000)


def platform_node(text: str) -> Node:
    return platform_tree.make_tree(platform.parse(text).filter, lambda _op, ids: list(ids))


READERS: dict[str, Callable[[str], Node]] = {"query-rql": rql_node, "query-platform": platform_node}
EXAMPLES = [(page, *row) for page in READERS for row in table(page, "examples")]


@pytest.mark.parametrize(("page", "text", "positions"), EXAMPLES)
def test_an_example_finds_what_the_page_says(page: str, text: str, positions: str) -> None:
    test = compile_match(READERS[page](text))
    documents = json.loads(marked_block(PAGES[page], "documents"))
    found = [number for number, document in enumerate(documents, 1) if test(lookup_in(document)) is True]
    assert found == [int(position) for position in positions.split()]


@pytest.mark.parametrize(("text", "reason"), table("query-rql", "refusals"))
def test_a_filter_is_refused_as_the_page_says(text: str, reason: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        rql_node(text)
    assert refused.value.data["reason"] == reason


@pytest.mark.parametrize(("text", "place", "reason"), table("query-platform", "errors"))
def test_what_is_no_query_is_refused_as_the_page_says(text: str, place: str, reason: str) -> None:
    with pytest.raises(QuerySyntaxError) as refused:
        platform_node(text)
    assert f"{refused.value.data['line']}, {refused.value.data['column']}" == place
    assert reason in refused.value.message


@pytest.mark.parametrize("page", READERS)
def test_the_pages_name_the_bounds(page: str) -> None:
    bounds = ("QUERY_BYTES_MAX", "QUERY_DEPTH_MAX", "QUERY_NODES_MAX")
    assert all(
        re.search(rf"{getattr(limits, name):,}[\w ,]* \(`{name}`\)", PAGES[page].replace("\n ", "")) for name in bounds
    )


def test_the_page_of_things_names_the_sizes_of_pages() -> None:
    page = PAGES["query-rql"]
    assert f"1 to {limits.SEARCH_SIZE_MAX} (`SEARCH_SIZE_MAX`)" in page
    assert f"{limits.SEARCH_SIZE_DEFAULT} (`SEARCH_SIZE_DEFAULT`)" in page


def test_the_page_of_the_platform_names_what_every_object_has() -> None:
    row = next(line for line in PAGES["query-platform"].splitlines() if line.startswith("| `has(p)`"))
    assert set(re.findall(r"`(\w+)`", row.partition("`has(p)`")[2])) == platform_tree.STANDARD


def test_the_page_of_things_names_what_every_thing_has() -> None:
    text = PAGES["query-rql"]
    assert all(f"`{name}`" in text or f"`{name}/" in text for name in rql_tree.FIELDS)


# --- the statement language ---

F = ("path", ("f",))
CONDITIONS: dict[str, Expression] = {
    "f": ("true", ("f",)),
    "NOT f": ("not", ("true", ("f",))),
    "f = true": ("compare", "=", F, ("constant", True)),
    "f = false": ("compare", "=", F, ("constant", False)),
    "f != true": ("compare", "!=", F, ("constant", True)),
    "f = null": ("compare", "=", F, ("constant", None)),
    "f = 1": ("compare", "=", F, ("constant", 1)),
    "f < true": ("compare", "<", F, ("constant", True)),
    "f IS NULL": ("is", "null", F),
    "f IS NOT NULL": ("not", ("is", "null", F)),
    "f IS MISSING": ("is", "missing", F),
    "f IS NOT MISSING": ("not", ("is", "missing", F)),
    "f IN (true, null)": ("in", F, (("constant", True), ("constant", None))),
    "f NOT IN (true)": ("not", ("in", F, (("constant", True),))),
    "f LIKE '%'": ("like", F, "%"),
    "f OR f IS MISSING": ("or", (("true", ("f",)), ("is", "missing", F))),
}
"""What the conditions of the page stand for, in the words of the oracle."""


@pytest.mark.parametrize("row", table("query-dql", "logic"), ids=" ".join)
def test_the_tables_of_logic(row: list[str]) -> None:
    one, other, both, either, negated = [WORDS[word] for word in row]
    assert (AND[one, other], OR[one, other], NOT[one]) == (both, either, negated)
    nodes: dict[Verdict, Node] = {
        True: tree.Literal(True),
        False: tree.Literal(False),
        None: tree.Compare("==", tree.Field(("none",)), tree.Literal(1), DQL),
    }
    pair = (nodes[one], nodes[other])
    found = [compile_match(node)(lookup_in({})) for node in (tree.And(pair), tree.Or(pair), tree.Not(pair[0]))]
    assert found == [both, either, negated]


@pytest.mark.parametrize("row", table("query-dql", "verdicts"), ids=lambda row: row[0])
def test_what_a_condition_makes_of_a_field(row: list[str]) -> None:
    documents: list[dict[str, Any]] = [{"f": True}, {"f": False}, {"f": None}, {}]
    expression = CONDITIONS[row[0]]
    test = compile_match(dql_node(row[0], {}))
    for document, word in zip(documents, row[1:], strict=True):
        assert (test(lookup_in(document)), judge(expression, document)) == (WORDS[word], WORDS[word])


# --- side by side ---


def test_the_orders_are_those_of_the_languages() -> None:
    ranks = {"legacy": LEGACY_ORDER, "RQL": RQL_ORDER, "platform": PLATFORM_ORDER, "DQL": DQL_ORDER}
    rows = dict(table("query", "orders"))
    assert {
        name: make_ranks(*[group.replace(" and ", " ") for group in row.split(", ")]) for name, row in rows.items()
    } == ranks


QUESTIONS = {row[0]: row[1:] for row in table("query", "questions")}
DOCUMENTS: list[Any] = [
    *({}, {"f": None}, {"f": "1"}, {"f": [1, 5]}, {"f": "Abc"}, {"f": [{"k": 1}, {"k": 2}]}),
    {"f": "2024-05-31T14:00:00+02:00"},
]
ATTRIBUTES: dict[str, tuple[str, ...]] = {"attributes": ()}


def answers(question: str, document: Any) -> list[Verdict]:
    """What the four languages make of a question."""
    texts = QUESTIONS[question]
    nodes = [
        legacy.parse(texts[0]),
        rql_tree.make_tree(rql.parse(texts[1]), NOON, ATTRIBUTES),
        platform_node(texts[2]),
        dql_node(texts[3], {}),
    ]
    return [compile_match(node)(lookup_in(document)) for node in nodes]


def answer_rows() -> list[str]:
    """The rows of the table: every document of which the languages do not make the same."""
    names: dict[Verdict, str] = {True: "yes", False: "no", None: "?"}
    found = {
        (question, json.dumps(document)): answers(question, document)
        for question in QUESTIONS
        for document in DOCUMENTS
    }
    return [
        f"| {question} | `{document}` | {' | '.join(names[verdict] for verdict in verdicts)} |"
        for (question, document), verdicts in found.items()
        if len({verdict is True for verdict in verdicts}) > 1
    ]


def test_the_languages_answer_as_the_page_says() -> None:
    page = PAGES["query"].partition("<!-- answers -->\n")[2].partition("\n\n")[0].splitlines()
    assert page[2:] == answer_rows()
