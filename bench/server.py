"""`python -m bench.server KIND FOLDER SERVER`: a server under load, in a process of its own, that tells its CPU time.

Rules: it prints one line, its port and a key, and then for each line that comes the nanoseconds of CPU time that the
process took so far. It ends with its standard input. `store` is a store as it opens behind the whole HTTP API, `sync`
one without a write-ahead log; `off` is the same, but a write is answered before it reaches the store; `hello` answers
every request alike, on the same listener.
A line `open` has the server look at no key from then on, a line `keyed` has it look again: two processes that do the
same differ by more than what that costs.
`feeds` is `store` whose documents keep the images of their changes, and whose reads wait as long as they must.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from math import inf
from pathlib import Path
from time import process_time_ns
from typing import Any, cast
from urllib.parse import unquote

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.auth.session import Session
from crdtstore.command.command import Command, Upsert
from crdtstore.command.result import Upserted, Written
from crdtstore.http.asgi import Receive, Scope, Send
from crdtstore.http.channel import Channel, Head
from crdtstore.http.listen import ServerName, listener_of
from crdtstore.http.server import Application, application
from crdtstore.http.serving.garbage import settle_garbage
from crdtstore.http.wait import Held
from crdtstore.limits import WAIT_SECONDS_DEFAULT, WAIT_SECONDS_MAX
from crdtstore.version import writer
from crdtstore.version.pending import Pending

FULL = Permission.full()
RECOGNIZE = KeyRing.recognize
CHECK = Permission.check
GREETING = b'{"hello":"world"}'
TYPE = ((b"content-type", b"application/json"),)
HEADERS = [*TYPE, (b"content-length", b"%d" % len(GREETING))]


class Hello:
    """The least that an application of ASGI does, which the built-in server is given by the least adapter."""

    def __init__(self) -> None:
        self.held = Held()

    def stop(self) -> None:
        """Hold nothing."""

    async def handle(self, head: Head, channel: Channel) -> None:
        """Greet, in ASGI, where a server speaks by channels."""
        begun: dict[str, Any] = {}

        async def receive() -> dict[str, Any]:
            body, more = await channel.part()
            return {"type": "http.request", "body": body, "more_body": more}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                begun.update(message)
            else:
                await channel.answer(begun["status"], TYPE, None, message["body"], close=False)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method,
            "path": unquote(head.path.decode("ascii")),
            "raw_path": head.path,
            "query_string": head.query,
            "headers": head.headers,
            "client": (channel.link.address, 0),
            "server": (channel.link.local, 0),
            "scheme": "http",
            "root_path": "",
            "state": {},
        }
        await self(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Greet, or live through the server's start and stop."""
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": GREETING})
            return
        for message in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{message}.complete"})


def submit_nothing(_: Session, commands: Sequence[Command], **__: Any) -> Pending:
    """Answer a write of upserts that is never made."""
    done = Pending()
    upserts = cast("Sequence[Upsert]", commands)
    done.set_result(Written(1, tuple([Upserted(each.id) for each in upserts])))
    return done


def let_in(_: KeyRing, __: bytes) -> Permission:
    """Let in whoever comes, as one who was before."""
    return FULL


def refuse_nothing(_: Permission, __: str, ___: str) -> None:
    """Allow everything."""


def look_at_keys(on: bool) -> None:  # noqa: FBT001  what it says
    """Have keys and permissions looked at, or not."""
    KeyRing.recognize = RECOGNIZE if on else let_in  # type: ignore[assignment, method-assign]  # all but this is measured
    Permission.check = CHECK if on else refuse_nothing  # type: ignore[assignment, method-assign]


def serve(served: Application | Hello, key: str, server: ServerName) -> None:
    """Serve until the standard input ends."""

    def tell(_host: str, port: int) -> None:
        print(json.dumps({"port": port, "key": key}), flush=True)
        threading.Thread(target=answer, name="bench-cpu").start()

    def answer() -> None:
        for line in sys.stdin:
            look_at_keys(line.strip() != "open")
            print(process_time_ns(), flush=True)
        listener.stop()

    listener = listener_of(cast("Application", served), "127.0.0.1", 0, server=server, on_listening=tell)
    settle_garbage()
    listener.run()


def main(kind: str, folder: str, server: ServerName, disk: str = "") -> None:
    """Run as a command; `disk` may be `quick`: then the event loop commits, however long that takes."""
    if disk == "quick":
        vars(writer)["HERE_SECONDS_MAX"] = inf
    if kind == "hello":
        serve(Hello(), "", server)
        return
    if kind == "off":
        Session.submit = submit_nothing  # type: ignore[assignment, method-assign]  # all but this is measured
    with Store.open(Path(folder) / kind, durability="sync" if kind == "sync" else "wal") as store:
        keyring = KeyRing(store)
        if kind == "feeds":
            store.change_images.set("c", "both")
        wait_seconds = WAIT_SECONDS_MAX if kind == "feeds" else WAIT_SECONDS_DEFAULT
        served = application(store, keyring, wait_seconds=wait_seconds)
        serve(served, keyring.create("bench", Permission.full()), server)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], cast("ServerName", sys.argv[3]), *sys.argv[4:])
