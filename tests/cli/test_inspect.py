"""`crdtstore inspect`: documents, operations, actors and rows, whole and damaged, for a person and as JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from crdtstore import Store, Upsert, format_actor, make_actor
from crdtstore.cli.inspect import TABLES
from crdtstore.replication.local import sync
from crdtstore.storage.tables import TABLE_NAMES, Table
from tests.cli.running import error_of, run
from tests.replication.worlds import make, put
from tests.storage.verified import OURS, THEIRS, build, plant, rows

DATA = ("--store", "data")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("inspect") / "store")


@pytest.fixture(autouse=True)
def data(original: Path) -> None:
    shutil.copytree(original, "data")


def inspect(*arguments: str) -> Any:
    return json.loads(run("inspect", *arguments, *DATA, "--json").stdout)


def damage(table: Table, key: bytes) -> bytes:
    """Alter the last byte of a row's seal; returns its value."""
    value = rows(Path("data"), table)[key]
    plant(Path("data"), table, key, value + b"seal", sealed=False)
    return value


# --- documents ---


def test_a_document_shows_winners_and_losers() -> None:
    found = inspect("document", "cities", "city 6")
    names = [(cell["value"], cell["visible"], cell["actor"]) for cell in found["cells"] if cell["path"] == "name"]
    assert names == [("other", False, format_actor(make_actor(1, 2))), ("ours", True, format_actor(OURS))]
    [visits] = [cell for cell in found["cells"] if cell["type"] == "counter"]
    assert (visits["explicit"], visits["value"], [total["amount"] for total in visits["totals"]]) == (True, 6, [2])
    assert visits["totals"][0]["origin"] == format_actor(THEIRS)
    with Store.open("data", read_only=True) as store:
        assert found["digest"] == store.document_digest("cities", "city 6").hex()
    said = run("inspect", "document", "cities", "city 6", *DATA).stdout
    assert "*  name    register            ours " in said
    assert "   name    register            other " in said


def test_row_bytes_are_key_value_and_seal() -> None:
    found = inspect("document", "cities", "city 6")
    key = bytes.fromhex(found["key"])
    assert found["bytes"] == len(key) + len(rows(Path("data"), Table.DOCUMENTS)[key]) + 4


def test_a_long_id_is_found() -> None:
    assert {cell["path"] for cell in inspect("document", "rivers", "r" * 600 + "1")["cells"]} == {"long", "text"}


def test_a_document_that_is_not_there() -> None:
    for names in (("cities", "nowhere"), ("nothing", "city 6")):
        assert error_of(run("inspect", "document", *names, *DATA, "--json", code=3))["code"] == "not-found"


def test_a_damaged_document_is_shown_all_the_same() -> None:
    key = bytes.fromhex(inspect("document", "cities", "city 6")["key"])
    damage(Table.DOCUMENTS, key)
    found = inspect("document", "cities", "city 6")
    assert "seal does not match" in found["wrong"]
    assert len(found["cells"]) == 4
    assert "Damaged: Value" in run("inspect", "document", "cities", "city 6", *DATA).stderr
    plant(Path("data"), Table.DOCUMENTS, key, b"no document")
    found = inspect("document", "cities", "city 6")
    assert "cannot be read" in found["wrong"]
    assert found["value"] == b"no document".hex()


# --- operations ---


def test_an_operation_is_spelled_out() -> None:
    found = inspect("operation", "1")
    assert (found["kind"], found["position"], found["origin"]) == ("record", 1, format_actor(OURS))
    assert found["changes"][0]["id"] == "city 0"
    assert found["changes"][0]["operations"][0] == {"operation": "write", "path": "name", "value": "city 0"}
    kinds = {
        made["operation"]
        for txn in range(1, 103)
        for change in inspect_operation(txn)["changes"]
        for made in change["operations"]
    }
    assert kinds == {"write", "restart", "increment", "remove"} & kinds
    assert "increment" in kinds
    observed = next(found["observed"] for txn in range(80, 103) if (found := inspect_operation(txn))["observed"])
    assert observed[0]["origin"] == format_actor(OURS)
    assert "\ncities city 0\n  write name " in run("inspect", "operation", "1", *DATA).stdout


def inspect_operation(txn: int) -> Any:
    from crdtstore.storage.inspect import inspect_operation

    return inspect_operation("data", txn)


def test_a_transaction_that_is_not_in_the_log() -> None:
    answer = run("inspect", "operation", "1000", *DATA, code=3)
    assert "reaches from 1 to 102" in answer.stderr


def test_a_damaged_entry_is_shown_all_the_same() -> None:
    damage(Table.LOG, (7).to_bytes(8, "big"))
    found = inspect("operation", "7")
    assert "seal does not match" in found["wrong"]
    assert found["changes"][0]["id"] == "city 6"


