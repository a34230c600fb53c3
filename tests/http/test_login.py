"""Logging in: what a provider says becomes a token that is taken until it ends; all else is refused as documented."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import socket
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission_form import PermissionForm, Rules
from crdtstore.errors import CallerError
from crdtstore.http.apps import Apps
from crdtstore.http.login.login import Login
from crdtstore.http.login.providers import Anonymous, Webhook, read_providers
from crdtstore.http.server import Application, application
from tests.auth.tokens import FULL, NOW, Clock, tokens_of
from tests.http.calling import Answered, call, headers_for, serving, upsert
from tests.http.test_changes import Lines, put, taken
from tests.http.webhook import Hook, webhook

LOGIN = "/_ditto/auth/login"
SECRET = "a secret of thirty-two characters"
TOKEN = "token-of-a-user-canary"
READ_C = {"everything": False, "queriesByCollection": {"c": ["true"]}}
NOTHING = {"everything": False, "queriesByCollection": {}}
GRANTED = {
    "authenticate": True,
    "userID": "alice",
    "expirationSeconds": 300,
    "permissions": {"read": READ_C, "write": NOTHING},
}
FORM = {"appId": "app", "provider": "hook", "token": TOKEN, "siteId": "1"}


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook(lambda _: GRANTED) as running:
        yield running


@pytest.fixture
def time() -> Clock:
    return Clock()


@pytest.fixture
def login(hook: Hook, tmp_path: Path, time: Clock) -> Iterator[Login]:
    tokens = tokens_of(tmp_path, time)
    guests = Anonymous(PermissionForm(read=Rules(False, {"c": ["true"]})), 60)
    made = Login({"hook": Webhook(hook.url, SECRET), "guests": guests}, tokens)
    made.often.most = 1_000
    yield made
    tokens.close()


@pytest.fixture
def app(store: Store, keyring: KeyRing, login: Login) -> Application:
    return application(store, keyring, tokens=login.tokens, login=login)


def log_in(app: Application, path: str = LOGIN, **fields: Any) -> Answered:
    """Send the form, with other fields; None leaves one out."""
    form = {name: value for name, value in {**FORM, **fields}.items() if value is not None}
    return call(app, "POST", path, urlencode(form).encode(), {"content-type": "application/x-www-form-urlencoded"})


def find(app: Application, token: str, collection: str = "c", path: str = "/api/v4/store/find") -> int:
    return call(app, "POST", path, {"collection": collection, "query": "true"}, headers_for(token)).status


def found(app: Application, token: str, collection: str) -> list[Any]:
    """The documents that the bearer of a token sees."""
    asked = {"collection": collection, "query": "true"}
    documents: list[Any] = call(app, "POST", "/api/v4/store/find", asked, headers_for(token)).json["documents"]
    return documents


def test_a_login_gives_a_token_that_is_taken_until_it_ends(
    store: Store, app: Application, hook: Hook, time: Clock
) -> None:
    hook.answer = lambda _: {**GRANTED, "clientInfo": {"a": 1}, "identityServiceMetadata": {"role": "x"}}
    answered = log_in(app)
    assert answered.status == 200
    said = answered.json
    names = "result userId identityB64 accessToken accessExpiry refreshToken refreshExpiry audiences clientInfo"
    assert list(said) == names.split()
    assert (said["result"], said["userId"], said["audiences"], said["clientInfo"]) == (
        "success",
        "alice",
        ["sync"],
        {"a": 1},
    )
    assert said["accessExpiry"] == "2023-11-14T22:18:20.0000000Z"
    assert (said["refreshToken"], said["refreshExpiry"]) == (None, None)
    assert json.loads(b64decode(said["identityB64"])) == {
        "appID": "app", "siteID": "1", "userID": "alice", "metadata": {"role": "x"}
    }  # fmt: skip
    token = said["accessToken"]
    store.write([Upsert(name, {}, id=1) for name in "cd"])
    assert [len(found(app, token, name)) for name in "cd"] == [1, 0]
    assert call(app, "POST", "/api/v4/store/write", upsert("a"), headers_for(token)).status == 403
    time.seconds = NOW + 299.9
    assert find(app, token) == 200
    time.seconds = NOW + 300
    assert find(app, token) == 401


def test_a_stream_ends_with_its_token(store: Store, app: Application, hook: Hook, time: Clock) -> None:
    hook.answer = lambda _: {**GRANTED, "permissions": FULL}
    token = log_in(app).json["accessToken"]
    with serving(app) as address, Lines(address, token) as stream:
        lines = iter(stream)
        for name in "ab":
            put(store, name, n=1)
            assert f'"{name}"'.encode() in taken(lines, 1)[0]
            # Long enough for the keys to be looked at, and the token with them.
            time.seconds += 2 * limits.TOKEN_KEYS_SECONDS
        time.seconds = NOW + 300
        put(store, "c", n=1)
        assert list(lines) == []


def test_a_webhook_is_asked_as_documented_and_signed_for(app: Application, hook: Hook) -> None:
    log_in(app)
    [(path, headers, body)] = hook.asked
    assert path == "/check?of=logins"
    assert json.loads(body) == {"appID": "app", "provider": "hook", "token": TOKEN}
    assert headers["content-type"] == "application/json"
    assert headers["x-crdtstore-signature"] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("name", ["authenticate", "authenticated"])
def test_both_spellings_are_understood(app: Application, hook: Hook, name: str) -> None:
    rest = {key: value for key, value in GRANTED.items() if key != "authenticate"}
    hook.answer = lambda _: {**rest, name: True}
    assert log_in(app).status == 200
    hook.answer = lambda _: {**rest, name: False, "userInfo": {"why": "left"}}
    refused = log_in(app)
    assert (refused.status, list(refused.json)) == (401, ["error"])
    assert refused.json["error"] == {
        "code": 401,
        "message": "The provider refused this login.",
        "data": {"code": "unauthenticated", "userInfo": {"why": "left"}},
    }


FAILURES: dict[str, Any] = {
    "no word": {},
    "both and different": {**GRANTED, "authenticated": False},
    "no user": {**GRANTED, "userID": None},
    "an empty user": {**GRANTED, "userID": ""},
    "a user of two lines": {**GRANTED, "userID": "a\nb"},
    "a number as user": {**GRANTED, "userID": 5},
    "no time": {**GRANTED, "expirationSeconds": None},
    "no more time": {**GRANTED, "expirationSeconds": 0},
    "less than none": {**GRANTED, "expirationSeconds": -1},
    "more than 32 bits": {**GRANTED, "expirationSeconds": 2**32},
    "half a second": {**GRANTED, "expirationSeconds": 0.5},
    "no permission": {**GRANTED, "permissions": None},
    "a permission that is none": {**GRANTED, "permissions": {"admin": True}},
    "a permission for what is no collection": {
        **GRANTED,
        "permissions": {"read": {"everything": False, "queriesByCollection": {"": ["true"]}}},
    },
    "a permission that fits into no token": {
        **GRANTED,
        "permissions": {
            "read": {"everything": False, "queriesByCollection": {f"c{n:050}": ["true"] for n in range(300)}}
        },
    },
    "text": b"yes",
    "twice": b'{"authenticate": false, "authenticate": true}',
    "nothing": b"",
    "too much": b" " * limits.WEBHOOK_ANSWER_BYTES_MAX + b'{"authenticate": false}',
    "deep": b"[" * 10_000,
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_a_webhook_says_wrongly_lets_nobody_in(
    app: Application, hook: Hook, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answer = lambda _: FAILURES[name]
    refused = log_in(app)
    assert (refused.status, refused.json["error"]["data"]) == (502, {"code": "provider-failed"})
    [record] = [each for each in caplog.records if each.name.startswith("crdtstore.http.login")]
    assert "'hook' of logins" in record.getMessage()
    assert TOKEN not in record.getMessage()


@pytest.mark.parametrize("status", [201, 204, 302, 307, 401, 403, 500])
def test_only_200_is_an_answer_and_no_redirection_is_followed(app: Application, hook: Hook, status: int) -> None:
    hook.status = status
    hook.headers = {"location": hook.url} if status in {302, 307} else {}
    assert log_in(app).status == 502
    assert len(hook.asked) == 1


def test_a_webhook_that_is_not_there_or_too_slow_is_a_failure(
    app: Application, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WEBHOOK_SECONDS_MAX", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        login.providers = {"hook": Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", SECRET)}
        assert log_in(app).status == 502
    assert log_in(app).status == 502


def test_so_many_are_asked_at_once(app: Application, hook: Hook, login: Login, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGINS_AT_ONCE_MAX", 0)
    refused = log_in(app)
    assert (refused.status, "retry-after" in refused.headers, hook.asked) == (429, True, [])
    assert log_in(app, provider="guests").status == 200, "who asks nobody is no burden"


def test_an_address_logs_in_so_often(app: Application, login: Login) -> None:
    login.often.most = 2
    assert [log_in(app, provider="guests").status for _ in range(3)] == [200, 200, 429]
    assert log_in(app, provider="unknown").status == 429


def test_guests_get_names_of_their_own(app: Application, time: Clock) -> None:
    said = [log_in(app, provider="guests").json for _ in range(2)]
    assert said[0]["userId"] != said[1]["userId"]
    assert all(re.fullmatch("anonymous-[0-9a-f]{24}", each["userId"]) for each in said)
    assert find(app, said[0]["accessToken"]) == 200
    time.seconds += 60
    assert find(app, said[0]["accessToken"]) == 401


@pytest.mark.parametrize("name", FORM)
@pytest.mark.parametrize("value", [None, ""])
def test_every_field_is_needed(app: Application, hook: Hook, name: str, value: str | None) -> None:
    changed: dict[str, Any] = {name: value}
    refused = log_in(app, **changed)
    assert (refused.status, refused.json["error"]["message"]) == (400, f"The form lacks {name}.")
    assert hook.asked == []


@pytest.mark.parametrize(
    "body", [b"", b"&&&", b"token=%ff", b"\xff", urlencode(FORM).encode() + b"&token=b", b"a=&" * 2_000]
)
def test_a_form_that_is_none_is_refused(app: Application, body: bytes) -> None:
    answered = call(app, "POST", LOGIN, body, {"content-type": "application/x-www-form-urlencoded"})
    assert (answered.status, list(answered.json)) == (400, ["error"])


def test_an_unknown_provider_is_named_to_nobody(store: Store, keyring: KeyRing, app: Application) -> None:
    bodies = {log_in(served, provider="nope").body for served in (app, application(store, keyring))}
    assert len(bodies) == 1
    assert log_in(app, provider="nope").status == 400


def test_other_methods_types_and_lengths_are_refused(app: Application) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answered = call(app, method, LOGIN)
        assert (answered.status, answered.headers["allow"]) == (405, "POST")
        assert answered.headers["content-type"] == "text/plain; charset=utf-8"
        assert (answered.body, answered.headers["content-length"]) == (b"HTTP method not allowed", "23")
    assert call(app, "POST", LOGIN, FORM, {"content-type": "application/json"}).status == 415
    assert log_in(app, token="x" * limits.LOGIN_BYTES_MAX).status == 413


def test_pages_of_every_site_may_log_in(app: Application) -> None:
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    answered = call(app, "OPTIONS", LOGIN, None, asked)
    assert answered.status in {200, 204}
    assert answered.headers["access-control-allow-origin"] == "*"


def test_a_token_is_for_one_app(store: Store, keyring: KeyRing, login: Login) -> None:
    app = application(store, keyring, app="one", tokens=login.tokens, login=login)
    token = log_in(app, f"/one{LOGIN}", appId="one").json["accessToken"]
    assert find(app, token, path="/one/api/v4/store/find") == 200
    other = application(store, keyring, app="two", tokens=login.tokens, login=login)
    assert find(other, token, path="/two/api/v4/store/find") == 401
    assert log_in(app, appId="two").status == 400


def test_logins_of_several_apps(tmp_path: Path, login: Login) -> None:
    @contextmanager
    def opened(directory: Path) -> Iterator[tuple[Store, KeyRing]]:
        with Store.in_memory() as store:
            yield store, KeyRing(store)

    with Apps({name: tmp_path / name for name in ("one", "two")}, opened) as apps:
        app = Application(apps, tokens=login.tokens, login=login)
        token = log_in(app, f"/one{LOGIN}", appId="one").json["accessToken"]
        assert find(app, token, path="/one/api/v4/store/find") == 200
        assert find(app, token, path="/two/api/v4/store/find") == 401
        assert log_in(app, f"/three{LOGIN}", appId="three").status == 401
        assert call(app, "GET", f"/one{LOGIN}").status == 405


def test_a_server_without_keys_takes_no_token(store: Store, keyring: KeyRing, app: Application) -> None:
    token = log_in(app).json["accessToken"]
    assert find(app, token) == 200
    assert find(application(store, keyring), token) == 401


def test_no_secret_stands_anywhere(tmp_path: Path, hook: Hook, login: Login, caplog: pytest.LogCaptureFixture) -> None:
    """Log in well and badly, use the token, and look for what is secret in the log, the store's files and answers."""
    caplog.set_level(logging.DEBUG)
    said = bytearray()
    with Store.open(tmp_path / "store") as store:
        keyring = KeyRing(store)
        served = application(store, keyring, tokens=login.tokens, login=login)
        answers: list[Any] = [GRANTED, {"authenticate": False}, {}, b"{" + TOKEN.encode(), {**GRANTED, "userID": 5}]
        token = log_in(served).json["accessToken"]
        for answer in answers:
            hook.answer = lambda _, answer=answer: answer  # type: ignore[misc]  # the default is no argument
            answered = log_in(served)
            said += answered.body if answered.status != 200 else b""
        for text in (token, token[:-3] + "AAA", token + "A"):
            for path in ("/api/v4/store/find", f"/{text}"):
                answered = call(
                    served, "POST", f"{path}?{text}", {"collection": "c", "query": "true"}, headers_for(text)
                )
                said += answered.body + repr(answered.headers).encode()
        held = repr([login.tokens.verified, login.tokens.keys.keys, login.providers, login.tokens.keys.signing])
    stored = b"".join(file.read_bytes() for file in (tmp_path / "store").rglob("*") if file.is_file())
    logged = "\n".join(logging.Formatter("%(message)s").format(record) for record in caplog.records)
    key = json.loads((tmp_path / "own.json").read_text())["keys"][0]["d"]
    for secret in (TOKEN, token, token.rpartition(".")[2], SECRET, key):
        for place in (bytes(said), stored, logged.encode(), held.encode()):
            assert secret.encode() not in place
    assert '"loggedIn":"alice"' in logged, "the search would find it there"


