"""A store in memory, a key that may do everything, and the application over both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtstore import Store
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.http.server import Application, application
from tests.http import calling
from tests.http.openapi.conform import check_described


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys with the least scrypt there is; that the real one is used is tested with the keys."""
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)


@pytest.fixture(autouse=True)
def described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold every answer in this process against the document of the API."""
    monkeypatch.setattr(calling, "LISTENERS", [check_described])


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory() as store:
        yield store


@pytest.fixture
def keyring(store: Store) -> KeyRing:
    return KeyRing(store)


@pytest.fixture
def key(keyring: KeyRing) -> str:
    return keyring.create("test", Permission.full())


@pytest.fixture
def app(store: Store, keyring: KeyRing) -> Application:
    return application(store, keyring)