def test_advances_and_joins() -> None:
    from crdtstore.storage.inspect import spell_entry

    whole, scoped, late = make(1), make(2, ("a",)), make(3)
    put(whole, 1, "b", n=1)
    put(whole, 1, "a", n=1)
    sync(scoped, whole)
    whole.trim(whole.applied)
    sync(late, whole)
    kinds = [spell_entry(entry.record)["kind"] for store in (scoped, late) for entry in store.changes()]
    assert "advance" in kinds
    with late.storage.snapshot() as snapshot:
        entries = [value[16:] for _, value in snapshot.scan(Table.LOG)]
    assert [spell_entry(entry)["kind"] for entry in entries] == ["join"]


# --- actors ---


def test_origins_and_actors() -> None:
    found = inspect("actor")
    assert [(row["origin"], row["own"]) for row in found["origins"]] == [
        (format_actor(OURS), True),
        (format_actor(THEIRS), False),
    ]
    assert [row["replica"] for row in found["replicas"]] == [0, 1, 2]
    one = inspect("actor", make_actor(1, 2).hex())
    assert (one["origins"], [row["replica"] for row in one["replicas"]]) == ([], [1])
    assert "this store" in run("inspect", "actor", *DATA).stdout
    assert error_of(run("inspect", "actor", "00" * 16, *DATA, "--json", code=3))["code"] == "not-found"


def test_a_damaged_origin_is_said() -> None:
    damage(Table.ORIGINS, THEIRS)
    plant(Path("data"), Table.ORIGINS, OURS, b"no vector")
    found = inspect("actor")
    assert "seal does not match" in found["wrong"][0]
    assert "cannot be read" in found["origins"][0]["wrong"]
    assert "Damaged: " in run("inspect", "actor", *DATA).stderr


# --- tables ---


def test_every_table_can_be_named() -> None:
    assert TABLES == TABLE_NAMES
    for name in TABLES:
        found = inspect("table", name, "--limit", "1000")
        stored = rows(Path("data"), Table[name.upper()])
        assert [bytes.fromhex(row["key"]) for row in found] == list(stored)
        assert all(row["stands_for"] and not row["wrong"] for row in found)
        if name != "keys":
            assert [bytes.fromhex(row["value"]) for row in found] == list(stored.values())


def test_what_stands_behind_api_keys_is_not_printed() -> None:
    assert {row["value"] for row in inspect("table", "keys")} == {""}


def test_a_part_of_a_table() -> None:
    every = inspect("table", "log", "--limit", "1000")
    assert inspect("table", "log", "--from", every[5]["key"], "--limit", "2") == every[5:7]
    assert len(inspect("table", "log")) == 20
    assert "in hex" in run("inspect", "table", "log", "--from", "zz", *DATA, code=2).stderr


def test_damaged_rows_are_shown_between_the_others() -> None:
    before = inspect("table", "log", "--limit", "5")
    damage(Table.LOG, bytes.fromhex(before[2]["key"]))
    after = inspect("table", "log", "--limit", "5")
    assert [row["value"] for row in after] == [row["value"] for row in before]
    assert [bool(row["wrong"]) for row in after] == [False, False, True, False, False]
    assert "damaged" in run("inspect", "table", "log", *DATA).stdout


def test_damaged_names_leave_rows_readable() -> None:
    damage(Table.COLLECTIONS, bytes(4))
    assert len(inspect("table", "documents")) == 20
    plant(Path("data"), Table.META, b"origin", b"x", sealed=False)
    assert "own origin" in inspect("actor")["wrong"][-1]


def test_what_stands_in_a_write_ahead_log(tmp_path: Path) -> None:
    path = tmp_path / "logged"
    with Store.open(path) as store:
        store.write([Upsert("cities", {"name": "Basel"}, "basel")])
    where = ("--store", str(path))
    assert json.loads(run("inspect", "wal", *where, "--json").stdout) == {"state": "none"}
    with Store.open(path, durability="wal") as store:
        store.write([Upsert("cities", {"name": "Bern"}, "bern")])
        store.write([Upsert("cities", {"name": "Chur"}, "chur")])
        found = json.loads(run("inspect", "wal", *where, "--json").stdout)
        assert (found["state"], found["commits"], found["cancelled"]) == ("in use", 2, 0)
        assert found["bytes"] == (path / "wal.log").stat().st_size
        assert (found["rows"]["documents"], found["rows"]["log"]) == ({"put": 2, "removed": 0},) * 2
        left = tmp_path / "left"
        left.mkdir()
        for name in ("data.mdb", "wal.log"):
            shutil.copyfile(path / name, left / name)
    said = run("inspect", "wal", "--store", str(left)).stdout
    assert "left behind" in said
    assert "documents" in said
    assert "no store" in run("inspect", "wal", "--store", str(tmp_path / "none"), code=None).stderr
