"""The client of the exchange between stores: carries messages to another store's server, and its answers back.

Rules:

- One connection is kept, since an exchange is several messages. Nothing is sent twice: an exchange that broke off is
  begun anew by whoever wants it, and goes on where it stopped.
- What the network does is `PeerUnreachable`, and so is an answer of something that is no store. What the server
  refused (the key, the size) is raised as the error that it was.
- `abort` may be called by another thread: the request on its way fails at once, and so does every later one. Only
  connecting cannot be broken off, so it is short.

Not here: what the messages are (`crdtstore.replication`), when to try again (`crdtstore.replication.follow`).
"""

from __future__ import annotations

import socket
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Final, Self

from crdtstore.client.blocking import SECONDS_DEFAULT, error_of
from crdtstore.client.connection import Connection
from crdtstore.errors import PeerUnreachable
from crdtstore.limits import CONNECT_SECONDS_MAX, MESSAGE_BYTES_MAX

ROUTE: Final = "/api/replication/v1"
MEDIA_TYPE: Final = "application/msgpack"


class PeerClient:
    """One store's connection to another store's server; one thread at a time uses it."""

    def __init__(self, url: str, key: str, *, seconds: float = SECONDS_DEFAULT) -> None:
        """Make a client; it connects with the first message.

        Args:
            url: Where the server is; see `Connection`.
            key: An API key of that server.
            seconds: How long the network may be silent: longer than the other store may hold an answer.

        Raises:
            ValueError: The URL is not one of HTTP.
        """
        self.url = url
        self.seconds = seconds
        self.connection = Connection(url, CONNECT_SECONDS_MAX)
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": MEDIA_TYPE}
        self.socket: socket.socket | None = None
        self.aborted = False

    def __enter__(self) -> Self:
        """Use the client in a `with` block, which closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close the connection; another message would open a new one."""
        self.connection.close()

    def abort(self) -> None:
        """Let the message on its way fail, and every later one; from any thread."""
        self.aborted = True
        if self.socket is not None:
            with suppress(OSError):
                # Closing would not wake who waits on it. Past the class of TLS, which is not made for two threads.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def send(self, request: bytes) -> bytes:
        """Send a message and return the answer.

        Raises:
            PeerUnreachable: The network failed, or no store answers there.
            CrdtStoreError: What the server refused.
        """
        try:
            response, answer = self.call(request)
        except (OSError, HTTPException) as error:
            self.close()
            raise self.unreachable(getattr(error, "strerror", None) or str(error) or repr(error)) from error
        except BaseException:
            # An answer that was not read to its end would be taken for that of the next message.
            self.close()
            raise
        if response.status == 200 and response.headers.get_content_type() == MEDIA_TYPE:
            return answer
        refusal = error_of(response.status, answer)
        raise self.unreachable(str(refusal)) if isinstance(refusal, ConnectionError) else refusal

    def call(self, request: bytes) -> tuple[HTTPResponse, bytes]:
        """Send one request and read its answer, as much of it as an answer may have."""
        if not self.connection.still_open():
            self.connect()
        if self.aborted:
            raise ConnectionAbortedError("The exchange was broken off here.")
        with self.connection.send("POST", ROUTE, request, self.headers) as response:
            return response, read_bounded(response)

    def connect(self) -> None:
        """Open a connection, which may from then on be silent for longer."""
        http = self.connection.http
        http.connect()
        self.socket = http.sock
        http.sock.settimeout(self.seconds)

    def unreachable(self, reason: str) -> PeerUnreachable:
        """The error for what the network did."""
        return PeerUnreachable(f"The peer {self.url} was not reached: {reason.rstrip('.')}.", peer=self.url)


def read_bounded(response: HTTPResponse) -> bytes:
    """Read an answer, no longer than a message may be.

    Raises:
        OSError: It is longer.
        HTTPException: It is cut short.
    """
    length = response.length
    # Only what is read to its end is held to the length that was told; without one the bound must do.
    answer = b"" if length is not None else response.read(MESSAGE_BYTES_MAX + 1)
    if max(length or 0, len(answer)) > MESSAGE_BYTES_MAX:
        raise ConnectionError(f"Its answer is longer than the {MESSAGE_BYTES_MAX} bytes that one may have")
    return answer if length is None else response.read()
