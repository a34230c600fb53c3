"""`crdtstore sync`: what is moved, what is said of it, what ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from crdtstore import Store, Upsert
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import VERBS, Permission
from crdtstore.cli.sync import sentence_of
from crdtstore.http.server import application
from crdtstore.replication.exchange import Report
from crdtstore.storage.peers import read_peers
from tests.cli.running import documents, error_of, run
from tests.http.calling import serving

HERE = ("--store", "here")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
MOVED = r"\d+ requests?, .+ out, .+ in\."


@pytest.fixture(autouse=True)
def stores() -> None:
    """Two stores with a document each."""
    for name in ("here", "there"):
        with Store.open(name) as store:
            store.write([Upsert("c", {"at": name}, id=name)])


@pytest.fixture
def there() -> Iterator[Store]:
    with Store.open("there") as store:
        yield store


@pytest.fixture
def server(there: Store) -> Iterator[tuple[str, ...]]:
    """The arguments that name the other store, behind a server."""
    with serving(application(there, KeyRing(there))) as (host, port):
        yield f"http://{host}:{port}", "--key", KeyRing(there).create("peer", Permission.full())


def ids(name: str) -> list[str]:
    return [document["_id"] for document in documents(run("find", "c", "--store", name))]


# --- once ---


@pytest.mark.parametrize(
    ("flags", "said", "here", "there"),
    [
        ((), "Pulled 1 transaction, pushed 1 transaction", ["here", "there"], ["here", "there"]),
        (("--pull",), "Pulled 1 transaction", ["here", "there"], ["there"]),
        (("--push",), "Pushed 1 transaction", ["here"], ["here", "there"]),
    ],
)
def test_two_directories(flags: tuple[str, ...], said: str, here: list[str], there: list[str]) -> None:
    assert re.fullmatch(f"{said}: {MOVED}\n", run("sync", "there", *HERE, *flags).stdout)
    assert (ids("here"), ids("there")) == (here, there)


def test_a_directory_and_a_server(there: Store, server: tuple[str, ...]) -> None:
    assert re.fullmatch(f"Pulled 1 transaction, pushed 1 transaction: {MOVED}\n", run("sync", *server, *HERE).stdout)
    assert re.fullmatch(f"Equal: 1 request, {MOVED[15:]}\n", run("sync", *server, *HERE).stdout)
    with Store.open("here") as here:
        assert here.digest() == there.digest()


def test_a_store_that_is_not_there_yet_becomes_a_copy() -> None:
    assert run("sync", "there", "--store", "copy").stdout.startswith("Pulled 1 transaction: ")
    assert ids("copy") == ["there"]


def test_a_program_reads_numbers(server: tuple[str, ...], there: Store) -> None:
    told = json.loads(run("sync", *server, *HERE, "--json").stdout)
    assert set(told) == {"peer", "equal", "pulled", "pushed", "joined", "sent", "received", "requests"}
    assert (told["equal"], told["pulled"], told["pushed"], told["joined"]) == (False, 1, 1, 0)
    assert json.loads(run("sync", *server, *HERE, "--json").stdout)["equal"] is True


def test_nothing_to_move_in_one_direction_is_said_so() -> None:
    run("sync", "there", *HERE, "--pull")
    assert run("sync", "there", *HERE, "--pull").stdout.startswith("Nothing to move: ")


def test_what_was_joined_is_said() -> None:
    report = Report(bytes(16), equal=False, pulled=0, pushed=1, joined=1_234, sent=1, received=2**20, requests=7)
    said = "Joined 1,234 documents, pushed 1 transaction: 7 requests, 1 byte out, 1.0 MiB (1,048,576 bytes) in."
    assert sentence_of(report) == said


def test_a_store_is_pulled_from_while_another_process_writes_to_it(there: Store) -> None:
    """It is opened to be read only; to push, it must be free."""
    pulled, refused = (
        subprocess.run(
            [sys.executable, "-m", "crdtstore", "sync", "there", *HERE, *flags],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=ENVIRONMENT,
        )
        for flags in (["--pull"], [])
    )
    assert (pulled.returncode, pulled.stdout[:22]) == (0, "Pulled 1 transaction: ")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "If that is a server, stop it first." in refused.stderr


# --- what is refused ---


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("there", *HERE, "--pull", "--push"), 2, "Only one of --pull and --push"),
        (("there", *HERE, "--follow"), 2, "Only a server can be followed"),
        (("http://127.0.0.1:1", *HERE), 2, "API key"),
        (("ftp://a", *HERE, "--key", "key"), 2, "URL"),
        (("nowhere", *HERE), 1, "nowhere"),
        (("there", "--store", "nowhere/here"), 1, "nowhere"),
        (("there",), 2, "Say where the store is"),
        ((), 2, "Missing argument 'PEER'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: tuple[str, ...], code: int, said: str) -> None:
    assert said in run("sync", *arguments, code=code).stderr


def test_a_key_for_less_than_the_store_holds_is_refused(there: Store, server: tuple[str, ...]) -> None:
    key = KeyRing(there).create("lesser", Permission.of(VERBS, frozenset({"c"})))
    told = error_of(run("sync", server[0], "--key", key, *HERE, "--json", code=3))
    assert (told["code"], told["message"]) == ("forbidden", "This key may not read the whole store.")
    run("init", "--store", "narrow", "--collections", "c")
    assert run("sync", server[0], "--key", key, "--store", "narrow").stdout.startswith("Pulled 1 transaction")


def test_nobody_there_is_to_be_tried_again_later() -> None:
    told = error_of(run("sync", "http://127.0.0.1:1", "--key", "key", *HERE, "--json", code=4))
    assert told["code"] == "peer-unreachable"


def test_a_store_does_not_sync_with_itself() -> None:
    assert "has the store" in run("sync", "here", *HERE, code=1).stderr


@pytest.fixture
def diverged() -> None:
    """The other store wrote on under an origin that wrote on elsewhere too."""
    with Store.open("there") as store, Store.in_memory(origin=store.origin) as copy:
        copy.write([Upsert("c", {"at": "copy"}, id="copy")])
        records = [entry.record for entry in copy.changes()]
    with Store.open("here") as here:
        here.apply(records)


@pytest.mark.usefixtures("diverged")
def test_of_a_divergence_it_is_said_what_to_do_and_it_can_be_released() -> None:
    first = error_of(run("sync", "there", *HERE, "--json", code=5))
    second = error_of(run("sync", "there", *HERE, "--json", code=5))
    assert (first["code"], second["code"]) == ("divergence", "quarantined")
    assert "make it anew" in first["message"]
    assert "crdtstore peers -h" in second["message"]
    for name in ("here", "there"):
        for peer in json.loads(run("peers", "list", "--store", name, "--json").stdout):
            assert peer["divergence"]
            run("peers", "release", peer["origin"], "--store", name)
    assert error_of(run("sync", "there", *HERE, "--json", code=5))["code"] == "divergence"


# --- without end ---


class Following:
    """A command that follows, in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crdtstore", "sync", *arguments, "--follow"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )

    def line(self) -> str:
        """The next line of its results; a command that hangs is ended by pytest's deadline."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_is_followed_until_a_signal_comes(
    there: Store, server: tuple[str, ...], number: signal.Signals
) -> None:
    with Following(*server, *HERE, "--json") as following:
        moved = [json.loads(following.line()), json.loads(following.line())]
        assert (sum(report["pulled"] for report in moved), sum(report["pushed"] for report in moved)) == (1, 1)
        there.write([Upsert("c", {"at": "later"}, id="later")])
        assert json.loads(following.line())["pulled"] == 1
        code, said = following.stop(number)
    assert code == 0
    assert f"Following {server[0]}; Ctrl-C ends it." in said
    assert "Trying again" not in said
    assert ids("here") == ["here", "later", "there"]


def test_a_server_that_goes_away_is_told_and_tried_again() -> None:
    with Store.in_memory() as other, ExitStack() as server:
        keyring = KeyRing(other)
        key = keyring.create("peer", Permission.full())
        host, port = server.enter_context(serving(application(other, keyring)))
        with Following(f"http://{host}:{port}", "--key", key, *HERE) as following:
            assert following.line().startswith("Pushed 1 transaction: ")
            server.close()
            assert following.process.stderr
            # "Following" comes before it, or never where the server went away before a pull.
            assert any(line.endswith("Trying again.\n") for line in following.process.stderr)
            assert following.stop(signal.SIGINT)[0] == 0


def test_following_ends_with_what_will_not_pass(there: Store, server: tuple[str, ...]) -> None:
    with Following(server[0], "--key", "wrong", *HERE) as following:
        _, said = following.process.communicate(timeout=120)
        assert following.process.returncode == 3
        assert said.startswith("Error: The credential is missing or not known")
    with there.storage.snapshot() as snapshot:
        assert list(read_peers(snapshot)) == []
