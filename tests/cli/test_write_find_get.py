"""Write, find and get do the same to a directory and to a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtstore import Store, make_actor
from crdtstore.crdt.actor import format_actor
from tests.cli.running import documents, error_of, lines, run, upsert

ADA = {"_id": 1, "age": 36, "name": "Ada"}
GRACE = {"_id": "1", "age": 85, "name": "Grace"}


@pytest.fixture
def filled(place: tuple[str, ...]) -> tuple[str, ...]:
    given = lines(upsert(1, name="Ada", age=36), upsert("1", name="Grace", age=85))
    run("write", *place, given=given)
    return place


@pytest.mark.parametrize(
    "given",
    [
        json.dumps({"commands": [upsert(1, a=1), upsert(2, a=2)]}),
        json.dumps({"commands": [upsert(1, a=1), upsert(2, a=2)]}, indent=2),
        lines(upsert(1, a=1), upsert(2, a=2)),
        "\n" + lines(upsert(1, a=1)) + "\r\n" + lines(upsert(2, a=2)).rstrip("\n"),
    ],
    ids=["a request", "a request over lines", "a command a line", "empty lines"],
)
def test_commands_are_one_transaction_however_they_are_written(place: tuple[str, ...], given: str) -> None:
    assert run("write", *place, given=given).stdout == "txn 1\nupsert: 1\nupsert: 2\n"
    assert documents(run("find", "c", *place)) == [{"_id": 1, "a": 1}, {"_id": 2, "a": 2}]


def test_commands_come_from_a_file(place: tuple[str, ...]) -> None:
    Path("commands.json").write_text(json.dumps(upsert("x", a=1)), encoding="utf-8")
    assert run("write", "commands.json", *place).stdout == 'txn 1\nupsert: "x"\n'


def test_each_command_says_what_it_did(filled: tuple[str, ...]) -> None:
    update = {"method": "update", "collection": "c"}
    old = [{"method": "set", "path": "old", "value": True}]
    change = {**update, "query": "age > $args.least", "args": {"least": 40}, "commands": old}
    fail = {**update, "query": "true", "commands": [{"method": "increment", "path": "name"}]}
    remove = {"method": "remove", "collection": "c", "query": "_id == 1"}
    given = lines(change, fail, remove)
    assert run("write", *filled, given=given).stdout == (
        "txn 2\n"
        "update: 1 document changed\n"
        "update: 0 documents changed, 2 left as they were: a field command failed\n"
        "remove: 1 document removed\n"
    )
    assert json.loads(run("write", "--json", *filled, given=given).stdout) == {
        "txn": 3,
        "results": [
            {"method": "update", "updated": 1, "error": 0},
            {"method": "update", "updated": 0, "error": 1},
            {"method": "remove", "deleted": 0},
        ],
        "warnings": [],
    }


def test_a_warning_stands_beside_the_result(place: tuple[str, ...]) -> None:
    result = run("write", *place, given=json.dumps(upsert(1, text="x" * 300_000)))
    assert result.stdout == "txn 1\nupsert: 1\n"
    assert result.stderr.startswith("Warning: ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lines(upsert(1, a=1), upsert([], a=1)), "null and arrays are refused"),
        (lines(upsert(1, a=1)) + '{"method": "upsert", "a": 1, "a": 2}\n', "Line 2, column 30"),
        ('{"commands": [\n{"a": 1,}]}', "line 2"),
        ('{"commands": [{"method": "destroy"}]}', "destroy"),
        ("[]", "not understood"),
        ("", "empty body"),
    ],
)
def test_what_is_refused_is_refused_whole(place: tuple[str, ...], given: str, words: str) -> None:
    result = run("write", *place, given=given, code=3)
    assert result.stderr.startswith("Error: ")
    assert words in result.stderr
    assert error_of(run("write", "--json", *place, given=given, code=3))["message"] in result.stderr
    assert run("find", "c", *place).stdout == ""


def test_an_input_has_a_bound(store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.limits.BODY_BYTES_MAX", 50)
    monkeypatch.setattr("crdtstore.cli.reader.BODY_BYTES_MAX", 50)
    error = error_of(run("write", "--json", *store, given=" " * 51, code=3))
    assert (error["code"], error["data"]["limit"]) == ("limit-exceeded", "BODY_BYTES_MAX")


def test_a_write_has_its_author(store: tuple[str, ...]) -> None:
    run("write", *store, given=lines(upsert(1, a=1)))
    run("write", "--actor", format_actor(make_actor(7, 7)), *store, given=lines(upsert(1, b=1)))
    with Store.open("data") as opened:
        assert opened.stats().replicas == 2
    assert "16 bytes" in run("write", "--actor", "me", *store, given=lines(upsert(1, a=1)), code=3).stderr


def test_writes_with_one_key_have_one_author(server: tuple[str, ...]) -> None:
    run("write", *server, given=lines(upsert(1, a=1)))
    run("write", *server, given=lines(upsert(1, a=2)))
    assert documents(run("get", "c", "1", *server)) == [{"_id": 1, "a": 2}]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], [ADA, GRACE]),
        (["age > 50"], [GRACE]),
        (["age == $args.age", "--arg", "age=36"], [ADA]),
        (["name == $args.name", "--arg", "name=Ada"], [ADA]),
        (["_id == $args.id", "--arg", 'id="1"'], [GRACE]),
        (["--limit", "1"], [ADA]),
        (["--offset", "1"], [GRACE]),
        (["--limit", "0"], []),
        (["--txn", "1"], [ADA, GRACE]),
        (["false"], []),
    ],
)
def test_find_prints_a_document_a_line(filled: tuple[str, ...], arguments: list[str], found: list[object]) -> None:
    result = run("find", "c", *arguments, *filled)
    assert documents(result) == found
    assert result.stderr == ""
    whole = json.loads(run("find", "c", *arguments, *filled, "--json").stdout)
    # A page that is not the last tells how to go on; what a cursor does: tests/query/test_find.py.
    whole.pop("cursor", None)
    assert whole == {"txn": 1, "documents": found}


def test_the_id_stands_first(filled: tuple[str, ...]) -> None:
    assert run("find", "c", "_id == 1", *filled).stdout == '{"_id":1,"age":36,"name":"Ada"}\n'
    run("write", *filled, given=lines(upsert({"b": 1, "a": 2})))
    assert run("get", "c", '{"a":2,"b":1}', *filled).stdout == '{"_id":{"a":2,"b":1}}\n'


def test_a_page_that_may_not_be_all_says_so(filled: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.cli.find.FIND_LIMIT_DEFAULT", 2)
    assert "export" in run("find", "c", *filled).stderr
    assert run("find", "c", "--limit", "2", *filled).stderr == ""


def test_a_transaction_that_is_not_there_yet_is_for_later(filled: tuple[str, ...]) -> None:
    error = error_of(run("find", "c", "--txn", "2", "--json", *filled, code=4))
    assert error["code"] == "version-not-available"
    assert error["data"] == {"asked": 2, "applied": 1}


@pytest.mark.parametrize(("text", "found"), [("1", ADA), ('"1"', GRACE), ("1.0", ADA)])
def test_an_id_is_json_or_a_text(filled: tuple[str, ...], text: str, found: object) -> None:
    assert documents(run("get", "c", text, *filled)) == [found]


def test_a_document_that_does_not_exist_is_an_error(filled: tuple[str, ...]) -> None:
    error = error_of(run("get", "c", "basel", "--json", *filled, code=3))
    assert error["code"] == "not-found"
    assert error["data"] == {"collection": "c", "id": "basel"}
    assert "Error: The collection d" in run("get", "d", "1", *filled, code=3).stderr


@pytest.mark.parametrize("pair", ["age", "=1"])
def test_an_arg_is_a_name_and_a_value(place: tuple[str, ...], pair: str) -> None:
    assert "name=value" in run("find", "c", "--arg", pair, *place, code=2).stderr


def test_a_query_error_shows_the_place(place: tuple[str, ...]) -> None:
    assert "line 1, column 5" in run("find", "c", "a ==", *place, code=3).stderr


def test_a_store_that_another_holds_is_told_of(store: tuple[str, ...]) -> None:
    with Store.open("data"):
        message = run("write", *store, given=lines(upsert(1, a=2)), code=1).stderr
    assert "--url" in message


def test_a_version_can_be_named(filled: tuple[str, ...]) -> None:
    assert documents(run("find", "c", "--at", "1", *filled)) == [ADA, GRACE]
    assert json.loads(run("get", "c", "1", "--at", "1", *filled).stdout) == ADA
    for command in ("find", "c"), ("get", "c", "1"):
        refused = error_of(run(*command, "--at", "0", "--json", *filled, code=3))
        assert refused["data"] == {"asked": 0, "nearest": 1, "oldest": 1}
