"""`crdtstore sql` without a terminal: where statements come from, what is printed, what a failure says."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from crdtstore.cli.shell import output
from crdtstore.cli.shell.database import Directory
from crdtstore.cli.shell.prompt import CONTINUED, PROMPT
from crdtstore.errors import StoreLocked
from crdtstore.limits import DOCUMENT_BYTES_WARN
from tests.cli.running import documents, error_of, lines, run, upsert

ALONE = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
KEY = f"{'a' * 12}_cs1_{'b' * 33}"
Place = tuple[str, ...]

INSERT = (
    """INSERT INTO cities DOCUMENTS ({'_id': 'basel', 'name': 'Basel', 'visits': 3}), ({'_id': 'oslo', 'at': null})"""
)
BASEL = {"_id": "basel", "name": "Basel", "visits": 3}
OSLO = {"_id": "oslo", "at": None}


def insert(identifier: Any) -> str:
    return f"INSERT INTO c DOCUMENTS ({{'_id': {json.dumps(identifier)}}})"


@pytest.fixture
def cities(place: Place) -> Place:
    """A store with two cities, in a directory or behind a server."""
    run("sql", INSERT, *place)
    return place


@pytest.fixture
def directory(store: Place) -> Place:
    """A directory with two cities."""
    run("sql", INSERT, *store)
    return store


# --- where statements come from ---


def test_a_statement_is_an_argument(place: Place) -> None:
    done = run("sql", INSERT, *place)
    assert (done.stdout, done.stderr) == ("", "2 documents changed, transaction 1\n")
    assert documents(run("sql", "SELECT * FROM cities", *place)) == [BASEL, OSLO]


@pytest.mark.parametrize("source", ["argument", "command", "file", "stdin"])
def test_several_statements_come_from_one_place(place: Place, source: str) -> None:
    first, second = f"{insert(1)}; -- ';'\n\n", f"{insert('a;')};\nSELECT * FROM c"
    Path("text.sql").write_text(first + second, encoding="utf-8")
    arguments = {
        "argument": [first + second],
        "command": ["-c", first, "--command", second],
        "file": ["--file", "text.sql"],
        "stdin": [],
    }[source]
    done = run("sql", *arguments, *place, given=first + second if source == "stdin" else None)
    assert documents(done) == [{"_id": 1}, {"_id": "a;"}]
    assert done.stderr == "1 document changed, transaction 1\n1 document changed, transaction 2\n"


def test_two_places_are_wrong_usage(place: Place) -> None:
    assert "one place" in run("sql", "SELECT * FROM c", "-c", "SELECT * FROM c", *place, code=2).stderr


@pytest.mark.parametrize("text", ["", " ; ;\n", "-- SELECT"])
def test_nothing_to_run_is_no_error(place: Place, text: str) -> None:
    assert run("sql", *place, given=text).output == ""


def test_parameters_are_json_or_texts(cities: Place) -> None:
    asked = ("sql", "SELECT name FROM cities WHERE visits = :n AND name = :name", *cities)
    assert documents(run(*asked, "--param", "n=3", "--param", "name=Basel")) == [{"name": "Basel"}]
    assert "A --param is name=value" in run(*asked, "--param", "n", code=2).stderr


# --- the store ---


@contextmanager
def written_by_another(directory: str) -> Iterator[None]:
    """Hold a store in another process."""
    program = f"from crdtstore import Store\nwith Store.open({directory!r}): print(flush=True), input()"
    held = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ALONE)
    try:
        assert held.stdout is not None
        held.stdout.readline()
        yield
    finally:
        held.communicate(b"\n", timeout=60)


def test_reading_works_beside_a_writer_and_writing_does_not(directory: Place) -> None:
    with written_by_another(directory[1]):
        done = run("sql", f"SELECT * FROM cities; {insert(1)}; SELECT * FROM c", *directory, code=1)
        assert documents(done) == [BASEL, OSLO]
        assert "write through it: --url" in done.stderr
    assert documents(run("sql", "SELECT * FROM c", *directory)) == []


@pytest.mark.parametrize("more", [(), ("--transaction",)], ids=["alone", "together"])
def test_what_cannot_be_read_is_told_beside_a_writer_too(directory: Place, more: Place) -> None:
    with written_by_another(directory[1]):
        done = run("sql", "SELEC * FROM cities", *more, *directory, code=3)
    assert "'SELEC' cannot stand here" in done.stderr
    assert "--url" not in done.stderr


def test_a_directory_that_cannot_be_written_stays_readable(directory: Place) -> None:
    with closing(Directory(directory[1])) as database:
        with written_by_another(directory[1]), pytest.raises(StoreLocked):
            database.execute(insert(1), {})
        with database.stream("SELECT _id FROM cities", {}) as rows:
            assert list(rows) == [b'{"_id":"basel"}', b'{"_id":"oslo"}']
        assert database.execute(insert(1), {}).mutated == (1,)


def test_read_only_refuses_what_writes(cities: Place) -> None:
    done = run("sql", f"SELECT * FROM cities; {insert(1)}", "--read-only", *cities, code=1)
    assert documents(done) == [BASEL, OSLO]
    assert "read-only" in done.stderr


def test_a_version_of_the_past_is_read(cities: Place) -> None:
    assert documents(run("sql", "SELECT * FROM cities", "--at", "1", *cities)) == [BASEL, OSLO]
    assert error_of(run("sql", "SELECT * FROM cities", "--at", "2", "--json", *cities, code=4))["data"]["asked"] == 2


def test_a_server_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    nowhere = ("--url", "http://127.0.0.1:1", "--key", KEY)
    assert "was not reached" in run("sql", "SELECT * FROM c", *nowhere, code=1).stderr
    assert "key" in run("sql", "SELECT * FROM c", *nowhere[:2], code=2).stderr


# --- transactions ---


def test_the_first_failure_ends_it_and_what_was_before_stays(place: Place) -> None:
    done = run("sql", *place, given=f"{insert(1)};\n\n  {insert(1)};\n{insert(2)}", code=3)
    assert done.stderr.splitlines()[1].endswith("(statement at line 3).")
    assert documents(run("sql", "SELECT * FROM c", *place)) == [{"_id": 1}]


def test_a_transaction_is_all_or_nothing(place: Place) -> None:
    run("sql", "--transaction", *place, given=f"{insert(1)}; {insert(1)}", code=3)
    run("sql", "--transaction", *place, given=f"{insert(1)}; SELECT", code=3)
    assert documents(run("sql", "SELECT * FROM c", *place)) == []
    done = run("sql", "--transaction", *place, given=f"{insert(1)};\n{insert(2)}; SELECT * FROM c;")
    assert done.stderr == "1 document changed, transaction 1\n" * 2
    assert documents(done) == documents(run("sql", "SELECT * FROM c", *place)) == [{"_id": 1}, {"_id": 2}]
    done = run("sql", "--transaction", "--timing", f"{insert(3)}; {insert(4)}", *place)
    assert re.fullmatch(r"(1 document changed, transaction 2\n){2}2 statements \([\d.]+ ms\)\n", done.stderr)


def test_a_warning_that_is_given_twice_is_told_once(place: Place) -> None:
    large = json.dumps({"a": "x" * DOCUMENT_BYTES_WARN})
    texts = [f"INSERT INTO c DOCUMENTS ({{'_id': {number}, 'a': :a}})" for number in range(2)]
    done = run("sql", "--transaction", ";".join(texts), "--param", f"a={large}", *place)
    assert len(re.findall("^Warning: ", done.stderr, re.MULTILINE)) == 1


@pytest.mark.parametrize(("text", "more"), [("", ()), (".help\n", ()), ("SELECT * FROM c", ("--at", "0"))])
def test_what_no_transaction_can_be_is_wrong_usage(place: Place, text: str, more: Place) -> None:
    run("sql", "--transaction", *place, *more, given=text, code=2)


# --- failures ---


@pytest.mark.parametrize(
    ("text", "where", "shown"),
    [
        ("SELECT * FORM c", "line 1, column 10", ["SELECT * FORM c", "         ^"]),
        ("SELECT * FROM c; SELECT * FORM c", "line 1, column 27", [" SELECT * FORM c", "          ^"]),
        ("SELECT * FROM c;\n\n-- ;\nSELECT\n* FORM c", "line 5, column 3", ["* FORM c", "  ^"]),
        ("SELECT * FROM c;\nSELECT 'a", "line 2, column 8", ["SELECT 'a", "       ^"]),
    ],
)
def test_an_error_shows_its_place_in_the_whole_input(place: Place, text: str, where: str, shown: list[str]) -> None:
    sentence, *excerpt = run("sql", *place, given=text, code=3).stderr.splitlines()
    assert sentence.startswith("Error: ")
    assert sentence.endswith(f"({where})")
    assert excerpt == [f"  {line}" for line in shown]
    data = error_of(run("sql", "--json", *place, given=text, code=3))["data"]
    assert f"line {data['line']}, column {data['column']}" == where


def test_bytes_that_are_no_text_are_refused(place: Place) -> None:
    assert "line 1, column 9" in run("sql", *place, given=b"SELECT '\xff'", code=3).stderr


# --- what is printed ---


def test_json_is_one_array_a_statement(cities: Place) -> None:
    done = run("sql", "SELECT * FROM cities; SELECT * FROM c", "--json", *cities)
    assert done.stdout.endswith("]\n[]\n")
    assert json.loads(done.stdout.removesuffix("[]\n")) == [BASEL, OSLO]


def test_json_of_a_change_is_an_object(place: Place) -> None:
    done = run("sql", INSERT, "--json", *place)
    assert json.loads(done.stdout) == {"txn": 1, "mutated": ["basel", "oslo"], "rows": [], "warnings": []}


def test_a_table_tells_null_from_missing(cities: Place) -> None:
    done = run("sql", "SELECT * FROM cities", "--format", "table", *cities)
    assert [line.rstrip() for line in done.stdout.splitlines()] == [
        " _id   │ name  │ visits │ at",
        "───────┼───────┼────────┼──────",
        " basel │ Basel │      3 │",
        " oslo  │       │        │ NULL",
        "2 rows",
    ]
    assert done.stderr == ""


def test_a_table_says_what_changed(place: Place) -> None:
    done = run("sql", insert(1), "--format", "table", "--timing", *place)
    assert done.stdout.startswith("1 document changed, transaction 1 (")
    assert done.stdout.endswith(" ms)\n")


def test_timing_is_no_part_of_what_a_program_reads(cities: Place) -> None:
    done = run("sql", "SELECT * FROM cities", "--timing", *cities)
    assert documents(done) == [BASEL, OSLO]
    assert done.stderr.startswith("2 rows (")


def rows_of_csv(*arguments: str) -> list[list[str]]:
    return list(csv.reader(StringIO(run("sql", "--format", "csv", *arguments).stdout)))


def test_csv_has_the_columns_that_are_named(cities: Place) -> None:
    assert rows_of_csv("SELECT visits AS n, nowhere, name FROM cities", *cities) == [
        ["n", "nowhere", "name"],
        ["3", "", "Basel"],
        ["", "", ""],
    ]
    assert rows_of_csv("SELECT a FROM c", *cities) == [["a"]]


def test_csv_holds_any_text(place: Place) -> None:
    text = 'a,"b"\n; c'
    run(
        "sql",
        "INSERT INTO c DOCUMENTS (:d)",
        "--param",
        f"d={json.dumps({'_id': 1, 't': text, 'o': {'x': [1]}})}",
        *place,
    )
    assert rows_of_csv("SELECT t, o FROM c", *place) == [["t", "o"], [text, '{"x":[1]}']]


def test_fields_that_come_late_are_left_out_of_csv_with_a_warning(
    cities: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PAGE", 1)
    done = run("sql", "SELECT * FROM cities", "--format", "csv", *cities)
    assert done.stdout == "_id,name,visits\nbasel,Basel,3\noslo,,\n"
    assert done.stderr.startswith("Warning: 1 field left out")
    assert ": at. Name the columns" in done.stderr
    assert run("sql", "SELECT _id, at FROM cities", "--format", "csv", *cities).stderr == ""


def test_long_answers_are_several_tables(cities: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "PAGE", 1)
    lines = run("sql", "SELECT * FROM cities", "--format", "table", *cities).stdout.splitlines()
    assert [line.split() for line in lines if "─" not in line] == [
        ["_id", "│", "name", "│", "visits"],
        ["basel", "│", "Basel", "│", "3"],
        ["_id", "│", "at"],
        ["oslo", "│", "NULL"],
        ["2", "rows"],
    ]


# --- dot commands ---


def test_dot_commands_stand_between_statements(cities: Place) -> None:
    given = f".collections\n{insert(1)};\n.collections\n.fields cities\n.exit\nSELEC"
    assert [line.split() for line in run("sql", *cities, given=given).stdout.splitlines()] == [
        ["cities", "2"],
        ["c", "1"],
        ["cities", "2"],
        ["_id", "string", "2", "of", "2"],
        ["name", "string", "1", "of", "2"],
        ["visits", "integer", "1", "of", "2"],
        ["at", "null", "1", "of", "2"],
    ]


def test_dot_commands_change_what_follows(cities: Place) -> None:
    given = ".params n=3\n.timing on;\n.timing;\n.format json ; \nSELECT name FROM cities WHERE visits = :n;\n"
    done = run("sql", *cities, given=given)
    assert done.stdout == ':n  3\ntiming on\ntiming on\nformat json\n[{"name":"Basel"}]\n'
    assert done.stderr.startswith("1 row (")


def test_indexes_are_listed(cities: Place) -> None:
    assert run("sql", "-c", ".indexes", *cities).stdout == "none\n"
    run("sql", "CREATE INDEX by_name ON cities (name)", *cities)
    assert run("sql", "-c", ".indexes", *cities).stdout == "cities  by_name  name  2 entries\n"


def test_explanations_are_lines_in_a_table_s_place(cities: Place) -> None:
    for text in (".explain SELECT * FROM cities", "EXPLAIN SELECT * FROM cities", "PROFILE SELECT * FROM cities"):
        assert "cities" in run("sql", "-c", text, "--format", "table", *cities).stdout
        assert documents(run("sql", "-c", text, *cities))
    advised = run("sql", "ADVISE SELECT * FROM cities", "--format", "table", *cities)
    assert advised.stdout == "No index would help.\n"


@pytest.mark.parametrize("line", [".what", ".format xml", ".timing perhaps", ".fields", ".params a"])
def test_a_dot_command_that_is_wrong_is_wrong_usage(place: Place, line: str) -> None:
    run("sql", "-c", line, *place, code=2)


def test_help_names_every_dot_command(place: Place) -> None:
    text = run("sql", "-c", ".help", *place).stdout
    assert [line.split()[0] for line in text.splitlines()[:-1]] == [
        *(".help", ".collections", ".fields", ".indexes", ".explain", ".params", ".format", ".timing", ".exit"),
    ]


# --- the page ---


def without_times(text: str) -> list[str]:
    """The lines of an output, without what differs from run to run."""
    return [re.sub(r" \([\d.]+ ms\)", "", line.rstrip()) for line in text.splitlines()]


def test_the_page_shows_what_is_printed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = page.partition("\n## Statements\n")[2].partition("\n## ")[0]
    script, table, session = re.findall(r"^```(?:sh|text)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    run("init", "--store", "cities-data")
    run("write", "--store", "cities-data", given=lines({**upsert("basel", name="Basel"), "collection": "cities"}))
    printed = [run(*shlex.split(line)[1:]).stdout for line in script.splitlines()]
    assert without_times(printed[-1]) == without_times(table)
    typed = [line[len(PROMPT) :] for line in session.splitlines() if line.startswith((PROMPT, CONTINUED))]
    shown = [line for line in session.splitlines() if not line.startswith((PROMPT, CONTINUED))]
    done = run("sql", "--store", "cities-data", "--format", "table", "--timing", given="\n".join(typed))
    assert without_times(done.stdout) == without_times("\n".join(shown))
