"""Load on a server: so many connections, each of which sends its next request when the last one was answered.

Rules: requests are bytes that were made before. An answer that is neither 200 nor 201 ends the bench. Where
there is a compiler `load.c` sends them, which does the same and takes less from the server on the same machine.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter_ns
from typing import cast

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length: "
OK = (b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")


def request_of(line: str, headers: Sequence[str], body: object) -> bytes:
    """A request with a body of JSON as it goes over the wire, by its first line and what headers it has of its own."""
    data = json.dumps(body).encode()
    head = [line, "Host: localhost", *headers, "Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*head, "", ""]).encode() + data


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: Iterator[bytes], ended: asyncio.Future[None]) -> None:
        self.requests = requests
        self.ended = ended
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        """Send the next request, or end."""
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
        else:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, which may come in parts."""
        self.received += data
        head, found, body = self.received.partition(HEAD_END)
        if not found:
            return
        if not head.startswith(OK):
            self.fail(RuntimeError(f"A request was answered {self.received[:500]!r}."))
            return
        if len(body) == int(head.lower().partition(LENGTH)[2].partition(b"\r\n")[0]):
            self.received = b""
            self.send()

    def connection_lost(self, error: Exception | None) -> None:
        """End, well if nothing was left to send."""
        if not self.ended.done():
            if error is None and self.received == b"" and next(self.requests, None) is None:
                self.ended.set_result(None)
            else:
                self.fail(error or RuntimeError("The server ended a connection."))

    def fail(self, error: Exception) -> None:
        """Tell what went wrong."""
        if not self.ended.done():
            self.ended.set_exception(error)
        self.transport.close()


def drive(port: int, requests: Sequence[bytes], connections: int, program: Path | None = None) -> int:
    """Send all requests, and return the nanoseconds that it took.

    Args:
        port: The server's.
        requests: What is sent.
        connections: On how many.
        program: `load.c`, compiled; None for a client in Python.

    Raises:
        RuntimeError: A request was answered something else.
        OSError: The server cannot be reached.
    """
    if program is not None:
        data = b"".join(len(request).to_bytes(8, "little") + request for request in requests)
        done = subprocess.run([program, str(port), str(connections)], input=data, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"The client ended: {done.stderr!r:.500}.")
        return int(done.stdout)

    async def run() -> int:
        loop = asyncio.get_running_loop()
        left = iter(requests)
        ends = [loop.create_future() for _ in range(connections)]
        begun = perf_counter_ns()
        for ended in ends:
            await loop.create_connection(partial(Client, left, ended), "127.0.0.1", port)
        await asyncio.gather(*ends)
        return perf_counter_ns() - begun

    return asyncio.run(run())
