"""Network namespaces: each server in a network of its own, joined to the others by cables that can be cut.

Rules:

- They need root and iproute2. `why_absent` says what is missing; then the proxy does the cutting alone.
- A cable is a pair of interfaces. A direction is cut by addressing its packets to an interface that there is not:
  both ends stay up and nobody is told anything, as on a real network.
- Addresses are of the range that is set aside for tests of networks (RFC 2544). With a namespace go its interfaces.

Not here: delays, resets and lost connections, which are the proxy's.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

PORT = 8080
"""The port of every server: in its own namespace it is free."""

NOBODY = "02:00:00:00:ff:ff"


class Cable:
    """The way from one server to another one."""

    def __init__(self, left: End, right: End) -> None:
        """Lead from one end of a cable to the other; `Namespaces` lays it."""
        self.ends = left, right
        self.url = f"http://{right.address}:{PORT}"
        self.cuts = 0

    def cut(self, *, forward: bool = True, backward: bool = True) -> None:
        """Cut the direction there, the one back, or both."""
        left, right = self.ends
        self.cuts += 1
        if forward:
            left.send_to(right, NOBODY)
        if backward:
            right.send_to(left, NOBODY)

    def heal(self) -> None:
        """Mend both directions."""
        left, right = self.ends
        left.send_to(right, right.hardware)
        right.send_to(left, left.hardware)


class End:
    """One end of a cable: an interface in a namespace."""

    def __init__(self, namespace: str, peer: int, address: str, hardware: str) -> None:
        """Describe it; `Namespaces` makes it."""
        self.namespace = namespace
        self.interface = f"to{peer}"
        self.address = address
        self.hardware = hardware

    def send_to(self, other: End, hardware: str) -> None:
        """Address the packets for the other end."""
        ip(self.namespace, f"neigh replace {other.address} lladdr {hardware} nud permanent dev {self.interface}")


class Namespaces:
    """A namespace for each server, with a cable between any two and one to the machine itself."""

    def __init__(self, servers: int) -> None:
        """Name them; `laid` makes them, and takes them away again."""
        self.names = [f"crdtstore-{os.getpid()}-{server}" for server in range(servers)]
        self.outside = [f"crdt{os.getpid()}-{server}" for server in range(servers)]
        """The interfaces outside, whose names may have 15 letters."""
        self.cables: dict[tuple[int, int], Cable] = {}

    def lay_all(self) -> None:
        """Make all namespaces and lay all cables."""
        for server, (name, outside) in enumerate(zip(self.names, self.outside, strict=True)):
            ip("", f"netns add {name}", f"link add {outside} type veth peer name out netns {name}")
            ip("", f"addr add {self.subnet(server)}.1/24 dev {outside}", f"link set {outside} up")
            ip(name, f"addr add {self.host(server)}/24 dev out", "link set out up", "link set lo up")
        for number, (left, right) in enumerate(combinations(range(len(self.names)), 2)):
            self.lay(number, left, right)

    def subnet(self, server: int) -> str:
        """The network between the machine and a server; another one for each test that runs at the same time."""
        return f"198.{18 + server // 128}.{(os.getpid() * 8 + server) % 256}"

    def lay(self, number: int, left: int, right: int) -> None:
        """Lay the cable between two servers."""
        ends = (
            End(self.names[left], right, f"10.0.{number}.1", f"02:00:00:00:{left:02x}:{right:02x}"),
            End(self.names[right], left, f"10.0.{number}.2", f"02:00:00:00:{right:02x}:{left:02x}"),
        )
        here, there = ends
        ip(here.namespace, f"link add {here.interface} type veth peer name {there.interface} netns {there.namespace}")
        for end in ends:
            ip(
                end.namespace,
                f"link set {end.interface} address {end.hardware}",
                f"addr add {end.address}/24 dev {end.interface}",
                f"link set {end.interface} up",
            )
        self.cables[left, right] = Cable(here, there)
        self.cables[right, left] = Cable(there, here)
        self.cables[left, right].heal()

    def command(self, server: int) -> list[str]:
        """What stands before a command that is to run in a server's namespace, in the same process."""
        return ["ip", "netns", "exec", self.names[server]]

    def host(self, server: int) -> str:
        """Where the machine itself reaches a server."""
        return f"{self.subnet(server)}.2"


@contextmanager
def laid(servers: int) -> Iterator[Namespaces]:
    """Make namespaces; at the end of the block they are gone."""
    network = Namespaces(servers)
    try:
        network.lay_all()
        yield network
    finally:
        # A namespace takes its interfaces with it, but some time later; another one could not have their names yet.
        for outside in network.outside:
            subprocess.run(["ip", "link", "delete", outside], capture_output=True, check=False)
        for name in network.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def why_absent() -> str:
    """Say why namespaces cannot be made here; empty if they can."""
    try:
        with laid(servers=2):
            return ""
    except OSError as error:
        return str(error)


def ip(namespace: str, *commands: str) -> None:
    """Run commands of iproute2 in a namespace, or outside of all.

    Raises:
        OSError: It is not there, or refuses one of them.
    """
    options = ["-n", namespace] if namespace else []
    given = "\n".join(commands)
    done = subprocess.run(["ip", *options, "-batch", "-"], input=given, text=True, capture_output=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.partition("\n")[0])
