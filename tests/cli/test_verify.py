"""`crdtstore verify`: what it prints, its exit code, and that it works beside a process that writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.storage.tables import Table
from tests.cli.running import error_of, run
from tests.storage.verified import plant, rows

DATA = ("--store", "data")
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def five_documents() -> None:
    with Store.open("data") as store:
        store.write([Upsert("c", {"n": number}, id=number) for number in range(5)])


def damage() -> None:
    key, value = next(iter(rows(Path("data"), Table.DOCUMENTS).items()))
    plant(Path("data"), Table.DOCUMENTS, key, value + b"seal", sealed=False)


def test_a_whole_store() -> None:
    said = run("verify", *DATA).stdout
    assert said.endswith("\nNothing is wrong.\n")
    assert "documents" in said
    assert "5 rows" in said
    answer = json.loads(run("verify", "--replay", *DATA, "--json").stdout)
    assert (answer["findings"], answer["not_replayed"]) == ([], None)
    assert {each["what"]: each["rows"] for each in answer["checked"]}["replay"] == 1


def test_a_damaged_store_says_where_and_who_must_act() -> None:
    damage()
    said = run("verify", *DATA, code=1).stdout
    assert "\n[seal] documents 00000000" in said
    assert "The operator: keep a copy" in said
    assert said.endswith("\n2 findings.\n")
    answer = json.loads(run("verify", *DATA, "--json", code=1).stdout)
    assert [each["code"] for each in answer["findings"]] == ["seal", "counts"]
    assert answer["findings"][0].keys() == {"code", "table", "key", "message", "action"}


def test_what_was_not_replayed_is_said() -> None:
    with Store.open("data") as store:
        store.write([Upsert("c", {"n": 1}, id=9)])
        store.trim(1)
    assert "not replayed: the log begins at transaction 2" in run("verify", "--replay", *DATA).stderr
    damage()
    assert "something else was found first" in run("verify", "--replay", *DATA, code=1).stderr


def test_what_is_no_store_is_an_error() -> None:
    Path("empty").mkdir()
    assert error_of(run("verify", "--store", "empty", "--json", code=1))["code"] == "not-a-store"


def test_it_works_beside_a_process_that_writes() -> None:
    command = [sys.executable, "-m", "crdtstore", "verify", "--replay", *DATA, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        Store.open("data", durability="none") as store,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as verifying,
    ):
        number = 0
        while verifying.poll() is None and number < 20_000:
            number += 1
            store.write([Upsert("c", {"n": number, "text": "x" * 500}, id=number % 50)])
        said, _ = verifying.communicate(timeout=60)
    assert verifying.returncode == 0, said
    assert json.loads(said)["findings"] == []
