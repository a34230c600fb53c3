"""The tables of docs/query-dql-values.md are what the evaluator does, and every function stands on the page."""

from __future__ import annotations

import re

from crdtstore.query.dql import values
from crdtstore.query.dql.date_format import LETTERS, PERCENT
from crdtstore.query.dql.dates import MICROSECONDS, MONTHS
from crdtstore.query.dql.signatures import AGGREGATES, FUNCTIONS
from crdtstore.query.tree import MISSING
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "query-dql-values.md").read_text(encoding="utf-8")
GRAMMAR = (ROOT / "docs" / "query-dql-grammar.md").read_text(encoding="utf-8")
SPELLED = {"true": True, "false": False, "null": None, "missing": MISSING}


def truth_table(word: str) -> dict[tuple[object, object], object]:
    """A table of the page."""
    lines = PAGE[PAGE.index(f"| `{word}` |") :].splitlines()[:6]
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return {
        (SPELLED[row[0]], SPELLED[name]): SPELLED[cell]
        for row in rows
        for name, cell in zip(head[1:], row[1:], strict=True)
    }


def test_the_truth_tables_are_true() -> None:
    for word, join in (("AND", values.all_of), ("OR", values.any_of)):
        table = truth_table(word)
        assert len(table) == 16
        assert {pair: join(pair) for pair in table} == table


def test_every_name_stands_on_the_page() -> None:
    words = set(re.findall(r"[\w%]+", PAGE))
    assert {*FUNCTIONS, *MONTHS, *MICROSECONDS, *LETTERS, *PERCENT} - {"%%"} <= words
    assert {name.upper() for name in AGGREGATES} <= words
    assert {name.upper() for name in AGGREGATES} <= set(re.findall(r"\w+", GRAMMAR))
