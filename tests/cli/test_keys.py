"""`crdtstore keys`: keys are made, listed, revoked, and made known to several stores."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from crdtstore import Store, errors
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.keys import KeyView
from crdtstore.auth.permission import VERBS, Permission
from crdtstore.auth.permission_form import form_of
from tests.cli.running import error_of, run

DATA = ("--store", "data")
READ = frozenset({"read"})


@pytest.fixture(autouse=True)
def data() -> None:
    Store.open("data").close()


def permission_of(key: str, store: str = "data") -> Permission:
    with Store.open(store) as opened:
        return KeyRing(opened).verify(key)


@pytest.mark.parametrize(
    ("flags", "permission", "said"),
    [
        (("--read",), Permission.of(READ), "may read everything"),
        (("--write",), Permission.of(frozenset({"write"})), "may write everything"),
        (("--read", "--write"), Permission.full(), "may read and write everything"),
        (("--read", "--collections", "b,a"), Permission.of(READ, frozenset({"a", "b"})), "may read a, b"),
    ],
)
def test_a_key_may_do_what_was_said(flags: tuple[str, ...], permission: Permission, said: str) -> None:
    told = json.loads(run("keys", "create", "gateway", *flags, *DATA, "--json").stdout)
    assert (told["name"], told["permissions"]) == ("gateway", msgspec.to_builtins(form_of(permission)))
    assert permission_of(told["key"]) == permission
    shown = run("keys", "create", "gateway", *flags, *DATA).stdout
    assert f"It {said}. Keep it" in shown
    assert permission_of(shown.partition("API key: ")[2].partition("\n")[0]) == permission
    listed = run("keys", "list", *DATA).stdout.splitlines()
    assert len(listed) == 3
    assert all(line.endswith(f"  gateway  {said}") for line in listed[1:])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--read, --write or both"),
        (("--read", "--collections", ""), "between commas"),
        (("--read", "--collections", "a,"), "between commas"),
    ],
)
def test_a_key_that_may_do_nothing_is_not_meant(flags: tuple[str, ...], said: str) -> None:
    assert said in run("keys", "create", "a", *flags, *DATA, code=2).stderr
    assert run("keys", "list", *DATA).stdout == ""


def test_a_key_is_revoked_by_its_beginning() -> None:
    keys = [json.loads(run("keys", "create", name, "--read", *DATA, "--json").stdout)["key"] for name in "ab"]
    [first, _] = json.loads(run("keys", "list", *DATA, "--json").stdout)
    assert first == msgspec.to_builtins(msgspec.convert(first, KeyView))
    assert run("keys", "revoke", keys[0][:11], *DATA).stdout == f"Revoked {keys[0][:11]}.\n"
    assert json.loads(run("keys", "revoke", keys[1], *DATA, "--json").stdout) == {"prefix": keys[1][:11]}
    for key in keys:
        with pytest.raises(errors.Unauthenticated):
            permission_of(key)
    assert error_of(run("keys", "revoke", keys[0][:11], *DATA, "--json", code=3))["code"] == "not-found"


def test_one_key_in_a_file_opens_several_stores() -> None:
    Store.open("other").close()
    create = ("keys", "create", "peer", "--read", "--write", "--file", "peer.key")
    assert run(*create, *DATA).stdout == "The key in peer.key may read and write everything.\n"
    assert Path("peer.key").stat().st_mode & 0o777 == 0o600
    told = json.loads(run(*create, "--store", "other", "--json").stdout)
    assert (told["file"], "key" in told) == ("peer.key", False)
    key = Path("peer.key").read_text(encoding="ascii").strip()
    assert permission_of(key) == permission_of(key, "other") == Permission.of(VERBS)
    assert "knows the key in peer.key already" in run(*create, *DATA, code=3).stderr


def test_a_key_that_cannot_be_kept_is_not_known() -> None:
    assert "No such file" in run("keys", "create", "a", "--read", "--file", "none/key", *DATA, code=1).stderr
    Path("bad").write_text("two words", encoding="ascii")
    assert "holds no API key" in run("keys", "create", "a", "--read", "--file", "bad", *DATA, code=3).stderr
    assert run("keys", "list", *DATA).stdout == ""


def test_a_store_that_is_open_elsewhere_gets_no_keys() -> None:
    with Store.open("data"):
        assert "stop it first" in run("keys", "create", "a", "--read", *DATA, code=1).stderr


def test_keys_are_managed_in_a_directory_and_through_a_server_alike(place: tuple[str, ...]) -> None:
    create = ("keys", "create", "report", "--read", "--collections", "c", "--description", "figures")
    made = json.loads(run(*create, "--expires", "2099-01-31T00:00:00Z", *place, "--json").stdout)
    assert (made["expiresAt"], made["description"]) == ("2099-01-31T00:00:00Z", "figures")
    explained = json.loads(run("keys", "explain", made["key"], *place, "--json").stdout)
    assert explained == {name: value for name, value in made.items() if name != "key"}
    assert explained in json.loads(run("keys", "list", *place, "--json").stdout)
    said = run("keys", "explain", made["prefix"], *place).stdout
    assert all(text in said for text in ("figures", "may read c", "2099-01-31T00:00:00Z", "never"))
    rotated = json.loads(run("keys", "rotate", made["prefix"], "--old-valid-seconds", "60", *place, "--json").stdout)
    assert (rotated["prefix"], rotated["key"] == made["key"]) == (made["prefix"], False)
    assert rotated["oldValidUntil"] is not None
    run("keys", "revoke", made["prefix"], *place)
    for command in (("explain",), ("rotate",), ("revoke",)):
        gone = run("keys", *command, made["prefix"], *place, "--json", code=3)
        assert error_of(gone)["code"] == "not-found"
    noted = json.loads(run("keys", "changes", *place, "--json").stdout)
    mine = [(each["what"], each["name"]) for each in noted if each["prefix"] == made["prefix"]]
    assert mine == [("created", "report"), ("rotated", "report"), ("revoked", "report")]
    assert run("keys", "changes", *place).stdout.count(made["prefix"]) == 3


def test_what_is_changed_through_a_server_holds_at_once(server: tuple[str, ...]) -> None:
    url = server[:2]
    made = json.loads(run("keys", "create", "reader", "--read", *server, "--json").stdout)
    run("find", "c", *url, "--key", made["key"])
    new = json.loads(
        run("keys", "rotate", made["prefix"], "--old-valid-seconds", "0", "--file", "new.key", *server, "--json").stdout
    )
    assert (new["file"], "key" in new) == ("new.key", False)
    assert error_of(run("find", "c", *url, "--key", made["key"], "--json", code=3))["code"] == "unauthenticated"
    run("find", "c", *url, "--key-file", "new.key")
    assert error_of(run("keys", "list", *url, "--key-file", "new.key", "--json", code=3))["code"] == "forbidden"
    run("keys", "revoke", made["prefix"], *server)
    assert error_of(run("find", "c", *url, "--key-file", "new.key", "--json", code=3))["code"] == "unauthenticated"


def test_a_permission_in_json_has_other_collections_to_write() -> None:
    asked = (
        '{"read": {"everything": true}, "write": {"everything": false, "queriesByCollection": {"c": ["true"]}}, '
        '"remoteQuery": false}'
    )
    made = json.loads(run("keys", "create", "a", "--permissions", asked, *DATA, "--json").stdout)
    assert permission_of(made["key"]) == Permission(read=None, write=frozenset({"c"}))
    assert "may read everything and write c" in run("keys", "list", *DATA).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--permissions", "{"), 2, "no permission"),
        (("--permissions", '{"delete": 1}'), 2, "unknown field"),
        (("--permissions", "{}", "--read"), 2, "leave --read"),
        (("--read", "--expires", "tomorrow"), 2, "--expires takes"),
        (("--read", "--expires", "2099-01-31T00:00:00"), 2, "--expires takes"),
        (("--read", "--expires", "2020-01-31T00:00:00Z"), 3, "expired already"),
        (
            (
                "--permissions",
                '{"read": {"everything": false, "queriesByCollection": {"c": ["a + 1 = 2"]}}, "qlVersion": 1}',
            ),
            3,
            "could not be enforced",
        ),
    ],
)
def test_what_cannot_be_kept_to_is_not_made(arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in run("keys", "create", "a", *arguments, *DATA, code=code).stderr
    assert run("keys", "list", *DATA).stdout == ""


@pytest.mark.parametrize(("text", "seconds"), [("90d", 7_776_000), ("12h", 43_200), ("30m", 1_800)])
def test_a_key_may_end_so_long_from_now(text: str, seconds: int) -> None:
    made = json.loads(run("keys", "create", "a", "--read", "--expires", text, *DATA, "--json").stdout)
    begin, end = (datetime.fromisoformat(made[name]) for name in ("createdAt", "expiresAt"))
    assert seconds - 600 < (end - begin).total_seconds() <= seconds + 1


def test_no_server_is_told_a_key(server: tuple[str, ...]) -> None:
    run("keys", "create", "peer", "--read", "--file", "peer.key", *DATA)
    assert (
        "no server is told a key"
        in run("keys", "create", "peer", "--read", "--file", "peer.key", *server, code=2).stderr
    )
    assert "is there already" in run("keys", "rotate", "0" * 11, "--file", "peer.key", *server, code=2).stderr


def test_a_new_key_that_cannot_be_written_is_shown() -> None:
    made = json.loads(run("keys", "create", "a", "--read", *DATA, "--json").stdout)
    shown = run("keys", "rotate", made["prefix"], "--file", "none/key", *DATA, code=1)
    key = shown.stdout.partition("API key: ")[2].partition("\n")[0]
    assert permission_of(key) == Permission.of(READ)
