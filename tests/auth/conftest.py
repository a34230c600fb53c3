"""Keys that are made quickly, over a store in memory; and clocks that a test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from crdtstore import Store
from crdtstore.auth import api_key
from crdtstore.auth.api_key import KeyRing


class Clock:
    """A monotonic clock in seconds, and the wall clock beside it; both move together."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds

    def wall(self) -> int:
        """Milliseconds since 1970."""
        return 1_700_000_000_000 + int(self.seconds * 1_000)


class Counted:
    """`derive`, counting its calls, and those at the same time; `during` runs within each."""

    def __init__(self, derive: Callable[..., bytes]) -> None:
        self.derive = derive
        self.calls = self.now = self.most = 0
        self.during: Callable[[], object] = lambda: None
        self.lock = threading.Lock()

    def __call__(self, suffix: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        with self.lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self.during()
            return self.derive(suffix, salt, n, r, p)
        finally:
            with self.lock:
                self.now -= 1


@pytest.fixture(autouse=True)
def scrypt(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The least scrypt there is, counted."""
    counted = Counted(api_key.derive)
    monkeypatch.setattr(api_key, "SCRYPT_N", 2)
    monkeypatch.setattr(api_key, "derive", counted)
    return counted


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.in_memory() as store:
        yield store


@pytest.fixture
def keyring(store: Store, clock: Clock) -> KeyRing:
    return KeyRing(store, monotonic=clock, clock=clock.wall)
