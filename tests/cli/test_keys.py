"""`crdtstore keys`: keys are made, listed, revoked, and made known to several stores."""

from __future__ import annotations

import json
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
