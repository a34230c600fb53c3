"""A new store, its key, and what is said of a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.cli.output import size_of
from crdtstore.http.server import application
from tests.cli.running import error_of, lines, run, upsert
from tests.http.calling import serving


def test_a_new_store_has_one_key_that_may_do_everything() -> None:
    said = run("init", "--store", "data").stdout
    key = said.partition("API key: ")[2].partition("\n")[0]
    told = json.loads(run("init", "--store", "other", "--json").stdout)
    assert told["store"] == str(Path("other").resolve())
    for name, made in (("data", key), ("other", told["key"])):
        with Store.open(name, create=False) as store:
            assert KeyRing(store).verify(made) == Permission.full()
            assert len(store.scan_settings(b"api-key/")) == 1
    with Store.open("other") as store:
        assert (told["origin"], told["scope"]) == (store.origin.hex(), None)


def test_a_store_may_be_made_for_some_collections() -> None:
    assert "It holds a, b, and nothing else.\n" in run("init", "--store", "data", "--collections", "b,a,b").stdout
    assert json.loads(run("init", "--store", "other", "--collections", "c", "--json").stdout)["scope"] == ["c"]
    assert "holds               a, b\n" in run("stats", "--store", "data").stdout
    told = error_of(run("write", "--store", "data", "--json", given=lines(upsert(1)), code=3))
    assert (told["code"], told["data"]["collection"]) == ("outside-scope", "c")
    run("write", "--store", "other", given=lines(upsert(1)))


@pytest.mark.parametrize("names", ["", "a,", "a,,b"])
def test_collections_are_named(names: str) -> None:
    assert "between commas" in run("init", "--store", "data", "--collections", names, code=2).stderr
    assert not Path("data").exists()


def test_without_a_directory_the_usual_one_is_made() -> None:
    run("init")
    assert Path("crdtstore-data/data.mdb").exists()


def test_a_store_that_exists_is_left_as_it_is(store: tuple[str, ...]) -> None:
    assert error_of(run("init", *store, "--json", code=3))["data"] == {"store": str(Path("data").resolve())}
    with Store.open("data") as opened:
        assert opened.scan_settings(b"api-key/") == []


def test_a_directory_of_other_files_is_refused() -> None:
    Path("photos").mkdir()
    Path("photos/cat.jpg").touch()
    assert "cat.jpg" in run("init", "--store", "photos", code=1).stderr
    assert "none" in run("init", "--store", "none/data", code=1).stderr


def test_stats_are_lines_or_an_object(place: tuple[str, ...]) -> None:
    run("write", *place, given=lines(upsert(1, a=1, b=2), upsert(2, a=3)))
    said = run("stats", *place).stdout.splitlines()
    assert f"store               {place[1]}" in said
    assert "newest transaction  1" in said
    assert "holds               the whole store" in said
    assert "log begins at       1" in said
    assert "documents           2 in 1 collection" in said
    assert "  c                 2" in said
    told = json.loads(run("stats", "--json", *place).stdout)
    assert (told["applied"], told["documents"], told["collections"]) == (1, 2, {"c": 2})
    assert f"origin              {told['origin']}" in said


def test_a_server_tells_only_a_key_that_may_do_everything() -> None:
    with Store.in_memory() as served:
        keyring = KeyRing(served)
        reader = keyring.create("reader", Permission.of(frozenset({"read"})))
        with serving(application(served, keyring)) as (host, port):
            asked = ("stats", "--url", f"http://{host}:{port}", "--json", "--key")
            assert error_of(run(*asked, reader, code=3))["code"] == "forbidden"
            assert error_of(run(*asked, "000000000000_cs1_" + "0" * 33, code=3))["code"] == "unauthenticated"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB (1,024 bytes)"),
        (3 * 2**20 // 2, "1.5 MiB (1,572,864 bytes)"),
        (2**51, "2048.0 TiB (2,251,799,813,685,248 bytes)"),
    ],
)
def test_a_size_is_written_for_people(size: int, text: str) -> None:
    assert size_of(size) == text
