"""`python -m bench.server KIND FOLDER`: a server under load, in a process of its own, that tells its CPU time.

Rules: it prints one line, its port and a key, and then for each line that comes the nanoseconds of CPU time that the
process took so far. It ends with its standard input. `store` is a durable store behind the whole HTTP API; `off` is the
same, but a write is answered before it reaches the store; `open` is the same as `store` and looks at no key; `hello`
answers every request alike, on the same listener.
`feeds` is `store` whose documents keep the images of their changes, and whose reads wait as long as they must.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from time import process_time_ns
from typing import Any, cast

from crdtstore import Store
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.permission import Permission
from crdtstore.auth.session import Session
from crdtstore.command.command import Command
from crdtstore.command.result import Upserted, Written
from crdtstore.http.listen import Listener
from crdtstore.http.request import Receive, Scope, Send
from crdtstore.http.server import Application, application
from crdtstore.http.wait import Held
from crdtstore.limits import WAIT_SECONDS_DEFAULT, WAIT_SECONDS_MAX

FULL = Permission.full()
GREETING = b'{"hello":"world"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(GREETING))]


class Hello:
    """The least that an application of ASGI does."""

    def __init__(self) -> None:
        self.held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Greet, or live through the server's start and stop."""
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": GREETING})
            return
        for message in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{message}.complete"})


def submit_nothing(_: Session, commands: Sequence[Command], **__: Any) -> Future[Written]:
    """Answer a write of upserts that is never made."""
    done: Future[Written] = Future()
    done.set_result(Written(1, tuple(Upserted(cast("Any", command).id) for command in commands)))
    return done


async def let_in(_: KeyRing, __: str, ___: str) -> Permission:
    """Let in whoever comes."""
    return FULL


def refuse_nothing(_: Permission, __: str, ___: str) -> None:
    """Allow everything."""


def serve(served: Application | Hello, key: str) -> None:
    """Serve until the standard input ends."""

    def tell(_host: str, port: int) -> None:
        print(json.dumps({"port": port, "key": key}), flush=True)
        threading.Thread(target=answer, name="bench-cpu").start()

    def answer() -> None:
        for _ in sys.stdin:
            print(process_time_ns(), flush=True)
        listener.stop()

    listener = Listener(cast("Application", served), "127.0.0.1", 0, on_listening=tell)
    listener.run()


def main(kind: str, folder: str) -> None:
    """Run as a command."""
    if kind == "hello":
        serve(Hello(), "")
        return
    if kind == "off":
        Session.submit = submit_nothing  # type: ignore[assignment, method-assign]  # all but this is measured
    if kind == "open":
        KeyRing.authenticate = let_in  # type: ignore[assignment, method-assign]  # all but this is measured
        Permission.check = refuse_nothing  # type: ignore[assignment, method-assign]
    with Store.open(Path(folder) / kind) as store:
        keyring = KeyRing(store)
        if kind == "feeds":
            store.change_images.set("c", "both")
        wait_seconds = WAIT_SECONDS_MAX if kind == "feeds" else WAIT_SECONDS_DEFAULT
        serve(application(store, keyring, wait_seconds=wait_seconds), keyring.create("bench", Permission.full()))


if __name__ == "__main__":
    main(*sys.argv[1:])
