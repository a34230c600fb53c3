"""`crdtstore tokens`, and what `crdtstore serve` makes of the files that settings name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtstore.cli.serve_tokens import LetIn, let_in
from crdtstore.settings import Settings
from tests.cli.running import run
from tests.cli.test_serve import served

PROVIDERS = """
[providers.guests]
kind = "anonymous"
expiration_seconds = 60
permissions = { read = { everything = true, queriesByCollection = {} } }
"""


@pytest.fixture
def key() -> str:
    run("tokens", "make-key", "key.json")
    return "key.json"


def test_a_key_is_made_once_for_its_owner_and_not_printed(key: str) -> None:
    [made] = json.loads(Path(key).read_text())["keys"]
    assert Path(key).stat().st_mode & 0o777 == 0o600
    told = json.loads(run("tokens", "make-key", "other.json", "--json").stdout)
    [other] = json.loads(Path("other.json").read_text())["keys"]
    assert (told, other["kid"] != made["kid"]) == ({"file": "other.json", "kid": other["kid"]}, True)
    assert made["d"] not in run("tokens", "make-key", key, code=1).stderr
    assert json.loads(Path(key).read_text())["keys"] == [made]
    shown = run("tokens", "show-key", key).stdout
    assert json.loads(shown)["keys"] == [{name: value for name, value in made.items() if name != "d"}]


def test_without_settings_nobody_else_is_let_in() -> None:
    assert let_in(Settings(), []) == LetIn()


def test_a_login_needs_a_key_to_sign_with() -> None:
    Path("login.toml").write_text(PROVIDERS)
    said = run("serve", "--store", "data", "--login-file", "login.toml", "--listen", "127.0.0.1:0", code=2).stderr
    assert "--token-signing-key-file" in said


def test_a_file_that_cannot_be_used_keeps_the_server_from_starting(key: str) -> None:
    Path(key).chmod(0o640)
    said = run("serve", "--store", "data", "--token-signing-key-file", key, "--listen", "127.0.0.1:0", code=3).stderr
    assert "chmod 600" in said
    run("init", "--store", "data")
    Path(key).rename("data/key.json")
    Path("data/key.json").chmod(0o600)
    said = run(
        "serve", "--store", "data", "--token-keys-file", "data/key.json", "--listen", "127.0.0.1:0", code=3
    ).stderr
    assert "lies in the data directory" in said


def test_a_server_lets_in_who_logs_in(key: str) -> None:
    from http.client import HTTPConnection
    from urllib.parse import urlencode, urlsplit

    Path("login.toml").write_text(PROVIDERS)
    settings = ("--token-signing-key-file", key, "--token-seconds-max", "30", "--login-file", "login.toml")
    with served("--store", "data", *settings) as server:
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        form = urlencode({"appId": "any", "provider": "guests", "token": "x", "siteId": "1"})
        connection.request("POST", "/_ditto/auth/login", form, {"content-type": "application/x-www-form-urlencoded"})
        token = json.loads(connection.getresponse().read())["accessToken"]
        body = json.dumps({"collection": "c", "query": "true"})
        headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
        connection.request("POST", "/api/v4/store/find", body, headers)
        assert connection.getresponse().status == 200
        connection.close()
        assert server.stop() == 0
