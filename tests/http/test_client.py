"""The blocking client against a real server: the store's names, values and errors, the network's moods."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from crdtstore import Document, Found, Removed, Store, Updated, Upserted, Written, errors, make_actor
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.client.blocking import Client
from crdtstore.http.server import Application, application
from crdtstore.statement.answer import Executed
from tests.http.calling import serving

ACTOR = make_actor(5, 0)
UPSERT = {"method": "upsert", "collection": "c", "id": "a", "value": {"n": 1}}


@pytest.fixture
def client(app: Application, key: str) -> Iterator[Client]:
    with serving(app) as (host, port), Client(f"http://{host}:{port}", key, ACTOR) as client:
        yield client


def test_it_writes_finds_and_gets_as_a_store_does(client: Client, store: Store) -> None:
    commands: list[dict[str, Any]] = [
        UPSERT,
        {"method": "update", "collection": "c", "query": "true", "commands": []},
        {"method": "remove", "collection": "d", "query": "true"},
    ]
    written = client.write(commands)
    assert written == Written(1, (Upserted("a"), Updated(1, 0), Removed(0)))
    assert client.find("c", "n == $args.n", args={"n": 1}) == store.find("c") == Found(1, (Document("a", b'{"n":1}'),))
    assert client.find("c", limit=0).documents == ()
    assert client.find("c", offset=1).documents == ()
    document = client.get("c", "a", after=1)
    assert document == store.get("c", "a")
    assert document is not None
    assert document.fields == {"n": 1}
    assert client.get("c", "b") is None


def test_it_runs_statements_as_a_store_does(client: Client, store: Store) -> None:
    text = "INSERT INTO c DOCUMENTS ({'_id': 1, 'a': null}), (:d)"
    written = client.execute(text, {"d": {"_id": "x", "at": [1.5]}})
    assert written == Executed(1, (), (1, "x"), (), is_mutation=True)
    assert client.execute("SELECT * FROM c", after=1) == store.execute("SELECT * FROM c")
    assert client.execute("SELECT * FROM c", at=1).items == [{"_id": 1, "a": None}, {"_id": "x", "at": [1.5]}]
    together = client.execute_together([f"INSERT INTO c DOCUMENTS ({{'_id': {number}}})" for number in (2, 3)])
    assert [(answer.txn, answer.mutated) for answer in together] == [(2, (2,)), (2, (3,))]
    assert client.execute("SELECT * FROM c WHERE _id = :id", {"id": 3}).rows_json == (b'{"_id":3}',)


def test_it_raises_the_errors_of_statements(client: Client, store: Store) -> None:
    with pytest.raises(errors.QuerySyntaxError) as syntax:
        client.execute("SELECT * FORM c")
    with pytest.raises(errors.QuerySyntaxError) as local:
        store.execute("SELECT * FORM c")
    assert str(syntax.value) == str(local.value)
    assert syntax.value.data["column"] == local.value.data["column"]
    insert = "INSERT INTO c DOCUMENTS ({'_id': 1})"
    with pytest.raises(errors.CallerError) as conflict:
        client.execute_together([insert, insert])
    with pytest.raises(type(conflict.value)):
        store.execute_together([insert, insert])
    assert client.execute("SELECT * FROM c").txn == 0


def test_it_says_what_the_store_holds(client: Client, store: Store) -> None:
    client.write([UPSERT])
    kept = client.connection.http.sock
    stats = client.stats()
    assert stats == store.stats()
    assert (stats.applied, stats.collections) == (1, {"c": 1})
    assert client.connection.http.sock is kept


def test_a_key_that_may_only_read_is_not_told(client: Client, keyring: KeyRing) -> None:
    reader = keyring.create("reader", Permission.of(frozenset({"read"})))
    client.headers["Authorization"] = f"Bearer {reader}"
    with pytest.raises(errors.Forbidden) as refused:
        client.stats()
    assert refused.value.data == {"missing": ["write"]}


def test_its_writes_are_those_of_its_actor(client: Client, store: Store) -> None:
    client.write([UPSERT])
    [entry] = store.changes()
    assert ACTOR in entry.record


def test_it_raises_the_errors_of_the_store(client: Client, store: Store) -> None:
    with pytest.raises(errors.QuerySyntaxError) as syntax:
        client.find("c", "a ==")
    with pytest.raises(errors.QuerySyntaxError) as local:
        store.find("c", "a ==")
    assert str(syntax.value) == str(local.value)
    with pytest.raises(errors.InvalidId):
        client.get("c", None)
    with pytest.raises(errors.VersionNotAvailable) as late:
        client.write([UPSERT], after=7)
    assert (late.value.asked, late.value.applied) == (7, 0)
    with pytest.raises(errors.LimitExceeded) as large:
        client.find("c", limit=10_001)
    assert large.value.data["limit"] == "FIND_LIMIT_MAX"


def test_a_read_waits_for_its_transaction(client: Client, store: Store, key: str) -> None:
    waits = threading.Event()
    notify = store.notify

    def tell(txn: int, callback: Callable[[], None]) -> Callable[[], None]:
        cancel = notify(txn, callback)
        waits.set()
        return cancel

    store.notify = tell  # type: ignore[method-assign]
    host, port = client.connection.http.host, client.connection.http.port
    with Client(f"http://{host}:{port}", key, make_actor(6, 0)) as other:
        writer = threading.Thread(target=lambda: waits.wait(60) and other.write([UPSERT]))
        writer.start()
        assert client.get("c", "a", after=1) == Document("a", b'{"n":1}')
        writer.join()


def test_a_wrong_key_is_refused(client: Client) -> None:
    client.headers["Authorization"] = "Bearer wrong"
    with pytest.raises(errors.Unauthenticated):
        client.find("c")


def test_the_connection_is_kept(client: Client) -> None:
    client.write([UPSERT])
    kept = client.connection.http.sock
    client.find("c")
    with pytest.raises(errors.QuerySyntaxError):
        client.find("c", "a ==")
    assert client.connection.http.sock is kept


def test_after_a_restart_of_the_server_the_next_calls_work(store: Store, keyring: KeyRing, key: str) -> None:
    """The client sees that its connection was closed before it sends on it, so that a write works too."""
    with serving(application(store, keyring)) as (host, port):
        client = Client(f"http://{host}:{port}", key, ACTOR)
        client.write([UPSERT])
    with serving(application(store, keyring)) as (host, port):
        client.connection.http.port = port
        assert client.write([UPSERT]).txn == 2
        assert len(client.find("c").documents) == 1
        client.close()


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"
FOUND = ANSWER % (27, b'{"documents":[],"txnId":77}')


@contextmanager
def scripted(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Serve by script: each list is one connection, each item the answer to a request; then it is closed."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def run() -> None:
            for replies in connections:
                connection, _ = server.accept()
                with connection:
                    for reply in replies:
                        received.append(connection.recv(65_536))
                        connection.sendall(reply)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", received
        thread.join()


class Blind(Client):
    """A client that does not see a closed connection in time, as it happens when both act at once."""

    def __init__(self, url: str, key: str, actor: bytes) -> None:
        super().__init__(url, key, actor)
        self.connection.still_open = lambda: self.connection.http.sock is not None  # type: ignore[method-assign]


def test_a_read_on_a_connection_that_was_closed_is_sent_once_more() -> None:
    with scripted([FOUND], [FOUND]) as (url, received), Blind(url, "key", ACTOR) as client:
        assert (client.find("c").txn, client.find("c").txn) == (77, 77)
    assert len(received) == 2


def test_a_write_on_a_connection_that_was_closed_is_not_sent_again() -> None:
    with scripted([FOUND], [FOUND]) as (url, received), Blind(url, "key", ACTOR) as client:
        client.find("c")
        with pytest.raises(ConnectionError):
            client.write([UPSERT])
        assert client.connection.http.sock is None
        client.find("c")
    assert [b"/find " in request for request in received] == [True, True]


def test_a_read_is_sent_once_more_and_not_twice() -> None:
    with scripted([FOUND], []) as (url, _), Blind(url, "key", ACTOR) as client:
        client.find("c")
        with pytest.raises(ConnectionError):
            client.find("c")


@pytest.mark.parametrize(
    "reply",
    [
        b"no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        ANSWER % (2, b"{}"),
        ANSWER % (6, b"<html>"),
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 302 Found\r\nLocation: http://other/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_answer_of_a_store_is_an_error_of_the_network(reply: bytes) -> None:
    with scripted([reply]) as (url, _), Client(url, "key", ACTOR) as client, pytest.raises(ConnectionError):
        client.find("c")


def test_a_silent_server_is_given_up_and_its_late_answer_is_not_taken_for_the_next() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with Client(url, "key", ACTOR, seconds=0.05) as client:
            with pytest.raises(TimeoutError):
                client.find("c")
            assert client.connection.http.sock is None


@pytest.mark.parametrize(
    "answer",
    [
        b'{"error":{"message":"New.","data":{"code":"of-a-later-version","self":1,"message":2}}}',
        b'{"error":{"message":"New."}}',
    ],
)
def test_an_error_of_a_later_version_is_the_root_of_the_tree(answer: bytes) -> None:
    reply = b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)
    with (
        scripted([reply]) as (url, _),
        Client(url, "key", ACTOR) as client,
        pytest.raises(errors.CrdtStoreError, match=r"New\.") as raised,
    ):
        client.find("c")
    assert type(raised.value) is errors.CrdtStoreError


def test_the_key_and_the_path_are_sent_as_given() -> None:
    with scripted([FOUND]) as (url, received), Client(url + "/app/", "the key", ACTOR) as client:
        client.find("c", after=3)
    head = received[0].decode()
    assert head.startswith("POST /app/api/v3/store/find HTTP/1.1\r\n")
    for line in (
        "Authorization: Bearer the key",
        "X-DITTO-CLIENT-ID: AAAAAAAAAAUAAAAAAAAAAA==",
        "X-DITTO-TXN-ID: 3",
    ):
        assert f"{line}\r\n" in head


def test_the_stats_are_a_get_without_a_body_below_the_same_path() -> None:
    with (
        scripted([ANSWER % (2, b"{}")]) as (url, received),
        Client(url + "/app/", "key", ACTOR) as client,
        pytest.raises(ConnectionError, match="not one of this API"),
    ):
        client.stats()
    head, _, body = received[0].partition(b"\r\n\r\n")
    assert head.startswith(b"GET /app/admin/stats HTTP/1.1\r\n")
    assert b"content-length" not in head.lower()
    assert body == b""


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://a", "http://", "http://a?b", "http://a:x"])
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Client(url, "key", ACTOR)


def test_a_client_is_printed_without_its_key() -> None:
    assert "secret" not in repr(Client("http://localhost", "secret", ACTOR))
