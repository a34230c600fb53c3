"""`crdtstore backup`, `restore` and `compact`: what they say, and what is there then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.crdt.actor import format_actor
from crdtstore.http.server import application
from tests.cli.running import documents, error_of, run
from tests.http.calling import serving

DATA = ("--store", "data")


@pytest.fixture(autouse=True)
def two_documents() -> None:
    with Store.open("data") as store:
        for number in range(20):
            store.write([Upsert("c", {"n": number}, id=number % 2)])


def test_a_store_is_backed_up_and_restored() -> None:
    path = Path("backup").resolve()
    said = run("backup", "backup", *DATA).stdout
    assert said.startswith(f"Backed up 2 documents at transaction 20 to {path}: ")
    said = run("restore", "backup", "again").stdout
    with Store.open("data") as store, Store.open("again") as again:
        assert again.digest() == store.digest()
        assert said.splitlines() == [
            f"Restored 2 documents at transaction 20 to {Path('again').resolve()}.",
            f"Its origin is {format_actor(again.origin)}; before it was {format_actor(store.origin)}.",
        ]
        assert again.origin != store.origin


def test_programs_are_told_the_same() -> None:
    backup = json.loads(run("backup", "backup", *DATA, "--json").stdout)
    restored = json.loads(run("restore", "backup", "again", "--json").stdout)
    with Store.open("data", read_only=True) as store:
        assert (backup["origin"], backup["digest"]) == (store.origin.hex(), store.digest().hex())
    assert (backup["backup"], backup["txn"], backup["documents"]) == (str(Path("backup").resolve()), 20, 2)
    assert restored["before"] == backup["origin"] != restored["origin"]
    assert (restored["vector"], restored["txn"]) == (backup["vector"], 20)


def test_a_store_that_is_open_elsewhere_is_backed_up_and_not_compacted() -> None:
    with Store.open("data"):
        run("backup", "backup", *DATA)
        error = error_of(run("compact", *DATA, "--json", code=1))
    assert error["code"] == "store-locked"
    assert error["message"].endswith("If that is a server, stop it first.")


def test_a_backup_is_read_as_a_store_and_not_written_to() -> None:
    run("backup", "backup", *DATA)
    assert len(documents(run("find", "c", "--store", "backup"))) == 2
    error = error_of(run("trim", "--log-keep-days", "1", "--store", "backup", "--json", code=1))
    assert error["code"] == "not-restored"


def test_a_server_is_backed_up_for_a_key_that_may_do_everything() -> None:
    with Store.open("data") as store:
        keyring = KeyRing(store)
        key, lesser = (
            keyring.create("all", Permission.full()),
            keyring.create("some", Permission.of(frozenset({"read"}))),
        )
        with serving(application(store, keyring)) as (host, port):
            url = ("--url", f"http://{host}:{port}")
            said = run("backup", "backup", *url, "--key", key).stdout
            error = error_of(run("backup", "other", *url, "--key", lesser, "--json", code=3))
            again = error_of(run("backup", "backup", *url, "--key", key, "--json", code=3))
    assert said.startswith("Backed up 2 documents at transaction 20 to ")
    assert (error["code"], again["code"]) == ("forbidden", "caller")
    run("restore", "backup", "again")
    assert sorted(path.name for path in Path().iterdir()) == ["again", "backup", "data"]


def test_a_store_is_compacted() -> None:
    size = Path("data/data.mdb").stat().st_size
    told = json.loads(run("compact", *DATA, "--json").stdout)
    assert (told["bytes_before"], told["bytes_after"]) == (size, Path("data/data.mdb").stat().st_size)
    assert told["bytes_after"] < size
    assert run("compact", *DATA).stdout.startswith("Compacted data: ")


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (("backup", "data", *DATA), "caller", 3),
        (("backup", "backup", "--store", "nothing"), "not-a-store", 1),
        (("restore", "data", "again"), "not-a-store", 1),
        (("restore", "nothing", "again"), "not-a-store", 1),
        (("compact", "--store", "nothing"), "not-a-store", 1),
        (("backup", "there/backup", *DATA), "store", 1),
    ],
)
def test_what_is_refused_is_said(arguments: tuple[str, ...], code: str, exit_code: int) -> None:
    assert error_of(run(*arguments, "--json", code=exit_code))["code"] == code
    assert sorted(path.name for path in Path().iterdir()) == ["data"]
