"""How many requests a second there may be, of a key and from an address; and what is said beyond it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Rates, application
from tests.http.calling import Answered, exchange, headers_for

FIND = "/api/v4/store/find"
BODY = {"collection": "c", "query": "true"}


def ask(app: Any, key: str, address: str, path: str = FIND) -> Answered:
    """Send a request from an address."""

    async def run() -> Answered:
        request = exchange("POST" if path == FIND else "GET", path, BODY, headers_for(key))
        request.scope["client"] = (address, 1)
        await app(request.scope, request.receive, request.send)
        return request.answered

    return asyncio.run(run())


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves."""
    seconds = [0.0]
    monkeypatch.setattr("crdtstore.http.server.monotonic", lambda: seconds[0])
    return seconds


def test_a_key_has_its_rate_wherever_it_comes_from(store: Store, keyring: KeyRing, key: str, now: list[float]) -> None:
    other = keyring.create("other", Permission.full())
    app = application(store, keyring, rates=Rates(key=0.5))
    assert [ask(app, key, f"192.0.2.{number}").status for number in range(6)] == [200] * 5 + [429]
    refused = ask(app, key, "192.0.2.1")
    assert (refused.code, refused.headers["retry-after"]) == ("overloaded", "2")
    assert ask(app, other, "192.0.2.1").status == 200
    now[0] = 2.0
    assert [ask(app, key, "192.0.2.1").status for _ in range(2)] == [200, 429]


def test_an_address_has_its_rate_whatever_it_asks(store: Store, keyring: KeyRing, key: str, now: list[float]) -> None:
    app = application(store, keyring, rates=Rates(address=0.2))
    assert ask(app, "wrong", "192.0.2.1").status == 401
    assert ask(app, key, "192.0.2.1").status == 200
    assert [ask(app, key, "192.0.2.1", path).status for path in (FIND, "/openapi.json", "/nowhere")] == [429] * 3
    assert ask(app, key, "192.0.2.2").status == 200


def test_without_a_rate_there_is_none(store: Store, keyring: KeyRing, key: str, now: list[float]) -> None:
    app = application(store, keyring)
    assert {ask(app, key, "192.0.2.1").status for _ in range(200)} == {200}
