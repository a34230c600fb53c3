"""Every example of docs/query-legacy.md does what the page says."""

from __future__ import annotations

import json
import re

import pytest

from crdtstore import limits
from crdtstore.errors import QuerySyntaxError
from crdtstore.query.legacy import FUNCTIONS, parse
from crdtstore.query.match import compile_match, lookup_in
from tests.docs.pages import ROOT, marked_block

PAGE = (ROOT / "docs" / "query-legacy.md").read_text(encoding="utf-8")
DOCUMENTS = json.loads(marked_block(PAGE, "documents"))


def table(marker: str) -> list[list[str]]:
    """The cells of the table after a marker, without its head; a pipe inside a cell is escaped."""
    text = PAGE.partition(f"<!-- {marker} -->\n")[2].partition("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines()[2:]]
    return [[cell.strip().strip("`").replace(r"\|", "|") for cell in row] for row in rows]


@pytest.mark.parametrize(("query", "args", "positions"), table("examples"))
def test_an_example_finds_what_the_page_says(query: str, args: str, positions: str) -> None:
    test = compile_match(parse(query, json.loads(args or "{}")))
    found = [number for number, document in enumerate(DOCUMENTS, 1) if test(lookup_in(document))]
    assert found == [int(position) for position in positions.split()]


@pytest.mark.parametrize(("query", "place", "reason"), table("errors"))
def test_what_is_no_query_is_refused_as_the_page_says(query: str, place: str, reason: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        parse(query, {})
    assert f"{caught.value.data['line']}, {caught.value.data['column']}" == place
    assert reason in caught.value.message


def test_the_page_names_every_function_and_limit() -> None:
    grammar = marked_block(PAGE, "grammar")
    function = next(line for line in grammar.splitlines() if line.startswith("function "))
    assert re.findall(r'"(\w+)"', function) == list(FUNCTIONS)
    bounds = (limits.QUERY_BYTES_MAX, limits.QUERY_NODES_MAX, limits.QUERY_DEPTH_MAX)
    assert "at most {:,} bytes, {:,} nodes and {:,} levels".format(*bounds) in PAGE
    assert f"a path has at most {limits.DEPTH_MAX} segments" in PAGE


def test_the_tables_are_found() -> None:
    assert len(table("examples")) > 40
    assert len(table("errors")) > 10
