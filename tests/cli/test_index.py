"""`crdtstore index`: indexes made, listed, finished and dropped."""

from __future__ import annotations

import json

import pytest

from crdtstore import Store, Upsert
from tests.cli.running import error_of, run
from tests.storage.index_histories import COLLECTION, create

DATA = ("--store", "data")


@pytest.fixture(autouse=True)
def some_cities() -> None:
    """A store with three documents."""
    with Store.open("data") as store:
        store.write([Upsert(COLLECTION, {"name": f"n{n}", "at": {"lat": n}, "tags": ["a"]}, id=n) for n in range(3)])


def test_an_index_is_made_listed_and_dropped() -> None:
    assert run("index", "create", COLLECTION, "name", *DATA).stdout == "Made index name of cities: 3 entries.\n"
    made = json.loads(run("index", "create", COLLECTION, "at.lat", "tags[0]", "--name", "two", *DATA, "--json").stdout)
    assert made == {
        "name": "two",
        "collection": COLLECTION,
        "kind": "fields",
        "paths": [["at", "lat"], ["tags", 0]],
        "state": "ready",
        "entries": 3,
        "documents": 3,
        "of": 3,
        "inexact": 0,
    }
    run("index", "create", COLLECTION, "--conflicts", *DATA)
    assert run("index", "list", *DATA).stdout.splitlines() == [
        "cities  name       name            3 entries",
        "cities  two        at.lat, tags.0  3 entries",
        "cities  conflicts  conflicts       0 entries",
    ]
    assert run("index", "drop", "name", *DATA).stdout == "Dropped index name of cities.\n"
    assert json.loads(run("index", "drop", "two", "--collection", COLLECTION, *DATA, "--json").stdout) == made
    listed = json.loads(run("index", "list", "--collection", COLLECTION, *DATA, "--json").stdout)
    assert [index["name"] for index in listed] == ["conflicts"]
    assert run("index", "list", "--collection", "rivers", *DATA).stdout == ""


def test_what_was_interrupted_is_finished() -> None:
    with Store.open("data") as store:
        create(store, (("name",),))
    assert run("index", "list", *DATA).stdout == "cities  name  name  building, 0 of 3 documents\n"
    assert run("index", "build", *DATA).stdout == "Finished name of cities.\n"
    assert run("index", "build", *DATA).stdout == "Every index is finished.\n"
    assert json.loads(run("index", "build", *DATA, "--json").stdout) == {"finished": []}


@pytest.mark.parametrize(
    ("arguments", "code", "slug"),
    [
        (("create", COLLECTION), 3, "invalid-index"),
        (("create", COLLECTION, "a", "--conflicts"), 3, "invalid-index"),
        (("create", COLLECTION, "a..b"), 3, "query-syntax"),
        (("create", COLLECTION, "a", "b", "c", "d", "e"), 3, "limit-exceeded"),
        (("drop", "none"), 3, "unknown-index"),
        (("drop", "none", "--collection", COLLECTION), 3, "unknown-index"),
    ],
)
def test_what_is_refused_says_so(arguments: tuple[str, ...], code: int, slug: str) -> None:
    assert error_of(run("index", *arguments, *DATA, "--json", code=code))["code"] == slug


def test_an_index_that_is_there_is_refused() -> None:
    run("index", "create", COLLECTION, "name", *DATA)
    error = error_of(run("index", "create", COLLECTION, "name", "--name", "again", *DATA, "--json", code=3))
    assert (error["code"], error["data"]) == ("index-exists", {"name": "name"})
