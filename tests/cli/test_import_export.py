"""What is imported is what is exported, and what is refused names its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store
from crdtstore.cli import output
from crdtstore.client.blocking import Client
from crdtstore.errors import Corrupted
from crdtstore.finding import Found
from crdtstore.query.find import Document
from tests.cli.running import documents, error_of, lines, run, upsert

ROUND_TRIPS: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "no field": [{"_id": "a"}],
    "every type of value": [
        {
            "_id": "a",
            "array": [1, [], {"x": None}],
            "double": 1.5,
            "empty": {},
            "integer": -(2**63),
            "map": {"in": {"in": 1}},
            "no": False,
            "null": None,
            "string": 'é\n"\\ 😀',
            "whole double": 1.0,
        }
    ],
    "every type of id": [{"_id": id_} for id_ in (False, True, -1, 0.5, 2**63 - 1, "é", {"b": 1, "a": [2]})],
    "names that need care": [{"_id": 1, "": 1, "a.b": 2, "a b": 3, "_ID": 4, "\u0000": 5}],
    "many": [{"_id": number, "n": number % 7} for number in range(25)],
}


def round_trip(place: tuple[str, ...], given: list[dict[str, Any]]) -> list[Any]:
    """Import documents, export them, import the export and return the export of that."""
    run("import", "c", "-", "--batch", "10", *place, given=lines(*given))
    run("import", "copy", "-", *place, given=run("export", "c", *place).stdout)
    return documents(run("export", "copy", *place))


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_an_export_is_what_was_imported(place: tuple[str, ...], name: str) -> None:
    assert round_trip(place, ROUND_TRIPS[name]) == ROUND_TRIPS[name]
    assert run("export", "copy", *place).stdout == run("export", "c", *place).stdout


def test_a_loss_on_the_way_is_found(place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    line_of = output.line_of
    monkeypatch.setattr(output, "line_of", lambda document: line_of(document).replace(b"1.0", b"1.5"))
    given = ROUND_TRIPS["every type of value"]
    assert round_trip(place, given) != given


@pytest.mark.parametrize(
    "given",
    [
        '[{"_id": 1, "a": 1}, {"_id": 2}]',
        '\n\n  [\n{"_id": 1,\n"a": 1}\n,\n{"_id": 2}\n]\n\n',
        '{"_id": 1, "a": 1}\n\n \t\r\n{"_id": 2}',
        '{"_id": 1, "a": 1}\r\n{"_id": 2}\r\n',
    ],
    ids=["an array", "an array over lines", "empty lines", "other ends of lines"],
)
def test_documents_come_as_lines_or_as_an_array(store: tuple[str, ...], given: str) -> None:
    run("import", "c", "-", *store, given=given)
    assert documents(run("export", "c", *store)) == [{"_id": 1, "a": 1}, {"_id": 2}]


def test_an_import_says_what_it_did(place: tuple[str, ...]) -> None:
    Path("in.jsonl").write_text(lines(*({"_id": number} for number in range(7))), encoding="utf-8")
    said = run("import", "c", "in.jsonl", "--batch", "3", *place).stdout
    assert said.startswith("Imported 7 documents into c in 3 transactions (")
    told = json.loads(run("import", "c", "in.jsonl", *place, "--json").stdout)
    assert (told["documents"], told["transactions"], told["txn"]) == (7, 1, 4)


def test_a_batch_ends_before_it_is_too_large(place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtstore.cli.batches.IMPORT_BATCH_BYTES_MAX", 30)
    given = lines({"_id": 1}, {"_id": 2}, {"_id": 3, "text": "x" * 50}, {"_id": 4}, {"_id": 5})
    told = json.loads(run("import", "c", "-", "--json", *place, given=given).stdout)
    assert (told["documents"], told["transactions"]) == (5, 3)


def test_another_field_can_be_the_id(place: tuple[str, ...]) -> None:
    run("import", "c", "-", "--id-field", "code", *place, given=lines({"code": "BS", "name": "Basel"}))
    assert documents(run("export", "c", *place)) == [{"_id": "BS", "name": "Basel"}]


def test_counters_are_counters(place: tuple[str, ...]) -> None:
    given = lines({"_id": 1, "a": {"n": 5}, "m": 7}, {"_id": 2, "m": 1})
    run("import", "c", "-", "--counter", "a.n", "--counter", "m", *place, given=given)
    increments = [{"method": "increment", "path": "a.n"}, {"method": "increment", "path": "m", "value": 2}]
    update = {"method": "update", "collection": "c", "query": "_id == 1", "commands": increments}
    assert "update: 1 document changed" in run("write", *place, given=json.dumps(update)).stdout
    assert documents(run("export", "c", *place)) == [{"_id": 1, "a": {"n": 6}, "m": 9}, {"_id": 2, "m": 1}]


def test_a_path_that_no_field_has_is_wrong_usage(store: tuple[str, ...]) -> None:
    assert "--counter a..b" in run("import", "c", "-", "--counter", "a..b", *store, given="", code=2).stderr


@pytest.mark.parametrize(
    ("given", "code", "line"),
    [
        (lines({"_id": 1}, {"_id": 2}) + '{"_id": 3, "a": NaN}\n', "malformed-json", 3),
        (lines({"_id": 1}) + '{"_id": 2, "_id": 3}\n', "malformed-json", 2),
        (lines({"_id": 1}) + '\n\n{"_id": 2', "malformed-json", 4),
        (lines({"_id": 1}, [2]), "malformed-request", 2),
        (lines({"_id": 1}, {"id": 2}), "invalid-document", 2),
        (lines({"_id": 1}, {"_id": None}, {"_id": 3}), "invalid-id", 2),
        (lines({"_id": 1}, {"_id": 2}, {"_id": 3}, {"_id": "x" * 2000}), "invalid-id", 4),
        (lines({"_id": 1, "n": 1}, {"_id": 2, "n": "one"}), "invalid-value", 2),
        ('[{"_id": 1},\n{"_id": 2}\n,\n{"_id": []}]', "invalid-id", 4),
        ('[{"_id": 1},\n2]', "malformed-request", 2),
        ('[{"_id": 1},\n{"_id": 1.}]', "malformed-json", 2),
        ('[{"_id": 1},\n{"_id": 2}', "malformed-json", 2),
    ],
)
def test_what_is_refused_names_its_line(place: tuple[str, ...], given: str, code: str, line: int) -> None:
    result = run("import", "c", "-", "--counter", "n", "--json", *place, given=given, code=3)
    error = error_of(result)
    assert (error["code"], error["data"]["line"]) == (code, line)
    assert f"line {line}" in error["message"].lower()
    assert result.stdout == ""
    assert run("export", "c", *place).stdout == ""


def test_a_line_that_clashes_with_another_of_its_batch_is_found(place: tuple[str, ...]) -> None:
    given = lines({"_id": 1, "n": 1}, {"_id": 2}, {"_id": 1, "n": {"m": 1}})
    error = error_of(run("import", "c", "-", "--counter", "n", "--json", *place, given=given, code=3))
    assert error["data"]["line"] == 3


def test_only_the_batch_with_the_bad_document_is_not_written(place: tuple[str, ...]) -> None:
    given = lines(*({"_id": number} for number in range(4)), {"_id": 4}, {"id": 5}, {"_id": 6})
    error = error_of(run("import", "c", "-", "--batch", "2", "--json", *place, given=given, code=3))
    assert (error["data"]["line"], error["data"]["documents"]) == (6, 4)
    assert "Written in all: 4 documents." in error["message"]
    assert documents(run("export", "c", *place)) == [{"_id": number} for number in range(4)]


def test_what_only_this_store_refuses_names_the_lines_of_the_batch(
    store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtstore.storage.draft.DOCUMENT_BYTES_MAX", 2_000)
    # What is staged is far below the bound as it is.
    monkeypatch.setattr("crdtstore.core.stage_upserts", lambda *_: None)
    monkeypatch.setattr("crdtstore.core.sequence_upserts", None)
    run("import", "c", "-", *store, given=lines({"_id": 1, "text": "x" * 1_500}))
    given = lines({"_id": 0}, {"_id": 1, "more": "x" * 1_500})
    error = error_of(run("import", "c", "-", *store, "--json", given=given, code=3))
    assert error["code"] == "limit-exceeded"
    assert error["message"].startswith("Lines 1 to 2: ")


@pytest.mark.parametrize("bound", ["BODY_BYTES_MAX", "IMPORT_ARRAY_BYTES_MAX"])
def test_a_line_and_an_array_have_a_bound(store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(f"crdtstore.cli.reader.{bound}", 50)
    given = '{"_id": 1}\n{"_id": "' + "x" * 50 + '"}' if bound == "BODY_BYTES_MAX" else "[" + '{"_id":1},' * 5
    error = error_of(run("import", "c", "-", "--json", *store, given=given, code=3))
    assert (error["code"], error["data"]["limit"]) == ("limit-exceeded", bound)


def test_a_server_that_is_not_there_has_written_nothing(server: tuple[str, ...]) -> None:
    gone = ("--url", "http://127.0.0.1:1", *server[2:])
    message = run("import", "c", "-", *gone, given=lines({"_id": 1}), code=1).stderr
    assert "was not reached" in message
    assert "Written for certain: 0 documents." in message


def test_a_key_that_is_refused_is_no_fault_of_a_line(server: tuple[str, ...]) -> None:
    stranger = (*server[:3], "000000000000_cs1_" + "0" * 33)
    message = run("import", "c", "-", *stranger, given=lines({"_id": 1}), code=3).stderr
    assert "not known" in message
    assert "Line" not in message


def test_an_export_has_no_limit(place: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    run("import", "c", "-", *place, given=lines(*({"_id": number} for number in range(10))))
    monkeypatch.setattr("crdtstore.query.find.FIND_LIMIT_MAX", 3)
    monkeypatch.setattr("crdtstore.cli.target.PAGE", 3)
    result = run("export", "c", *place)
    assert [document["_id"] for document in documents(result)] == list(range(10))
    assert result.stderr == ""


def test_an_export_over_pages_says_that_the_store_went_on(
    server: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import", "c", "-", *server, given=lines({"_id": 1}, {"_id": 2}))
    monkeypatch.setattr("crdtstore.cli.target.PAGE", 1)
    find = Client.find

    def find_and_write(client: Client, *asked: Any, **more: Any) -> Found:
        found = find(client, *asked, **more)
        client.write([upsert(found.txn)])
        return found

    monkeypatch.setattr(Client, "find", find_and_write)
    assert "from transaction 1 to" in run("export", "c", *server).stderr


def test_an_export_goes_to_a_file(place: tuple[str, ...]) -> None:
    run("import", "c", "-", *place, given=lines({"_id": 1}))
    assert run("export", "c", "out.jsonl", *place).stdout == "Exported 1 document of c to out.jsonl.\n"
    assert Path("out.jsonl").read_text(encoding="utf-8") == '{"_id":1}\n'
    told = json.loads(run("export", "c", "out.jsonl", "--json", *place).stdout)
    assert told == {"documents": 1, "file": "out.jsonl"}


def test_an_export_that_fails_leaves_the_file_as_it_was(
    store: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(_: Store, collection: str) -> Iterator[Document]:
        yield Document(1, b"{}")
        raise Corrupted("documents", collection.encode())

    monkeypatch.setattr(Store, "scan", scan)
    Path("out.jsonl").write_text("before", encoding="utf-8")
    assert "damaged" in run("export", "c", "out.jsonl", *store, code=1).stderr
    assert Path("out.jsonl").read_text(encoding="utf-8") == "before"
    assert not Path("out.jsonl.partial").exists()


def test_a_collection_that_does_not_exist_is_empty(place: tuple[str, ...]) -> None:
    assert run("export", "none", *place).stdout == ""
