"""Servers as processes, and the ways to them.

Rules:

- Each server is `crdtstore serve` on a free port of the loopback, over a directory of its own. It is killed by its
  own process id, and started again on the same directory; the links to it follow it to its new port.
- Clients reach each server through a link of the proxy. Of any two servers one follows the other, through a link of
  its own, or a cable where there are namespaces; each follows some, and each is followed.
- Who waits, waits for a condition. A hang ends at SECONDS_MAX, which no working machine comes near.

Not here: what is asked of the servers (`workload`), and when they are killed and cut off (`faults`).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from crdtstore import Store, make_actor
from crdtstore.client.blocking import Client
from crdtstore.storage.stats import Stats
from tests.histories.namespaces import PORT, Cable, Namespaces
from tests.histories.proxy import Address, Link, Proxy

ROOT = Path(__file__).parents[2]
SECONDS_MAX = 120
SILENCE_SECONDS_MAX = 20
"""How long a client waits for an answer that was held on its way."""

LOOK_SECONDS = 0.02
"""How often a condition is looked at that nobody announces."""

WAIT_SECONDS = "0.25"
"""How long a server lets a read wait for a transaction."""

OBSERVER = make_actor(99, 0)
"""Who looks at the servers from outside; never writes."""


class Server:
    """One server: its directory, and its process while it runs."""

    def __init__(self, folder: Path, number: int, network: Namespaces | None) -> None:
        self.directory = folder / f"store-{number}"
        self.key_file = folder / "key"
        self.output = folder / f"server-{number}.txt"
        self.before = network.command(number) if network else []
        self.listen = [f"0.0.0.0:{PORT}", "--allow-remote"] if network else ["127.0.0.1:0"]
        self.host = network.host(number) if network else "127.0.0.1"
        self.peers: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.running = False

    def command(self) -> list[str]:
        """What starts the process."""
        files = ["--store", str(self.directory), "--root-key-file", str(self.key_file)]
        follow = ["--peer-key-file", str(self.key_file)] if self.peers else []
        follow += [argument for url in self.peers for argument in ("--peer", url)]
        serve = [sys.executable, "-m", "crdtstore", "serve", "--listen", *self.listen, "--wait-seconds", WAIT_SECONDS]
        return [*self.before, *serve, *files, *follow]

    def start(self) -> Address:
        """Start the process; returns where it takes connections."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=output, env=environment)
        assert self.process.stdout is not None
        with self.process.stdout as said:
            readable, _, _ = select.select([said], [], [], SECONDS_MAX)
            line = said.readline() if readable else b""
        assert line.startswith(b"listening on http://"), (line, self.output.read_text(encoding="utf-8"))
        self.running = True
        return self.host, int(line.rpartition(b":")[2])

    def end(self, number: signal.Signals) -> int:
        """Send the process a signal that ends it; returns its exit code."""
        assert self.process is not None
        self.running = False
        self.send(number)
        return self.process.wait(SECONDS_MAX)

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self.process is not None
        self.process.send_signal(number)


class Cluster:
    """Some servers, and the links to them."""

    def __init__(self, folder: Path, proxy: Proxy, servers: int, network: Namespaces | None) -> None:
        """Make it; `running` starts and ends it."""
        numbers = range(servers)
        self.servers = [Server(folder, number, network) for number in numbers]
        self.entrances = [proxy.link() for _ in numbers]
        """Server -> the link of its clients."""
        self.links: dict[tuple[int, int], Link | Cable] = {
            (left, right): network.cables[left, right] if network else proxy.link()
            for left in numbers
            for right in numbers
            if left != right and (right - left) % servers <= servers // 2
        }
        """(from, to) -> the way from a server to one that it follows."""
        for (left, _), link in self.links.items():
            self.servers[left].peers.append(link.url)
        self.changed = threading.Condition()
        self.given_up = False
        self.kills = 0

    @property
    def proxied(self) -> list[Link]:
        """All links that the proxy carries."""
        return [*self.entrances, *(link for link in self.links.values() if isinstance(link, Link))]

    def aim(self, server: int, address: Address | None) -> None:
        """Lead everybody who goes to a server to an address, or to nowhere."""
        links = [self.entrances[server], *(link for (_, right), link in self.links.items() if right == server)]
        for link in links:
            if isinstance(link, Link):
                link.aim(address)

    def start(self, server: int) -> None:
        """Start a server, unless it runs, and lead everybody to it."""
        if self.servers[server].running:
            return
        self.aim(server, self.servers[server].start())
        with self.changed:
            self.changed.notify_all()

    def kill(self, server: int) -> None:
        """Kill a server, whatever it does at the moment."""
        self.aim(server, None)
        code = self.servers[server].end(signal.SIGKILL)
        assert code == -signal.SIGKILL, self.output(server)
        self.kills += 1

    def stop(self) -> None:
        """Let all servers end by themselves."""
        codes = [server.end(signal.SIGTERM) for server in self.servers]
        assert codes == [0] * len(codes), [self.output(number) for number in range(len(codes))]

    def await_start(self, server: int) -> None:
        """Wait until a server runs."""
        with self.changed:
            there = self.changed.wait_for(lambda: self.given_up or self.servers[server].running, SECONDS_MAX)
        assert there, self.output(server)

    def give_up(self) -> None:
        """Let nobody wait any more."""
        with self.changed:
            self.given_up = True
            self.changed.notify_all()

    def output(self, server: int) -> str:
        """What a server has logged."""
        return self.servers[server].output.read_text(encoding="utf-8")

    def client(self, server: int, actor: bytes = OBSERVER) -> Client:
        """A connection to a server."""
        key = self.servers[server].key_file.read_text(encoding="ascii").strip()
        return Client(self.entrances[server].url, key, actor, seconds=SILENCE_SECONDS_MAX)

    def stats(self) -> list[Stats]:
        """What each server's store holds."""
        stats = []
        for server in range(len(self.servers)):
            with self.client(server) as client:
                stats.append(client.stats())
        return stats

    def heal(self) -> None:
        """Let all links carry everything."""
        for link in (*self.entrances, *self.links.values()):
            link.heal()

    def await_quiet(self) -> list[Stats]:
        """Wait until all servers hold the same transactions; returns what they hold then."""
        stats: list[Stats] = []

        def met() -> bool:
            stats[:] = self.stats()
            return len({(each.applied, each.digest) for each in stats}) == 1

        await_true(met, lambda: f"The servers did not meet: {stats}")
        return stats

    def open_store(self, server: int) -> Store:
        """Open a server's store beside it, to read."""
        return Store.open(self.servers[server].directory, read_only=True)


def await_true(condition: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Look at a condition until it holds; a hang ends at SECONDS_MAX."""
    end = monotonic() + SECONDS_MAX
    while not condition():
        assert monotonic() < end, complaint()
        threading.Event().wait(LOOK_SECONDS)


@contextmanager
def running(folder: Path, proxy: Proxy, servers: int, network: Namespaces | None = None) -> Iterator[Cluster]:
    """Run servers, on the loopback or in namespaces; at the end of the block their processes are gone."""
    cluster = Cluster(folder, proxy, servers, network)
    try:
        for server in range(servers):
            cluster.start(server)
        yield cluster
    finally:
        for each in cluster.servers:
            if each.process is not None:
                each.process.kill()
                each.process.wait()
