"""`crdtstore accounts`: accounts are added, listed and revoked, in a directory or through a server."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.credential import authenticate, read_credential
from crdtstore.auth.permission import Permission
from crdtstore.http.server import application
from tests.cli.running import error_of, run
from tests.http.calling import serving

DATA = ("--store", "data")


@pytest.fixture(autouse=True)
def data() -> None:
    Store.open("data").close()


def permission_of(name: str, password: str) -> Permission:
    header = b"Basic " + b64encode(f"{name}:{password}".encode())
    with Store.open("data") as store:
        return asyncio.run(authenticate(KeyRing(store), read_credential(header))).permission


def test_an_account_is_added_listed_and_revoked() -> None:
    shown = run("accounts", "add", "alice", "--read", "--collections", "a", *DATA).stdout
    password = shown.partition("Password: ")[2].partition("\n")[0]
    assert "The account alice may read a. Keep the password" in shown
    assert permission_of("alice", password) == Permission(read=frozenset({"a"}))
    told = json.loads(run("accounts", "list", *DATA, "--json").stdout)
    assert [each["name"] for each in told] == ["alice"]
    assert run("accounts", "list", *DATA).stdout.splitlines()[1].endswith("may read a")
    assert run("accounts", "revoke", "alice", *DATA).stdout == "Revoked alice.\n"
    assert run("accounts", "list", *DATA).stdout == ""
    assert error_of(run("accounts", "revoke", "alice", *DATA, "--json", code=3))["code"] == "not-found"


def test_a_password_comes_from_a_file() -> None:
    Path("password").write_text("correct horse\n")
    Path("password").chmod(0o600)
    said = run("accounts", "add", "bob", "--read", "--write", "--password-file", "password", *DATA)
    assert said.stdout == "The account bob may read and write everything.\n"
    assert permission_of("bob", "correct horse") == Permission.full()
    Path("password").write_text("short\n")
    assert "horse" not in run("accounts", "add", "eve", "--read", "--password-file", "password", *DATA, code=3).stderr


def test_a_server_is_asked() -> None:
    with Store.open("data") as store:
        keyring = KeyRing(store)
        Path("root.key").write_text(keyring.create("root", Permission.full()))
        Path("root.key").chmod(0o600)
        with serving(application(store, keyring)) as (host, port):
            server = ("--url", f"http://{host}:{port}", "--key-file", "root.key")
            added = json.loads(run("accounts", "add", "alice", "--read", *server, "--json").stdout)
            assert len(added["password"]) == 32
            assert [each["name"] for each in json.loads(run("accounts", "list", *server, "--json").stdout)] == ["alice"]
            assert json.loads(run("accounts", "revoke", "alice", *server, "--json").stdout) == {"name": "alice"}
