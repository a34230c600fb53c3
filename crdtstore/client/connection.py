"""One kept connection to a server, with nothing but the standard library's HTTP.

Rules: it connects with the first request. A server closes idle connections: one that was visibly closed is replaced
before anything is sent. A connection whose answer was not read to its end is not used again.

Not here: what is said on it (`blocking`, `exchange`), sending twice.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit


class Connection:
    """A connection, open or not."""

    def __init__(self, url: str, seconds: float) -> None:
        """Make a connection.

        Args:
            url: Where the server is, such as `http://127.0.0.1:8080`; a path in it stands before every route.
            seconds: How long connecting may take, and how long the network may be silent during a call.

        Raises:
            ValueError: The URL is not one of HTTP.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or parts.hostname is None or parts.query or parts.fragment:
            raise ValueError(f"A server's URL is like http://127.0.0.1:8080; got {url!r}.")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.http = kind(parts.hostname, parts.port, timeout=seconds)
        self.path = parts.path.rstrip("/")

    def send(self, method: str, route: str, body: bytes | None, headers: Mapping[str, str]) -> HTTPResponse:
        """Send one request and read the head of its answer."""
        self.http.request(method, self.path + route, body, headers)
        return self.http.getresponse()

    def still_open(self) -> bool:
        """Whether a kept connection can be used; one with something to read was closed, and is dropped."""
        if self.http.sock is None:
            return False
        poll = select.poll()
        poll.register(self.http.sock, select.POLLIN)
        readable = bool(poll.poll(0))
        if readable:
            self.http.close()
        return not readable

    def close(self) -> None:
        """Close the connection; another request would open a new one."""
        self.http.close()
