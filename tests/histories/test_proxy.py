"""The proxy does what it says, on real sockets: between a client and a server that answers in capitals."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.histories.cluster import await_true
from tests.histories.proxy import LOST_WITHIN_BYTES, Address, Link, Proxy, proxying

SECONDS_MAX = 60
"""Only a hang ends here."""

SILENCE_SECONDS = 0.05
"""How long it is watched that nothing comes where nothing can come: no machine is too slow to pass."""


class Shout(socketserver.StreamRequestHandler):
    """Answers each line in capitals."""

    def handle(self) -> None:
        try:
            for line in self.rfile:
                self.wfile.write(line.upper())
        except ConnectionError:
            return


class Server(socketserver.ThreadingTCPServer):
    """Answers each connection in a thread of its own."""

    daemon_threads = True


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with proxying(seed=1) as proxy:
        yield proxy


@pytest.fixture
def server() -> Iterator[Address]:
    with Server(("127.0.0.1", 0), Shout) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "127.0.0.1", server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def link(proxy: Proxy, server: Address) -> Link:
    return proxy.link(server)


def connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), SECONDS_MAX)


def ask(connection: socket.socket, text: bytes = b"hello\n") -> bytes:
    """Send a line and read the answer, whole or to the end of the connection."""
    connection.sendall(text)
    return read(connection, len(text))


def read(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes, or to the end of the connection."""
    data = b""
    while len(data) < size and (part := connection.recv(size)):
        data += part
    return data


def await_held(link: Link, forward: int, backward: int) -> None:
    """Wait until the link has held so much; only then is silence a proof that it holds."""

    def held() -> tuple[int, int]:
        return link.forward.held, link.backward.held

    await_true(lambda: held() == (forward, backward), lambda: f"The link holds {held()}.")


def is_silent(connection: socket.socket) -> bool:
    """Whether nothing comes, not even an end."""
    connection.settimeout(SILENCE_SECONDS)
    try:
        connection.recv(1)
    except TimeoutError:
        connection.settimeout(SECONDS_MAX)
        return True
    return False


def test_an_open_link_carries_everything_and_the_end(link: Link) -> None:
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"
        assert ask(connection, b"x" * 300_000 + b"\n") == b"X" * 300_000 + b"\n"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert link.broken == 0


def test_a_cut_holds_both_directions_and_loses_nothing(link: Link) -> None:
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"
        link.cut()
        connection.sendall(b"again\n")
        await_held(link, 1, 0)
        assert is_silent(connection)
        with closing(connect(link)) as other:
            other.sendall(b"other\n")
            await_held(link, 2, 0)
            assert is_silent(other)
            link.heal()
            assert read(connection, 6) == b"AGAIN\n"
            assert read(other, 6) == b"OTHER\n"
    assert link.forward.held == 2


@pytest.mark.parametrize(("forward", "held"), [(True, (1, 0)), (False, (0, 1))])
def test_a_cut_of_one_direction_lets_the_other_one_flow(link: Link, forward: bool, held: tuple[int, int]) -> None:  # noqa: FBT001
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"
        link.cut(forward=forward, backward=not forward)
        connection.sendall(b"again\n")
        await_held(link, *held)
        assert is_silent(connection)
        assert (link.forward.held, link.backward.held) == held
        link.heal()
        assert read(connection, 6) == b"AGAIN\n"


def test_a_reset_breaks_what_there_is_and_nothing_later(link: Link) -> None:
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"
        link.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"
    assert link.broken == 1


def test_a_link_without_a_target_refuses(link: Link, server: Address) -> None:
    link.aim(None)
    with pytest.raises(ConnectionResetError), closing(connect(link)) as connection:
        connection.recv(1)
    link.aim(server)
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"


def test_a_target_that_is_not_there_refuses(proxy: Proxy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = unused.getsockname()
    with pytest.raises(ConnectionResetError), closing(connect(proxy.link(address))) as connection:
        connection.recv(1)


def test_lost_connections_end_somewhere_on_their_way(link: Link) -> None:
    link.lose(1)
    carried = []
    for _ in range(10):
        carried.append(0)
        with suppress(ConnectionError), closing(connect(link)) as connection:
            while ask(connection, b"a line of many\n"):
                carried[-1] += 1
    assert link.broken == 10
    assert len(set(carried)) > 1
    assert max(carried) * 2 * len(b"a line of many\n") < LOST_WITHIN_BYTES
    link.heal()
    with closing(connect(link)) as connection:
        assert ask(connection) == b"HELLO\n"


def test_what_is_delayed_comes(link: Link) -> None:
    link.delay(SILENCE_SECONDS)
    with closing(connect(link)) as connection:
        assert [ask(connection) for _ in range(3)] == [b"HELLO\n"] * 3


def test_what_is_held_at_the_end_is_let_go(server: Address) -> None:
    with proxying() as proxy:
        link = proxy.link(server)
        connection = connect(link)
        assert ask(connection) == b"HELLO\n"
        link.cut()
        connection.sendall(b"again\n")
    with closing(connection), pytest.raises(ConnectionResetError):
        connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connect(link)
