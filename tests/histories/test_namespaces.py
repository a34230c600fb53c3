"""A cable that is cut carries nothing in that direction, tells nobody, and carries again when it is mended.

Rules: where there are no network namespaces there is nothing to test; `test_histories` says so at the end of a run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.histories.namespaces import Namespaces, laid, why_absent

PYTHON = [sys.executable, "-I", "-S", "-c"]

HEAR = """
import socket
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(("0.0.0.0", 8080))
print("ready", flush=True)
while True:
    print(heard.recv(100).decode(), flush=True)
"""

SAY = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaker:
    speaker.sendto(sys.argv[2].encode(), (sys.argv[1], 8080))
"""


@contextmanager
def hearing(network: Namespaces, server: int) -> Iterator[subprocess.Popen[str]]:
    """Run a process in a namespace that prints every datagram."""
    command = [*network.command(server), *PYTHON, HEAR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert hear(process) == "ready"
            yield process
        finally:
            process.kill()


def hear(process: subprocess.Popen[str]) -> str:
    """Read the next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(network: Namespaces, left: int, right: int, text: str) -> None:
    """Send a datagram from one server to another one; that it is not carried is told to nobody."""
    address = network.cables[left, right].ends[1].address
    subprocess.run([*network.command(left), *PYTHON, SAY, address, text], check=True)


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("backward", [True, False])
def test_a_cut_is_silent_and_is_mended(forward: bool, backward: bool) -> None:  # noqa: FBT001
    if why_absent():
        return
    with ExitStack() as stack:
        network = stack.enter_context(laid(servers=2))
        left, right = (stack.enter_context(hearing(network, server)) for server in (0, 1))
        say(network, 0, 1, "first")
        say(network, 1, 0, "first")
        assert (hear(left), hear(right)) == ("first", "first")
        network.cables[0, 1].cut(forward=forward, backward=backward)
        say(network, 0, 1, "cut")
        say(network, 1, 0, "cut")
        network.cables[1, 0].heal()
        say(network, 0, 1, "mended")
        say(network, 1, 0, "mended")
        assert hear(right) == ("mended" if forward else "cut")
        assert hear(left) == ("mended" if backward else "cut")


def test_with_the_namespaces_goes_everything() -> None:
    if why_absent():
        return
    with laid(servers=3) as network:
        assert len(network.cables) == 6
    listed = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    listed += subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
    assert not any(name in listed for name in network.names)


def test_where_there_are_none_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "ip" in why_absent()
