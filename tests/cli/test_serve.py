"""A server as other programs start, call and stop it.

Rules: every server is a process on a free port of the loopback; who starts it ends it. A hang ends at
`SECONDS_MAX`, which no working machine comes near.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from crdtstore import Store
from tests.cli.running import documents, lines, run, upsert

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 120
LAST_LINE = "Ctrl-C stops the server.\n"


@dataclass
class Served:
    """A server that runs, and what it printed when it began."""

    process: subprocess.Popen[str]
    said: str = ""
    errors: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The address, from the first line."""
        match = re.fullmatch(r"listening on (http://127\.0\.0\.1:[1-9][0-9]*)", self.said.partition("\n")[0])
        assert match, self.said
        return match[1]

    @property
    def key(self) -> str:
        """The key, if it was shown."""
        match = re.search(r"^key: (\w+)  \(", self.said, re.MULTILINE)
        return match[1] if match else ""

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop; returns its exit code."""
        self.process.send_signal(number)
        _, self.errors = self.process.communicate(timeout=SECONDS_MAX)
        return self.process.returncode


@contextmanager
def starting(*arguments: str) -> Iterator[Served]:
    """Start a server; at the end of the block it is gone, whatever happened."""
    command = [sys.executable, "-m", "crdtstore", "serve", "--listen", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    # Reading its output has no deadline of its own: a server that hangs is ended, and so the reading.
    alarm = threading.Timer(SECONDS_MAX, process.kill)
    alarm.start()
    try:
        yield Served(process)
    finally:
        process.kill()
        process.communicate()
        alarm.cancel()
        alarm.join()


@contextmanager
def served(*arguments: str) -> Iterator[Served]:
    """Start a server and read all that it says at first."""
    with starting(*arguments) as server:
        assert server.process.stdout
        for line in server.process.stdout:
            server.said += line
            if line == LAST_LINE:
                break
        yield server


def paste(text: str) -> tuple[int, Any]:
    """Do what the curl command in a text does; `$(cat FILE)` is done as a shell does it."""
    command = text.partition("Try it:\n")[2].partition("\n\n")[0].replace("\\\n", "")
    program, url, *options = shlex.split(command)
    assert (program, options[::2]) == ("curl", ["-H", "-H", "-H", "-d"])
    headers = dict(option.split(": ", 1) for option in options[1:-2:2])
    file = re.search(r"\$\(cat (.*)\)", headers["Authorization"])
    if file:
        headers["Authorization"] = f"Bearer {Path(shlex.split(file[1])[0]).read_text(encoding='ascii').strip()}"
    return post(url, headers, options[-1])


def post(url: str, headers: dict[str, str], body: str) -> tuple[int, Any]:
    """Send a request; returns status and body."""
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=SECONDS_MAX)
    try:
        connection.request("POST", parts.path, body, headers)
        response = connection.getresponse()
        return response.status, json.load(response)
    finally:
        connection.close()


def test_a_fresh_machine_has_a_server_a_key_and_a_call_that_works() -> None:
    with served() as server:
        assert Path("crdtstore-data/data.mdb").exists()
        assert Path("crdtstore-data/wal.log").exists()
        status, body = paste(server.said)
        assert (status, body["results"][0]["id"]) == (200, "basel")
        assert documents(run("find", "cities", "--url", server.url, "--key", server.key)) == [
            {"_id": "basel", "name": "Basel"}
        ]
        assert "newest transaction  1\n" in run("stats").stdout
        assert "through it: --url" in run("write", given=lines(upsert(1)), code=1).stderr
        key = server.key
        assert server.stop() == 0
        assert server.errors == ""
    assert not Path("crdtstore-data/wal.log").exists()
    with served("--durability", "sync") as server:
        assert not Path("crdtstore-data/wal.log").exists()
        assert server.key == ""
        assert "$CRDTSTORE_KEY" in server.said
        assert len(documents(run("find", "cities", "--url", server.url, "--key", key))) == 1
        assert server.stop(signal.SIGINT) == 0


def test_a_root_key_file_is_made_for_its_owner_alone_and_taken_again() -> None:
    Path("keys").mkdir()
    with served("--store", "a", "--root-key-file", "keys/root key") as server:
        assert Path("keys/root key").stat().st_mode & 0o777 == 0o600
        key = Path("keys/root key").read_text(encoding="ascii")
        assert key.strip() not in server.said
        assert paste(server.said)[0] == 200
        assert server.stop() == 0
    assert [path.name for path in Path("keys").iterdir()] == ["root key"]
    with served("--store", "b", "--root-key-file", "keys/root key") as server:
        assert paste(server.said)[0] == 200
        assert server.stop() == 0
    assert Path("keys/root key").read_text(encoding="ascii") == key


def test_the_first_line_is_all_that_another_program_needs() -> None:
    with starting("--root-key-file", "key") as server:
        assert server.process.stdout
        server.said = server.process.stdout.readline()
        server.process.stdout.close()
        assert run("find", "c", "--url", server.url, "--key-file", "key").stdout == ""
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(SECONDS_MAX) == 0


def test_nobody_needs_to_read_what_is_said() -> None:
    read, write = os.pipe()
    os.close(read)
    program = (
        "from crdtstore.cli.serve import *; announce(Origin('http', '127.0.0.1', 1), Path('x'), RootKey(None, None))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=SECONDS_MAX,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_names_are_answered_if_they_are_named() -> None:
    body = json.dumps({"collection": "c", "query": "true"})
    with served("--root-key-file", "key", "--host-names", "db.example.org,db") as server:
        headers = {
            "Authorization": f"Bearer {Path('key').read_text(encoding='ascii').strip()}",
            "Content-Type": "application/json",
        }
        url = f"{server.url}/api/v3/store/find"
        statuses = {
            host: post(url, {**headers, "Host": host}, body)[0]
            for host in ("db.example.org", "db:80", "localhost", "127.0.0.1", "other.example.org")
        }
        assert server.stop() == 0
    assert statuses == dict.fromkeys(statuses, 200) | {"other.example.org": 403}


def test_servers_are_kept_equal_and_their_logs_are_trimmed() -> None:
    """The one in the middle follows two; what is written to any is read from the others."""
    key = ("--root-key-file", "key")
    with served("--store", "a", *key) as a, served("--store", "c", *key) as c:
        peers = ("--peer", a.url, "--peer", c.url, "--peer-key-file", "key")
        with served("--store", "b", *key, *peers, "--log-keep-transactions", "1000") as b:
            wrote = {"a": a, "b": b, "c": c}
            for name, server in wrote.items():
                run("write", "--url", server.url, "--key-file", "key", given=lines(upsert(name)))
            for server in wrote.values():
                found = run("find", "c", "--txn", "3", "--url", server.url, "--key-file", "key")
                assert [document["_id"] for document in documents(found)] == ["a", "b", "c"]
            assert [server.stop() for server in (b, a, c)] == [0, 0, 0]
            assert [server.errors for server in (b, a, c)] == [""] * 3
    assert len(json.loads(run("peers", "list", "--store", "b", "--json").stdout)) == 2


def test_a_peer_that_is_not_there_is_told_once_and_ends_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with served("--root-key-file", "key", "--peer", url, "--peer-key-file", "key") as server:
        assert server.process.stderr
        assert f"peer {url}: The peer {url} was not reached" in server.process.stderr.readline()
        assert paste(server.said)[0] == 200
        assert server.stop() == 0
        assert server.errors == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--peer", "http://a"), 2, "--peer-key-file"),
        (("--peer", "ftp://a", "--peer-key-file", "key"), 2, "URL"),
        (("--peer", "http://a", "--peer-key-file", "none"), 1, "none"),
        (("--log-keep-days", "-1"), 2, "takes a number"),
    ],
)
def test_peers_that_cannot_be_followed_are_told(arguments: tuple[str, ...], code: int, said: str) -> None:
    Path("key").write_text("key", encoding="ascii")
    assert said in run("serve", "--listen", "127.0.0.1:0", *arguments, code=code).stderr


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        message = run("serve", "--listen", address, code=1).stderr
    assert message == f"Error: Cannot listen on {address}: Address already in use.\n"


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.org:80"])
def test_an_address_that_others_reach_is_refused(listen: str) -> None:
    message = run("serve", "--listen", listen, code=2).stderr
    assert "--allow-remote" in message
    assert "reverse proxy" in message
    assert not Path("crdtstore-data").exists()


@pytest.mark.parametrize("listen", ["127.0.0.1", ":8080", "::1:8080", "127.0.0.1:", "localhost:65536", "a:b", "a:-1"])
def test_an_address_is_a_host_and_a_port(listen: str) -> None:
    assert "HOST:PORT" in run("serve", "--listen", listen, code=2).stderr


def test_a_store_that_is_open_elsewhere_is_not_served() -> None:
    with Store.open("crdtstore-data"):
        assert "has the store" in run("serve", code=1).stderr


def test_a_root_key_file_without_a_key_is_refused() -> None:
    Path("key").write_text("two words", encoding="ascii")
    assert "The file key holds no API key" in run("serve", "--root-key-file", "key", code=3).stderr
    Path("key").write_text("word", encoding="ascii")
    assert "12 letters or digits" in run("serve", "--root-key-file", "key", code=3).stderr


def test_a_key_that_cannot_be_kept_is_not_known() -> None:
    assert "No such file" in run("serve", "--root-key-file", "none/key", code=1).stderr
    with Store.open("crdtstore-data") as store:
        assert store.scan_settings(b"api-key/") == []
