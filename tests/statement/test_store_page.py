"""What docs/query-dql-store.md says: its tables are those of the code, its examples are what comes out."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.statement.explain import lines_of_steps
from crdtstore.statement.system import SYSTEM_COLLECTIONS
from crdtstore.statement.system_parameters import SYSTEM_PARAMETERS
from tests.docs.pages import ROOT, marked_block

PAGE = (ROOT / "docs" / "query-dql-store.md").read_text(encoding="utf-8")


def table(marker: str) -> list[list[str]]:
    """The rows of the table behind a marker, without its head."""
    lines = PAGE.partition(f"<!-- {marker} -->\n")[2].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory(clock=lambda: 1) as opened:
        places = [{"name": f"city {n}", "people": n, "land": f"land {n % 7}"} for n in range(1_000)]
        opened.write([Upsert("cities", place, id=n) for n, place in enumerate(places)])
        yield opened


def test_every_system_parameter_stands_in_the_table() -> None:
    expected = [
        [
            f"`{name}`",
            parameter.takes,
            "as the version" if parameter.default is None else f"{parameter.default:.10g}",
            parameter.text,
        ]
        for name, parameter in SYSTEM_PARAMETERS.items()
    ]
    assert table("system parameters") == expected


def test_every_system_collection_stands_in_the_table() -> None:
    told = {name.strip("`").removeprefix("system:"): fields for name, _, fields in table("system collections")}
    assert {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in told.items()} == {
        name: each.fields for name, each in SYSTEM_COLLECTIONS.items()
    }


def test_the_bounds_are_those_of_the_code() -> None:
    named = set(re.findall(r"[A-Z]+(?:_[A-Z]+)+_MAX", PAGE))
    assert {name for name in named if not hasattr(limits, name)} == set()
    assert {name for name in vars(limits) if re.match(r"STATEMENT_\w+_MAX$", name)} - {"STATEMENT_SECONDS_MAX"} <= named


@pytest.mark.parametrize("marker", ["explained", "advised"])
def test_the_examples_are_what_comes_out(store: Store, marker: str) -> None:
    lines: list[str] = []
    for text in re.findall(r"^> (.*)$", marked_block(PAGE, marker), re.MULTILINE):
        answer = store.execute(text)
        lines.append(f"> {text}")
        if text.startswith("EXPLAIN"):
            lines += lines_of_steps(answer.items)
        elif not text.startswith("CREATE"):
            lines += [row.decode() for row in answer.rows_json]
    assert "\n".join([*lines, ""]) == marked_block(PAGE, marker)
