"""`count`, `distinct`, `query explain`, and what `find` takes of a directory only."""

from __future__ import annotations

import json

import pytest

from crdtstore import Store, Upsert
from tests.cli.running import documents, error_of, run

DATA = ("--store", "data")
ON_SERVER = ("--url", "http://127.0.0.1:1", "--key", "unused")


@pytest.fixture(autouse=True)
def some_cities() -> None:
    """A store with 60 documents and an index."""
    with Store.open("data") as store:
        store.indexes.create("cities", ["country", "people"])
        made = [{"country": ("CH", "NO", "DE")[n % 3], "people": n, "at": {"lat": n}} for n in range(60)]
        store.write([Upsert("cities", fields, id=n) for n, fields in enumerate(made)])


def test_documents_are_counted() -> None:
    assert run("count", "cities", *DATA).stdout == "60\n"
    asked = ("count", "cities", "people >= :least && country == 'NO'", "--arg", "least=30")
    assert json.loads(run(*asked, *DATA, "--json").stdout) == {"txn": 1, "count": 10}
    run("count", "cities", "gt(people,57)", "--language", "platform", *DATA, code=3)
    assert run("count", "none", *DATA).stdout == "0\n"


def test_values_are_listed_once() -> None:
    assert run("distinct", "cities", "country", *DATA).stdout == '"CH"\n"DE"\n"NO"\n'
    asked = run("distinct", "cities", "at.lat", "people < 3", *DATA, "--json").stdout
    assert json.loads(asked) == {"txn": 1, "values": [0, 1, 2]}


def test_a_find_has_an_order_a_cursor_and_some_fields() -> None:
    asked = ("find", "cities", "country == 'NO'", "--order", "-people", "--limit", "2", "--field", "people", *DATA)
    first = json.loads(run(*asked, "--json").stdout)
    assert first["documents"] == [{"_id": 58, "people": 58}, {"_id": 55, "people": 55}]
    second = run(*asked, "--cursor", first["cursor"])
    assert documents(second) == [{"_id": 52, "people": 52}, {"_id": 49, "people": 49}]


def test_a_find_is_asked_in_other_languages() -> None:
    asked = "or(eq(attributes/a,1),eq(thingId,7))"
    assert [each["_id"] for each in documents(run("find", "cities", asked, "--language", "rql", *DATA))] == [7]
    asked = "people eq 7 or people eq 9"
    assert [each["_id"] for each in documents(run("find", "cities", asked, "--language", "platform", *DATA))] == [7, 9]


@pytest.mark.parametrize("option", ["--order=people", "--field=people", "--cursor=x", "--language=rql"])
def test_what_needs_a_directory_says_so(option: str) -> None:
    result = run("find", "cities", "true", option, *ON_SERVER, "--json", code=2)
    assert option.split("=", maxsplit=1)[0] in error_of(result)["message"]


def test_a_plan_is_told() -> None:
    told = run("query", "explain", "cities", "country == 'NO' && people > 50", *DATA).stdout.splitlines()
    assert told == [
        "access    read index country,people",
        'bounds    from "NO", 51 to before "NO", behind numbers',
        "filter    none: every document that is read matches",
        "sorting   a bounded heap",
        "examined  3 documents, 3 index entries",
        "returned  3 documents",
    ]
    plan = json.loads(run("query", "explain", "cities", "at.lat == 1", "--plan-only", *DATA, "--json").stdout)
    assert plan == {"access": "scan", "ordered": True, "cost": 60, "filter": "at.lat == 1"}
    order = ("--order", "-people", "--limit", "2")
    told = run("query", "explain", "cities", "country == 'NO'", *order, *DATA).stdout.splitlines()
    assert told[0] == "access    read index country,people, from its end"
    assert told[3] == "sorting   none: rows come in order"


def test_the_steps_of_a_statement_are_told() -> None:
    text = "SELECT people FROM cities WHERE country = :c AND people > 50"
    told = run("query", "explain", "--language", "dql", text, "--arg", "c=NO", *DATA).stdout.splitlines()
    assert [line.split()[0] for line in told] == ["read", "show", "total"]
    assert "index country,people" in told[0]
    assert "returned 3" in told[-1]
    planned = json.loads(
        run("query", "explain", "--language", "dql", text, "--arg=c=NO", "--plan-only", "--json", *DATA).stdout
    )
    assert [step["step"] for step in planned["steps"]] == ["read", "show"]
    assert planned["advice"] == []


def test_what_a_statement_lacks_is_told() -> None:
    joined = "SELECT * FROM cities a JOIN cities b ON a.country = b.name"
    told = run("query", "explain", "--language", "dql", joined, *DATA).stdout.splitlines()
    assert told == ["advice   CREATE INDEX cities_name ON cities (name)", "         Without it the join is refused."]
    told = run(
        "query", "explain", "--language", "dql", "DELETE FROM cities WHERE name = 'x'", *DATA
    ).stdout.splitlines()
    assert [line.split()[0] for line in told[:2]] == ["read", "delete"]
    assert "CREATE INDEX" in told[2]


def test_a_statement_is_given_alone() -> None:
    run("query", "explain", "--language", "dql", "SELECT * FROM cities", "people > 1", *DATA, code=2)
    run("query", "explain", "--language", "dql-v4", "SELECT * FROM cities", "--order", "people", *DATA, code=2)
