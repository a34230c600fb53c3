"""Listening: which server serves an application, and `serve`, which does both.

Rules: all servers bind their socket when they are made, keep the same bounds and give the same answers. uvicorn is
imported where it is asked for.

Not here: the servers (`serving`, `on_uvicorn`), the application (`server`).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from crdtstore import limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.http.route import ErrorForm
from crdtstore.http.server import ANY_RATE, Application, Rates, application
from crdtstore.http.serving.server import Server
from crdtstore.store import Store

if TYPE_CHECKING:
    from crdtstore.auth.token import Tokens
    from crdtstore.http.login.login import Login

ServerName: TypeAlias = Literal["builtin", "uvicorn"]


class Listener(Protocol):
    """A server of any kind, whose socket is bound."""

    listening: socket.socket

    def run(self) -> None:
        """Serve until a signal comes or `stop` is called."""

    def stop(self) -> None:
        """Let `run` return once requests in progress have ended; from any thread."""


def listener_of(
    application: Application,
    host: str,
    port: int,
    *,
    server: ServerName = "builtin",
    tls: ssl.SSLContext | None = None,
    on_listening: Callable[[str, int], None] | None = None,
) -> Listener:
    """Make a server for an application.

    Args:
        application: What it serves.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        server: Which server: the built-in one, or uvicorn.
        tls: The certificate and how it is used; None for HTTP.
        on_listening: Called once with the address and the port, when connections are taken.

    Raises:
        OSError: The address cannot be listened on.
    """
    if server == "builtin":
        return Server(application, host, port, tls=tls, on_listening=on_listening)
    from crdtstore.http.on_uvicorn import UvicornServer  # noqa: PLC0415  who does not ask for it need not have it

    return UvicornServer(application, host, port, tls=tls, on_listening=on_listening)


def serve(
    store: Store,
    keyring: KeyRing,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    hosts: Collection[str] | None = None,
    origins: Collection[str] = (),
    wait_seconds: float = limits.WAIT_SECONDS_DEFAULT,
    app: str | None = None,
    error_form: ErrorForm = "both",
    rates: Rates = ANY_RATE,
    server: ServerName = "builtin",
    tokens: Tokens | None = None,
    login: Login | None = None,
    tls: ssl.SSLContext | None = None,
    on_listening: Callable[[str, int], None] | None = None,
) -> None:
    """Serve a store until SIGINT or SIGTERM, then let requests in progress end and return.

    Needs the extra `server`. Prints nothing; what happens is logged under `crdtstore.http`.

    Args:
        store: The store; it stays the caller's to close, after this returns.
        keyring: The keys that are let in.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        hosts: See `application`.
        origins: See `application`.
        wait_seconds: See `application`.
        app: See `application`.
        error_form: See `application`.
        rates: See `application`.
        server: See `listener_of`.
        tokens: See `application`.
        login: See `application`.
        tls: The certificate and how it is used; None for HTTP.
        on_listening: Called once with the address and the port, when connections are taken.

    Raises:
        OSError: The address cannot be listened on.
        CallerError: `app` is no app id, or one of `origins` no origin.
    """
    served = application(
        store,
        keyring,
        hosts=hosts,
        origins=origins,
        wait_seconds=wait_seconds,
        app=app,
        error_form=error_form,
        rates=rates,
        tokens=tokens,
        login=login,
    )
    listener_of(served, host, port, server=server, tls=tls, on_listening=on_listening).run()
