"""Which store or server a command works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtstore import Store
from tests.cli.running import documents, error_of, lines, run, upsert


@pytest.fixture
def two_stores() -> None:
    for name in ("one", "two"):
        Store.open(name).close()
        run("write", "--store", name, given=lines(upsert(name)))


def test_a_flag_is_stronger_than_the_environment_and_that_than_the_file(
    two_stores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("crdtstore.toml").write_text('store = "one"\n', encoding="utf-8")
    assert documents(run("find", "c")) == [{"_id": "one"}]
    monkeypatch.setenv("CRDTSTORE_STORE", "two")
    assert documents(run("find", "c")) == [{"_id": "two"}]
    assert documents(run("find", "c", "--store", "one")) == [{"_id": "one"}]


def test_a_url_in_a_stronger_place_hides_a_store(
    two_stores: None, server: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("write", *server, given=lines(upsert("served")))
    monkeypatch.setenv("CRDTSTORE_STORE", "one")
    assert documents(run("find", "c", *server)) == [{"_id": "served"}]
    monkeypatch.setenv("CRDTSTORE_URL", server[1])
    assert "--store and --url" in run("find", "c", code=2).stderr
    assert documents(run("find", "c", "--store", "two")) == [{"_id": "two"}]


def test_the_usual_directory_is_taken_if_it_exists() -> None:
    message = run("find", "c", code=2).stderr
    assert "--store DIR" in message
    assert "--url URL" in message
    Store.open("crdtstore-data").close()
    assert run("find", "c").stdout == ""


def test_a_directory_without_a_store_is_not_made_one() -> None:
    assert "holds no store" in run("write", "--store", "none", given=lines(upsert(1)), code=1).stderr
    assert not Path("none").exists()


def test_a_key_may_stand_in_a_file_or_a_variable(server: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    _, url, _, key = server
    Path("key").write_text(f"{key}\n", encoding="ascii")
    assert run("find", "c", "--url", url, "--key-file", "key").stdout == ""
    monkeypatch.setenv("CRDTSTORE_KEY", key)
    assert run("find", "c", "--url", url).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--key", "a b"], 3, "no API key"),
        (["--key", "x" * 500], 3, "no API key"),
        (["--key-file", "missing"], 1, "missing: No such file"),
        (["--key-file", "folder"], 1, "folder: Is a directory"),
        (["--key-file", "empty"], 3, "The file empty holds no API key"),
        (["--key", "k", "--key-file", "empty"], 2, "--key and --key-file"),
        ([], 2, "--key-file FILE"),
        (["--key", "000000000000_cs1_" + "0" * 33], 3, "not known"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused(
    server: tuple[str, ...], arguments: list[str], code: int, words: str
) -> None:
    Path("empty").touch()
    Path("folder").mkdir()
    assert words in run("find", "c", "--url", server[1], *arguments, code=code).stderr


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", "http://localhost:port"])
def test_a_url_is_one_of_http(url: str) -> None:
    assert url.rpartition(":")[2] in run("find", "c", "--url", url, "--key", "k", code=2).stderr


def test_a_server_that_is_not_there_is_named() -> None:
    error = error_of(run("find", "c", "--url", "http://127.0.0.1:1", "--key", "k", "--json", code=1))
    assert error["code"] == "system"
    assert "http://127.0.0.1:1 was not reached" in error["message"]


def test_something_else_at_the_url_is_no_traceback(server: tuple[str, ...]) -> None:
    _, url, *key = server
    assert "no such route" in run("find", "c", "--url", f"{url}/elsewhere", *key, code=3).stderr


def test_what_others_may_get_at_is_told_with_the_command_that_closes_it(server: tuple[str, ...]) -> None:
    Store.open("data").close()
    Path("key").write_text(server[-1], encoding="ascii")
    for path, arguments, mode, closed in (
        ("data", ("--store", "data"), 0o755, "700"),
        ("key", (*server[:2], "--key-file", "key"), 0o640, "600"),
    ):
        Path(path).chmod(mode)
        told = f"Warning: others than its owner may get at {path}, mode {mode:04o}: chmod {closed} {path}\n"
        assert run("find", "c", *arguments).stderr == told
        assert run("find", "c", *arguments, "--json").stderr == ""
        Path(path).chmod(int(closed, 8))
        assert run("find", "c", *arguments).stderr == ""
