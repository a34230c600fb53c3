"""GET /admin/backup and who fetches it: a whole backup or none, for a key that may do everything."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtstore import Store, Upsert, make_actor
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.client.backup import fetch_backup
from crdtstore.client.blocking import Client
from crdtstore.errors import DamagedFile, Forbidden, Overloaded, PeerUnreachable
from crdtstore.http.server import Application, application
from crdtstore.limits import BACKUPS_AT_ONCE_MAX
from crdtstore.storage import backup as backup_module
from crdtstore.storage.backup import COPY_MAGIC
from crdtstore.storage.blocks import BlockReader
from crdtstore.version.restore import restore
from tests.http.calling import call, connect, exchange, only_app, serving

BACKUP = "/admin/backup"
DOCUMENTS = 2_000
"""Enough for several pieces."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store on disk, in place of the one in memory."""
    with Store.open(tmp_path / "data", durability="none") as store:
        for first in range(0, DOCUMENTS, 100):
            store.write([Upsert("c", {"n": n, "text": "x" * 500}, id=n) for n in range(first, first + 100)])
        yield store


@pytest.fixture
def client(app: Application, key: str) -> Iterator[Client]:
    with serving(app) as (host, port), Client(f"http://{host}:{port}", key, make_actor(5, 0)) as client:
        yield client


def test_a_backup_is_fetched_and_restored_while_the_store_is_written_to(
    store: Store, client: Client, tmp_path: Path
) -> None:
    copy = fetch_backup(client, tmp_path / "backup")
    assert (copy.moment.documents, copy.moment.digest) == (DOCUMENTS, store.digest())
    store.write([Upsert("c", {"n": 1}, id="later")])
    restore(tmp_path / "backup", tmp_path / "again")
    with Store.open(tmp_path / "again") as again:
        assert again.digest() == copy.moment.digest != store.digest()
        assert again.origin != store.origin
    assert client.stats().documents == DOCUMENTS + 1


def test_the_body_is_blocks_and_the_last_says_that_it_is_whole(app: Application, key: str, store: Store) -> None:
    answered = call(app, "GET", BACKUP, headers={"authorization": f"Bearer {key}"})
    assert (answered.status, answered.headers["content-type"]) == (200, "application/octet-stream")
    assert "content-length" not in answered.headers
    first, *pieces = BlockReader(io.BytesIO(answered.body)).payloads(COPY_MAGIC)
    assert int.from_bytes(first, "little") == store.storage.bytes_on_disk()
    assert len(pieces) > 2


@pytest.mark.parametrize("verbs", [frozenset({"read"}), frozenset({"write"}), frozenset()])
def test_it_needs_a_key_that_may_do_everything(
    app: Application, keyring: KeyRing, verbs: frozenset[str], tmp_path: Path
) -> None:
    lesser = keyring.create("lesser", Permission.of(verbs))
    with (
        serving(app) as (host, port),
        Client(f"http://{host}:{port}", lesser, make_actor(5, 0)) as client,
        pytest.raises(Forbidden),
    ):
        fetch_backup(client, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
    assert call(app, "GET", BACKUP).status == 401


def test_a_store_in_memory_has_no_file() -> None:
    with Store.in_memory() as store:
        keyring = KeyRing(store)
        key = keyring.create("test", Permission.full())
        answered = call(application(store, keyring), "GET", BACKUP, headers={"authorization": f"Bearer {key}"})
    assert (answered.status, answered.code) == (404, "not-found")


def test_only_so_many_are_sent_at_once(app: Application, client: Client, tmp_path: Path) -> None:
    for _ in range(BACKUPS_AT_ONCE_MAX):
        assert only_app(app).backups.acquire(blocking=False)
    with pytest.raises(Overloaded):
        fetch_backup(client, tmp_path / "backup")
    only_app(app).backups.release()
    fetch_backup(client, tmp_path / "backup")
    fetch_backup(client, tmp_path / "another")


def test_a_caller_who_goes_away_ends_it(app: Application, key: str) -> None:
    """Its process too, for which closing waits."""
    request = exchange("GET", BACKUP, headers={"authorization": f"Bearer {key}"})
    received = 0

    async def take(message: dict[str, object]) -> None:
        nonlocal received
        received += message["type"] == "http.response.body" and bool(message["body"])
        request.leave()
        await asyncio.sleep(0)

    asyncio.run(app(request.scope, request.receive, take))
    assert received < 4
    for _ in range(BACKUPS_AT_ONCE_MAX):
        assert only_app(app).backups.acquire(blocking=False)


def test_a_connection_that_is_dropped_lets_the_next_one_begin(app: Application, key: str, tmp_path: Path) -> None:
    head = f"GET {BACKUP} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    with serving(app) as address:
        for _ in range(2 * BACKUPS_AT_ONCE_MAX):
            with connect(address) as connection:
                connection.sendall(head)
                assert connection.recv(1_000)
        with Client(f"http://{address[0]}:{address[1]}", key, make_actor(5, 0)) as client:
            while True:
                try:
                    fetch_backup(client, tmp_path / "backup")
                except Overloaded:
                    continue
                break


@pytest.mark.parametrize(
    "program",
    [
        "import sys; sys.exit('no such page')",
        "import os; os.write(1, b'x' * 600_000); os.abort()",
    ],
)
def test_half_a_copy_is_no_backup(
    client: Client, tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "killer.py").write_text(program)
    monkeypatch.setattr(backup_module, "COPY_PROCESS", tmp_path / "killer.py")
    with pytest.raises(DamagedFile, match="cut short"):
        fetch_backup(client, tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "killer.py"]
    monkeypatch.undo()
    fetch_backup(client, tmp_path / "backup")


def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1", "key", make_actor(5, 0)) as client, pytest.raises(PeerUnreachable):
        fetch_backup(client, tmp_path / "backup")
