"""What the tests of HTTP call with: the application in this process, and a real server on a free port.

Rules: nothing here waits for time to pass. A server is stopped by whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from crdtstore.http.apps import App
from crdtstore.http.listen import ServerName, listener_of
from crdtstore.http.server import Application

ACTOR = "AAAAAAAAAAUAAAAAAAAAAA=="
JSON_TYPE = {"content-type": "application/json"}
EVENTS = (b"content-type", b"text/event-stream")
"""An answer that goes on: who calls takes the first event and goes away."""


LISTENERS: list[Callable[[str, str, Answered], None]] = []
"""Who hears of each answer in this process: method, path, answer."""


class Answered(NamedTuple):
    """An answer as the caller sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The stable name of the error."""
        return str(self.json["error"]["data"]["code"])


@dataclass
class Exchange:
    """One request on its way through the application; the parts of the body, then silence until `leave`."""

    scope: dict[str, Any]
    parts: list[bytes]
    sent: list[dict[str, Any]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> dict[str, Any]:
        if self.parts:
            return {"type": "http.request", "body": self.parts.pop(0), "more_body": bool(self.parts)}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if b"data: " in message.get("body", b"") and EVENTS in self.sent[0]["headers"]:
            self.leave()

    def leave(self) -> None:
        """Go away, as a caller who closes the connection."""
        self.gone.set()

    @property
    def answered(self) -> Answered:
        start, *bodies = self.sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answered(start["status"], headers, b"".join(part["body"] for part in bodies))


def exchange(
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    *,
    version: str = "1.1",
) -> Exchange:
    """Make a request; a body that is not bytes is written as JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or [])
    names = {name.lower() for name, _ in pairs}
    if "host" not in names:
        pairs.append(("host", "127.0.0.1:80"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("content-length", str(len(data))))
    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "http_version": version,
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "server": ("127.0.0.1", 80),
    }
    return Exchange(scope, [data])


def call(
    application: Application,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    *,
    version: str = "1.1",
) -> Answered:
    """Put one request through the application and return its answer."""

    async def run() -> Answered:
        request = exchange(method, path, body, headers, version=version)
        await application(request.scope, request.receive, request.send)
        return request.answered

    answered = asyncio.run(run())
    for listen in LISTENERS:
        listen(method, path, answered)
    return answered


def headers_for(key: str, **more: str) -> dict[str, str]:
    """Write the headers of a write; `txn="5"` adds the transaction to wait for."""
    headers = {"authorization": f"Bearer {key}", "x-ditto-client-id": ACTOR, **JSON_TYPE}
    if "txn" in more:
        headers["x-ditto-txn-id"] = more.pop("txn")
    return {**headers, **more}


def upsert(identifier: Any, **fields: Any) -> dict[str, Any]:
    """Write the body of a write with one upsert into the collection `c`."""
    return {"commands": [{"method": "upsert", "collection": "c", "id": identifier, "value": fields}]}


def only_app(application: Application) -> App:
    """The app of an application that has one."""
    app = application.apps.only
    assert app is not None
    return app


@contextmanager
def serving(application: Application, server: ServerName = "builtin") -> Iterator[tuple[str, int]]:
    """Serve an application on a free port of the loopback until the block ends."""
    ready = threading.Event()
    listener = listener_of(application, "127.0.0.1", 0, server=server, on_listening=lambda host, port: ready.set())
    address: tuple[str, int] = listener.listening.getsockname()
    thread = threading.Thread(target=listener.run, name="server")
    thread.start()
    try:
        assert ready.wait(60)
        yield address
    finally:
        listener.stop()
        thread.join()


def connect(address: tuple[str, int]) -> socket.socket:
    """Open a connection; a test that hangs on it fails."""
    return socket.create_connection(address, timeout=60)


def until_closed(connection: socket.socket) -> bytes:
    """Read until the other side ends the connection."""
    received = bytearray()
    while part := connection.recv(65_536):
        received += part
    return bytes(received)


def raw(address: tuple[str, int], *parts: bytes) -> list[Answered]:
    """Send bytes on a new connection and return the answers that come until the server ends it."""
    with connect(address) as connection:
        for part in parts:
            connection.sendall(part)
        return answers(until_closed(connection))


def answers(data: bytes) -> list[Answered]:
    """Take a stream of answers apart."""
    found = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        found.append(Answered(int(first.split()[1]), headers, rest[:length]))
        data = rest[length:]
    return found


def as_raw(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Write a request as it goes over the wire; `Host` and `Content-Length` are added."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {headers[name]}" for name in headers),
    ]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