# --- the file of providers ---

GOOD = """
[providers.my-provider]
kind = "webhook"
url = "https://auth.example.org/check"
secret = "a secret of thirty-two characters"

[providers.guests]
kind = "anonymous"
expiration_seconds = 600
permissions = { read = { everything = false, queriesByCollection = { cities = ["true"] } } }
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "login.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_providers_are_read(tmp_path: Path) -> None:
    read = read_providers(written(tmp_path, GOOD), ())
    assert list(map(type, read.values())) == [Webhook, Anonymous]
    assert SECRET not in repr(read)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"webhook"', '"web"'),
        ("secret = ", "secrets = "),
        ("a secret of thirty-two characters", "short"),
        ("https://auth.example.org/check", "http://auth.example.org/check"),
        ("https://auth.example.org/check", "https://user:word@auth.example.org/check"),
        ("https://auth.example.org/check", "https://auth.example.org/a b"),
        ("https://auth.example.org/check", "https://"),
        ("https://auth.example.org/check", "file:///etc/passwd"),
        ("600", "0"),
        ("600", "4294967296"),
        ("cities", '""'),
        ("[providers.guests]", "[providers.my-provider]"),
        ("everything", "all"),
    ],
)
def test_a_provider_that_cannot_be_asked_is_refused(tmp_path: Path, before: str, after: str) -> None:
    with pytest.raises(CallerError) as refusal:
        read_providers(written(tmp_path, GOOD.replace(before, after)), ())
    assert SECRET not in refusal.value.message


def test_a_file_with_secrets_is_for_its_owner_and_outside_of_the_data(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="chmod 600"):
        read_providers(written(tmp_path, GOOD, 0o644), ())
    with pytest.raises(CallerError, match="lies in the data directory"):
        read_providers(written(tmp_path, GOOD), [tmp_path])
    guests = GOOD[GOOD.index("[providers.guests]") :]
    assert list(read_providers(written(tmp_path, guests, 0o644), [tmp_path])) == ["guests"]
