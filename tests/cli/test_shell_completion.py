"""What is offered at the cursor and what is colored, without a terminal."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtstore.cli.shell.colors import spans_of
from crdtstore.cli.shell.completion import offers
from crdtstore.query.dql.statement_parser import STATEMENTS


class Names:
    """The names of a small store."""

    def collections(self) -> Iterable[str]:
        return ["cities", "civic centres", "rivers", "select"]

    def fields(self, collection: str) -> Iterable[str]:
        known = {"cities": ["_id", "name", "visits", "native name"], "rivers": ["_id", "km"], "a`b": ["inside"]}
        return known.get(collection, [])

    def parameters(self) -> Iterable[str]:
        return ["least", "name"]


def offered(before: str, after: str = "") -> list[str]:
    return [offer.text for offer in offers(before + after, before, Names())]


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("SELECT * FROM ", ["cities", "`civic centres`", "rivers", "`select`"]),
        ("select * from ci", ["cities", "`civic centres`"]),
        ("SELECT * FROM `ci", ["cities", "`civic centres`"]),
        ("INSERT INTO r", ["rivers"]),
        ("UPDATE\n  cit", ["cities"]),
        ("CREATE INDEX a ON riv", ["rivers"]),
        ("SELECT * FROM cities c JOIN ri", ["rivers"]),
        ("", list(STATEMENTS)),
        ("SELECT 1 FROM c; -- x\n ", list(STATEMENTS)),
        ("ins", ["insert"]),
        ("INS", ["INSERT"]),
        ("SELECT * FROM rivers WHERE k", ["km"]),
        ("SELECT * FROM cities WHERE n", ["name", "`native name`", "not", "nothing", "null", "nvl("]),
        ("SELECT * FROM cities WHERE `n", ["name", "`native name`"]),
        ("SELECT * FROM cities c WHERE c.", ["_id", "name", "visits", "`native name`"]),
        ("SELECT * FROM `a``b` WHERE ins", ["inside", "insert"]),
        ("SELECT * FROM cities; SELECT * FROM rivers WHERE k", ["km"]),
        ("SELECT coun", ["count("]),
        ("SELECT * FROM c LIMIT :", ["least", "name"]),
        ("SELECT * FROM c LIMIT :l", ["least"]),
        (".", [".help", ".collections", ".fields", ".indexes", ".explain", ".params", ".format", ".timing", ".exit"]),
        (".co", [".collections"]),
        (".fields ci", ["cities", "civic centres"]),
        (".format ", ["table", "json", "lines", "csv"]),
        (".timing o", ["on", "off"]),
        (".help ", []),
    ],
)
def test_what_fits_is_offered(before: str, expected: list[str]) -> None:
    assert offered(before) == expected


@pytest.mark.parametrize(
    "before", ["SELECT 'sel", 'SELECT "sel', "SELECT -- sel", "/* sel", "SELECT 1", "SELECT 'a--b' -- s"]
)
def test_nothing_is_offered_inside_strings_comments_and_numbers(before: str) -> None:
    assert offered(before) == []


def test_a_dash_in_a_string_begins_no_comment() -> None:
    assert offered("SELECT '-- ' , coun") == ["count("]


def test_fields_are_known_from_what_stands_behind_the_cursor() -> None:
    assert offered("SELECT vis", " FROM cities") == ["visits"]
    assert offered("SELECT vis", " FROM rivers; SELECT * FROM cities") == []


def test_an_offer_replaces_what_was_typed() -> None:
    before = "SELECT * FROM `civ"
    [offer] = offers(before, before, Names())
    assert before[: -offer.replaces] + offer.text == "SELECT * FROM `civic centres`"


@given(st.text("sel ;'\"`-/*.:\n1a", max_size=30), st.text("a'; ", max_size=5))
def test_any_text_can_be_completed(before: str, after: str) -> None:
    for offer in offers(before + after, before, Names()):
        assert 0 <= offer.replaces <= len(before)


@given(st.text("aSELCT 1.;'\"`-/*\\:\n\x00é", max_size=40))
def test_coloring_loses_nothing(text: str) -> None:
    assert "".join(span.text for span in spans_of(text)) == text


def test_every_kind_of_span() -> None:
    text = "SELECT count(*), `x`, a FROM c WHERE b = 'it' AND d >= 12.5 -- end\n  AND e = :p; 'open"
    kinds = [span for span in spans_of(text) if span.kind != "plain"]
    assert kinds == [
        ("keyword", "SELECT"),
        ("function", "count"),
        ("name", "`x`"),
        ("keyword", "FROM"),
        ("keyword", "WHERE"),
        ("string", "'it'"),
        ("keyword", "AND"),
        ("number", "12.5"),
        ("comment", "-- end"),
        ("keyword", "AND"),
        ("parameter", ":p"),
        ("string", "'open"),
    ]
