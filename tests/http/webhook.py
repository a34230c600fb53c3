"""A webhook of logins on a free port of the loopback, which answers as a test says and keeps what it was asked.

Rules: it ends with the block that started it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """A webhook that runs."""

    answer: Callable[[Mapping[str, str]], Any]
    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """Path, headers and body of each request."""


@contextmanager
def webhook(answer: Callable[[Mapping[str, str]], Any]) -> Iterator[Hook]:
    """Start a webhook; what `answer` makes of a request is sent as JSON, bytes as they are."""
    hook = Hook(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            hook.asked.append((self.path, headers, body))
            said = hook.answer(json.loads(body))
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(hook.status)
            for name, value in {"content-length": str(len(data)), **hook.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/check?of=logins"
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
