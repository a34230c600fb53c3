"""An empty folder to work in, no settings from outside, and a store reached in both ways."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore import Store
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import application
from crdtstore.http.serving import garbage
from tests.http.calling import serving


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without settings of the machine, and with the least scrypt there is."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CRDTSTORE_") and name != "CRDTSTORE_CORE"]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)
    # This process serves nothing for good: its garbage is looked for as ever.
    monkeypatch.setattr(garbage, "settle_garbage", lambda: None)


@pytest.fixture
def store() -> tuple[str, ...]:
    """The arguments that name an empty store, embedded."""
    Store.open("data").close()
    return "--store", "data"


@pytest.fixture
def server() -> Iterator[tuple[str, ...]]:
    """The arguments that name an empty store behind a server, which waits for no transaction."""
    with Store.in_memory() as store:
        keyring = KeyRing(store)
        key = keyring.create("test", Permission.full())
        with serving(application(store, keyring, wait_seconds=0)) as (host, port):
            yield "--url", f"http://{host}:{port}", "--key", key


@pytest.fixture(params=["store", "server"])
def place(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The arguments that name an empty store, in both ways."""
    named: tuple[str, ...] = request.getfixturevalue(request.param)
    return named
