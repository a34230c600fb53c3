"""Tables: every value can be told from every other, and no line is wider than the terminal."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from crdtstore.cli.shell.table import cell_of, fitted, room, table_of

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.text("1.e-+ \x1b")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=4,
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["_id", "name", "a\nb", "日本"]), VALUES), min_size=1, max_size=4)


def plain(rows: list[dict[str, Any]], width: int | None) -> list[str]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [click.unstyle(line) for line in table_of(rows, columns, width)]


@given(VALUES, VALUES)
@example("NULL", None)
@example("1", 1)
@example("", None)
@example("[]", [])
@example('"a"', "a")
@example("\x1b", "\\u001b")
def test_values_that_differ_are_shown_differently(one: Any, other: Any) -> None:
    same = type(one) is type(other) and json.dumps(one) == json.dumps(other)
    assert same or cell_of(one)[:2] != cell_of(other)[:2]


@given(VALUES)
def test_what_is_shown_can_be_seen_and_steers_nothing(value: Any) -> None:
    text = cell_of(value).text
    assert text.isprintable()
    assert text


@given(ROWS.filter(any), st.integers(20, 60))
def test_no_line_is_wider_than_the_terminal(rows: list[dict[str, Any]], width: int) -> None:
    assert max(map(cell_len, plain(rows, width))) <= width


@given(ROWS.filter(any))
def test_without_a_terminal_nothing_is_cut(rows: list[dict[str, Any]]) -> None:
    lines = plain(rows, None)
    assert len(lines) == len(rows) + 2
    for row, line in zip(rows, lines[2:], strict=True):
        assert all(cell_of(value).text in line for value in row.values())


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20), st.integers(10, 200))
def test_widths_fit_and_waste_nothing(widths: list[int], total: int) -> None:
    found = fitted(widths, total)
    assert all(size <= wanted for size, wanted in zip(found, widths, strict=False))
    assert sum(found) <= max(room(len(found), total), 1)
    if len(found) == len(widths) and found != widths:
        assert sum(found) > room(len(found), total) - len(found)


def test_a_table_as_it_is_seen() -> None:
    rows: list[dict[str, Any]] = [
        {"_id": "basel", "visits": 3, "at": None},
        {"_id": 7, "visits": 12.5},
        {"_id": "x" * 40, "at": "null\n"},
    ]
    assert [line.rstrip() for line in plain(rows, 40)] == [
        " _id                │ visits │ at",
        "────────────────────┼────────┼──────────",
        " basel              │      3 │ NULL",
        "                  7 │   12.5 │",
        ' xxxxxxxxxxxxxxxxx… │        │ "null\\n"',
    ]


def test_columns_that_do_not_fit_are_named() -> None:
    lines = plain([{"first": "a" * 20, "second": "b" * 20, "third": "c" * 20}], 30)
    assert lines[0].split() == ["first", "│", "second"]
    assert lines[-1].startswith("not shown")


@pytest.mark.parametrize("text", ["Basel", "2024-01-01", "a b", "nullable", "-", "1a", "äö", "a\\b"])
def test_a_string_that_is_no_other_value_stands_without_quotes(text: str) -> None:
    assert not cell_of(text).text.startswith('"')
