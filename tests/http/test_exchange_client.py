"""Stores that exchange over a real connection: what it costs, what interrupts it, what the network does.

Rules: servers listen on a free port of the loopback, and who starts one stops it. Nothing sleeps.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from crdtstore import Store, Upsert, errors
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import VERBS, Permission
from crdtstore.client import exchange as client_module
from crdtstore.client.exchange import PeerClient
from crdtstore.http.server import Application, application
from crdtstore.replication.exchange import Options, Report
from crdtstore.replication.peers import release
from crdtstore.replication.remote import sync
from crdtstore.storage.peers import Peer, read_peers
from tests.http.calling import serving

SCOPED = ("a", "b")


@pytest.fixture
def url(app: Application) -> Iterator[str]:
    with serving(app) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture
def peer(url: str, key: str) -> Iterator[PeerClient]:
    with PeerClient(url, key) as client:
        yield client


@pytest.fixture
def here() -> Iterator[Store]:
    """The store that starts; `store` is the one behind the server."""
    with Store.in_memory() as store:
        yield store


def fill(store: Store, first: int, count: int, collection: str = "c") -> None:
    for number in range(first, first + count):
        store.write([Upsert(collection, {"n": number, "text": f"text {number}"}, id=number)])


# --- what moves ---


def test_each_gets_what_the_other_has(store: Store, here: Store, peer: PeerClient) -> None:
    fill(store, 0, 30)
    fill(here, 20, 30)
    report = sync(here, peer.send)
    assert (report.pulled, report.pushed, report.joined, report.equal) == (30, 30, 0, False)
    assert report.peer == store.origin
    assert here.digest() == store.digest()
    assert here.stats().documents == 50


def test_equal_stores_cost_one_request_of_less_than_100_bytes(store: Store, here: Store, peer: PeerClient) -> None:
    fill(store, 0, 100)
    sync(here, peer.send)
    report = sync(here, peer.send)
    assert (report.equal, report.requests) == (True, 1)
    assert report.sent + report.received < 100


@pytest.mark.parametrize(
    ("options", "moved"), [(Options(push=False), (10, 0)), (Options(pull=False), (0, 5)), (Options(), (10, 5))]
)
def test_one_direction_is_enough_if_it_is_said_so(
    store: Store, here: Store, peer: PeerClient, options: Options, moved: tuple[int, int]
) -> None:
    fill(store, 0, 10)
    fill(here, 10, 5)
    report = sync(here, peer.send, options)
    assert (report.pulled, report.pushed) == moved


def test_one_connection_is_used_for_all_of_it(store: Store, here: Store, peer: PeerClient) -> None:
    fill(store, 0, 3)
    fill(here, 3, 3)
    assert sync(here, peer.send).requests > 2
    kept = peer.connection.http.sock
    sync(here, peer.send)
    assert peer.connection.http.sock is kept


def test_a_log_that_no_longer_reaches_back_is_made_up_for_by_a_snapshot(
    store: Store, here: Store, peer: PeerClient
) -> None:
    fill(store, 0, 200)
    store.trim(150)
    fill(here, 190, 20)
    report = sync(here, peer.send)
    assert report.joined >= 190
    assert here.digest() == store.digest()
    assert sync(here, peer.send).equal


def test_a_narrow_store_keeps_up_with_a_key_for_its_collections(store: Store, keyring: KeyRing, url: str) -> None:
    fill(store, 0, 5, "a")
    fill(store, 0, 5, "secret")
    key = keyring.create("narrow", Permission.of(VERBS, frozenset(SCOPED)))
    with Store.in_memory(scope=SCOPED) as narrow, PeerClient(url, key) as peer:
        fill(narrow, 10, 5, "b")
        sync(narrow, peer.send)
        assert narrow.stats().collections == {"a": 5, "b": 5}
        assert store.stats().collections == {"a": 5, "b": 5, "secret": 5}
        assert sync(narrow, peer.send).equal


# --- who is let in ---


@pytest.mark.parametrize(
    ("permission", "scope"),
    [
        (Permission.of(frozenset({"write"})), None),
        (Permission.of(VERBS, frozenset(SCOPED)), None),
        (Permission.of(VERBS, frozenset({"a"})), SCOPED),
    ],
)
def test_a_key_for_less_than_the_store_holds_is_refused(
    keyring: KeyRing, url: str, permission: Permission, scope: tuple[str, ...] | None
) -> None:
    with Store.in_memory(scope=scope) as here, PeerClient(url, keyring.create("lesser", permission)) as peer:
        with pytest.raises(errors.Forbidden):
            sync(here, peer.send)
        assert list_peers(here) == []


def test_a_key_that_may_only_read_gives_nothing(store: Store, here: Store, keyring: KeyRing, url: str) -> None:
    fill(store, 0, 5)
    fill(here, 5, 5)
    with PeerClient(url, keyring.create("reader", Permission.of(frozenset({"read"})))) as peer:
        with pytest.raises(errors.Forbidden):
            sync(here, peer.send)
        assert here.stats().documents == 10, "what was pulled before stays"
        assert store.stats().documents == 5
        sync(here, peer.send, Options(push=False))


@pytest.mark.parametrize("key", ["wrong", "0" * 12 + "_cs1_" + "0" * 33])
def test_a_wrong_key_is_refused(here: Store, url: str, key: str) -> None:
    with PeerClient(url, key) as peer, pytest.raises(errors.Unauthenticated):
        sync(here, peer.send)


# --- what interrupts it ---


class Cut(Exception):
    """Whoever carried the messages is gone."""


def cut_after(peer: PeerClient, requests: int, *, answered: bool) -> Callable[[bytes], bytes]:
    """Carry so many messages; of the next one the answer may be lost, or the message itself."""
    left = requests

    def send(request: bytes) -> bytes:
        nonlocal left
        left -= 1
        if left < 0 and not answered:
            raise Cut
        answer = peer.send(request)
        if left < 0:
            raise Cut
        return answer

    return send


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("trimmed", [0, 40])
def test_whatever_is_cut_off_is_gone_on_with(
    store: Store, here: Store, peer: PeerClient, monkeypatch: pytest.MonkeyPatch, *, answered: bool, trimmed: int
) -> None:
    """The exchange is cut at its first message, the next one at its second, and so on: each does what is left."""
    for module in ("crdtstore.replication.exchange", "crdtstore.replication.answer", "crdtstore.replication.missing"):
        monkeypatch.setattr(f"{module}.FRAME_BYTES_TARGET", 400)
    monkeypatch.setattr("crdtstore.replication.pins.PINS_MAX", 1_000)  # a join that is cut off keeps its pin a while
    fill(store, 0, 60)
    fill(here, 50, 30)
    store.trim(trimmed)
    cuts = 0
    while True:
        try:
            sync(here, cut_after(peer, cuts, answered=answered))
        except Cut:
            cuts += 1
            assert cuts < 500
        else:
            break
    assert cuts > 2
    assert here.digest() == store.digest()
    assert here.stats().documents == 80


def test_a_restart_of_the_server_is_survived_between_two_exchanges(store: Store, keyring: KeyRing, key: str) -> None:
    with Store.in_memory() as here:
        fill(store, 0, 5)
        with serving(application(store, keyring)) as (host, port):
            client = PeerClient(f"http://{host}:{port}", key)
            sync(here, client.send)
        with serving(application(store, keyring)) as (host, port):
            client.connection.http.port = port
            assert sync(here, client.send).equal
            client.close()


# --- two histories ---


def diverge(store: Store, here: Store) -> None:
    """Let both write under one origin: as a copy of a directory does that took no new epoch."""
    with Store.in_memory(origin=store.origin) as copy:
        fill(copy, 100, 3)
        here.apply(entry.record for entry in copy.changes())
    fill(store, 0, 3)


def test_two_histories_are_quarantined_on_both_sides_until_they_are_released(
    store: Store, here: Store, peer: PeerClient
) -> None:
    diverge(store, here)
    with pytest.raises(errors.Divergence):
        sync(here, peer.send)
    before = store.digest(), here.digest()
    for _ in range(2):
        with pytest.raises(errors.Quarantined):
            sync(here, peer.send)
    assert [peer_.divergence != "" for peer_ in list_peers(store)] == [True]
    release(store, here.origin)
    for known in list_peers(here):
        release(here, known.origin)
    with pytest.raises(errors.Divergence):
        sync(here, peer.send)
    assert (store.digest(), here.digest()) == before


def test_a_store_made_anew_needs_no_release(store: Store, here: Store, peer: PeerClient) -> None:
    diverge(store, here)
    with pytest.raises(errors.Divergence):
        sync(here, peer.send)
    with Store.in_memory() as anew:
        sync(anew, peer.send)
        assert anew.digest() == store.digest()


def list_peers(store: Store) -> list[Peer]:
    with store.storage.snapshot() as snapshot:
        return list(read_peers(snapshot))


# --- what the network does ---


def test_nobody_there_is_a_peer_that_was_not_reached(here: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with PeerClient(f"http://127.0.0.1:{port}", "key") as peer, pytest.raises(errors.PeerUnreachable) as refused:
        sync(here, peer.send)
    assert refused.value.data == {"peer": f"http://127.0.0.1:{port}"}
    assert refused.value.retryable


@contextmanager
def scripted(reply: bytes) -> Iterator[str]:
    """Take one connection, answer its first request with some bytes, and close it."""

    def run() -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(60)
            connection.recv(65_536)
            connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


MESSAGE = b"HTTP/1.1 200 OK\r\nContent-Type: application/msgpack\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"no HTTP\r\n\r\n",
        MESSAGE + b"Content-Length: 9\r\n\r\nshort",
        MESSAGE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
        MESSAGE + b"Content-Length: 99999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=repr,
)
def test_what_is_no_answer_of_a_store_is_one_that_was_not_reached(here: Store, reply: bytes) -> None:
    with scripted(reply) as url, PeerClient(url, "key") as peer, pytest.raises(errors.PeerUnreachable):
        sync(here, peer.send)


@pytest.mark.parametrize(
    "form", [b"Transfer-Encoding: chunked\r\n\r\n20\r\n%b\r\n0\r\n\r\n", b"Connection: close\r\n\r\n%b"]
)
def test_an_answer_that_is_not_measured_is_bounded(here: Store, monkeypatch: pytest.MonkeyPatch, form: bytes) -> None:
    monkeypatch.setattr(client_module, "MESSAGE_BYTES_MAX", 31)
    refused = pytest.raises(errors.PeerUnreachable, match="longer than the 31 bytes")
    with scripted(MESSAGE + form % (b"a" * 32)) as url, PeerClient(url, "key") as peer, refused:
        sync(here, peer.send)


@pytest.mark.parametrize("reply", [b"", b"\xc1", b"\x90", b"\x92\x15\xc0", b"\x92\x19\x00"])
def test_what_a_store_would_not_say_is_refused(here: Store, reply: bytes) -> None:
    length = b"Content-Length: %d\r\n\r\n%b" % (len(reply), reply)
    with scripted(MESSAGE + length) as url, PeerClient(url, "key") as peer, pytest.raises(errors.MalformedMessage):
        sync(here, peer.send)


def test_a_silent_server_is_given_up(here: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with PeerClient(url, "key", seconds=0.05) as peer, pytest.raises(errors.PeerUnreachable):
            sync(here, peer.send)


def test_what_is_on_its_way_can_be_broken_off(here: Store) -> None:
    asked = threading.Event()
    failed: list[Exception] = []

    def run(peer: PeerClient) -> None:
        try:
            sync(here, peer.send)
        except errors.PeerUnreachable as error:
            failed.append(error)

    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = PeerClient(f"http://127.0.0.1:{server.getsockname()[1]}", "key", seconds=600)
        thread = threading.Thread(target=run, args=(peer,))
        thread.start()
        connection, _ = server.accept()
        with connection:
            asked.set() if connection.recv(65_536) else None
            assert asked.is_set()
            peer.abort()
            thread.join(60)
        assert len(failed) == 1
        with pytest.raises(errors.PeerUnreachable):
            peer.send(b"")
    peer.close()


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://a", "http://", "http://a?b", "http://a#b"])
def test_a_url_is_one_of_http(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        PeerClient(url, "key")


def test_a_path_of_the_url_stands_before_the_route() -> None:
    received: list[bytes] = []

    def run() -> None:
        connection, _ = server.accept()
        with connection:
            received.append(connection.recv(65_536))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/stores/1/"
        with PeerClient(url, "key") as peer, pytest.raises(errors.PeerUnreachable):
            peer.send(b"x")
        thread.join()
    assert received[0].startswith(b"POST /stores/1/api/replication/v1 HTTP/1.1\r\n")


def test_a_report_is_a_value(store: Store, here: Store, peer: PeerClient) -> None:
    assert isinstance(sync(here, peer.send), Report)
