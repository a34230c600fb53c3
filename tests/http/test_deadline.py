"""The deadline of an answer of lines: a reader that takes nothing holds no snapshot beyond it.

Rules: nothing waits for time to pass: a test rings the timer of the server. Each test has its control: a server
without the timer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET, socket
from threading import Event
from typing import Any, Self

import pytest

from crdtstore import Store, Upsert, limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.errors import StoreClosed, StoreError
from crdtstore.http.lines import Listing
from crdtstore.http.server import Application, application
from crdtstore.storage.interface import Snapshot
from crdtstore.storage.tables import Table
from crdtstore.timeseries.append import append_events
from tests.http.calling import as_raw, headers_for, serving, until_closed

DOCUMENTS = 150
DOCUMENT_BYTES = 100_000
SECONDS = 60.0
"""Until the timer rings, which a test does not wait for: it makes it ring."""

LISTINGS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/api/v1/collections/cars/documents", None),
    ("GET", f"/api/v1/timeseries/cars/events?timeout_millis={SECONDS * 1_000:.0f}", None),
    ("POST", "/api/v4/store/find", {"collection": "cars", "query": "true"}),
    ("POST", "/api/v4/store/execute", {"statement": "SELECT * FROM cars"}),
)
IDS = ("listing", "events", "find", "execute")


class Watched:
    """A storage that knows which of its snapshots are open."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.given: list[Snapshot] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)

    def snapshot(self) -> Snapshot:
        snapshot: Snapshot = self.storage.snapshot()
        self.given.append(snapshot)
        return snapshot

    @property
    def open(self) -> int:
        return sum(map(is_open, self.given))


def is_open(snapshot: Snapshot) -> bool:
    """Whether a snapshot can be read, which one that was closed cannot."""
    try:
        snapshot.count(Table.DOCUMENTS)
    except StoreClosed:
        return False
    except StoreError:
        # Another thread reads it right now.
        return True
    return True


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on disk with more than sockets keep on their way."""
    with Store.open(tmp_path / "data", durability="none") as store:
        for number in range(DOCUMENTS):
            store.write([Upsert("cars", {"text": "x" * DOCUMENT_BYTES}, id=number)])
            append_events(store, "cars", [{"_time": f"2021-01-01T00:00:00.{number:03}Z", "text": "x" * DOCUMENT_BYTES}])
        yield store


@pytest.fixture
def watched(store: Store, monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched(store.storage)
    monkeypatch.setattr(limits, "LISTING_SECONDS_MAX", SECONDS)
    monkeypatch.setattr(store, "storage", watched)
    monkeypatch.setattr(store.retained, "storage", watched)
    return watched


@contextmanager
def hanging(app: Application, listing: tuple[str, str, Any], key: str) -> Iterator[socket]:
    """A reader of a listing that has seen the head, and reads nothing more."""
    with serving(app) as address, socket() as connection:
        connection.settimeout(60)
        connection.setsockopt(SOL_SOCKET, SO_RCVBUF, 4_096)
        connection.connect(address)
        method, target, body = listing
        headers = {**headers_for(key), "connection": "close", "accept": "application/json-l"}
        connection.sendall(as_raw(method, target, headers, b"" if body is None else json.dumps(body).encode()))
        assert connection.recv(12) == b"HTTP/1.1 200"
        yield connection


class Ringing:
    """The `asyncio` of listings: what is to be called later can be called now, too."""

    def __init__(self) -> None:
        self.rings: list[Callable[[], object]] = []
        self.ensure_future = asyncio.ensure_future

    def get_running_loop(self) -> Self:
        return self

    def call_later(self, seconds: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        assert 0 < seconds <= SECONDS
        loop = asyncio.get_running_loop()
        self.rings.append(lambda: loop.call_soon_threadsafe(callback))
        return loop.call_later(seconds, callback)

    def ring(self) -> None:
        """Let the one timer of the one listing ring."""
        [ring] = self.rings
        ring()


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Ringing:
    ringing = Ringing()
    monkeypatch.setattr("crdtstore.http.lines.asyncio", ringing)
    return ringing


def told(monkeypatch: pytest.MonkeyPatch, name: str, after: Callable[[Listing], None]) -> Event:
    """An event that is set when this method of a listing has run, which then does what `after` does."""
    happened = Event()

    def run(listing: Listing) -> None:
        after(listing)
        happened.set()

    monkeypatch.setattr(Listing, name, run)
    return happened


@pytest.mark.parametrize("listing", LISTINGS, ids=IDS)
def test_a_reader_that_takes_nothing_holds_no_snapshot_beyond_the_deadline(
    store: Store,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    timer: Ringing,
    listing: tuple[str, str, Any],
) -> None:
    keyring = KeyRing(store)
    app, key = application(store, keyring), keyring.create("test", Permission.full())
    ended = told(monkeypatch, "end", Listing.end)
    with hanging(app, listing, key) as connection:
        assert watched.open == 1
        timer.ring()
        assert ended.wait(60)
        assert watched.open == 0, "the reader still hangs"
        last = until_closed(connection).removesuffix(b"\r\n0\r\n\r\n").splitlines()[-1]
        assert json.loads(last) == {"error": "Timeout"}


@pytest.mark.parametrize("listing", LISTINGS, ids=IDS)
def test_without_the_timer_it_would(
    store: Store,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    timer: Ringing,
    listing: tuple[str, str, Any],
) -> None:
    keyring = KeyRing(store)
    app, key = application(store, keyring), keyring.create("test", Permission.full())
    passed = told(monkeypatch, "expire", lambda _: None)
    with hanging(app, listing, key) as connection:
        timer.ring()
        assert passed.wait(60)
        assert watched.open == 1
        connection.close()
