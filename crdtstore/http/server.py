"""The server: the application that owns the flow of every request, and `serve`, which puts it on a socket.

A request passes these steps, in this order and nowhere else:

1. `request.read_head` refuses what nobody should send.
2. `Apps.pick` finds the app, and `KeyRing.authenticate` turns the credential into a permission there. Open routes of a
   server with one app need none, and get none.
3. `routes.route_of` finds the endpoint: only who is known learns which paths there are.
4. `request.check_announced` and `request.Body`: the body, whole and in time, unless the route streams it.
5. The endpoint answers, holding a `Session`.
6. `represent` gives the answer in the media type that the caller prefers.
7. `faults` turns an error of any step into an answer; `respond` sends what came of it.

Rules: nothing but an answer of ours goes out; a traceback stands in the log, never in a body. The headers of
a request, which hold its credential, and its query string are never logged.

Not here: sockets and slow heads (`listen`), who may do what (`crdtstore.auth`).
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Final, NamedTuple

from crdtstore import limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.key_form import FIXED_PART
from crdtstore.auth.permission import Permission
from crdtstore.auth.rate import Buckets, network_of
from crdtstore.auth.session import Session
from crdtstore.errors import CrdtStoreError
from crdtstore.http.apps import App, Apps, named_in, of_one
from crdtstore.http.call import Call
from crdtstore.http.cbor import json_as_cbor
from crdtstore.http.faults import PROBLEM, answer_to, answer_to_unexpected
from crdtstore.http.headers import once_of, token_of
from crdtstore.http.negotiate import choose
from crdtstore.http.request import (
    CBOR,
    JSON,
    MESSAGE,
    Body,
    Disconnected,
    Form,
    Receive,
    Request,
    Scope,
    Send,
    check_announced,
    domains_of,
    read_head,
)
from crdtstore.http.respond import Answer, respond
from crdtstore.http.route import ErrorForm
from crdtstore.http.routes import Found, find_route, is_open, route_of
from crdtstore.http.wait import Held
from crdtstore.store import Store

NOTHING: Final = Permission.of(frozenset())
"""What callers of open routes may do with the store."""

REPLAYED: Final = (b"idempotency-replayed", b"true")


class Rates(NamedTuple):
    """How many requests a second there may be of one key, and from one address; None for any number."""

    key: float | None = None
    address: float | None = None


ANY_RATE: Final = Rates()


class Application:
    """The ASGI application over the stores of apps, mostly of one.

    It does not own them: who made them closes them, after the application has stopped.
    """

    def __init__(
        self,
        apps: Apps,
        *,
        hosts: Collection[str] | None = None,
        wait_seconds: float = limits.WAIT_SECONDS_DEFAULT,
        body_seconds: float = limits.BODY_SECONDS_MAX,
        error_form: ErrorForm = "both",
        rates: Rates = ANY_RATE,
    ) -> None:
        """Serve apps; the rest is as in `application`."""
        self.apps = apps
        self.hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self.domains = domains_of(self.hosts) if apps.named else frozenset()
        self.wait_seconds = wait_seconds
        self.body_seconds = body_seconds
        self.chosen_form = error_form
        self.by_key = buckets_of(rates.key)
        self.by_address = buckets_of(rates.address)
        self.threads = ThreadPoolExecutor(limits.READ_THREADS, "crdtstore-http")
        self.exchange_threads = ThreadPoolExecutor(limits.EXCHANGE_THREADS, "crdtstore-exchange")
        self.held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's start and stop."""
        if scope["type"] == "http":
            await self.handle(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.live(receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        """Follow the server's start and stop."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.held.let_go()
                self.threads.shutdown(wait=True)
                self.exchange_threads.shutdown(wait=True)
                self.apps.let_go()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens on the way."""
        body = Body(receive)
        # Of several apps none is told of, not even its newest transaction, before the caller is known.
        app = self.apps.only
        try:
            try:
                request = read_head(scope, self.hosts, self.domains)
                body.complete = not request.has_body
                app, request, permission = await self.enter(request)
                answer = await self.answer(request, app, permission, body)
            except CrdtStoreError as error:
                answer = answer_to(error, self.error_form(scope))
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001  # the last line of defence: no traceback may reach the caller
            answer = answer_to_unexpected(scope["method"], scope["path"], error, self.error_form(scope))
        if answer.txn is None and app is not None:
            answer = answer._replace(txn=applied(app))
        try:
            await respond(send, answer, close=not body.complete)
        except Disconnected:
            return
        finally:
            if answer.stream is not None:
                answer.stream.close()

    async def enter(self, request: Request) -> tuple[App, Request, Permission]:
        """Find the app, the request as it is within that, and what the caller may do there."""
        if self.by_address is not None:
            self.by_address.check(network_of(request.address), monotonic(), "This address")
        app = self.apps.only
        if app is not None and is_open(request):
            return app, request, NOTHING
        token = token_of(request)
        if app is None or self.apps.named:
            app, request = await self.apps.pick(request, token, self.domains)
        permission = await app.keyring.authenticate(token, request.address)
        if self.by_key is not None:
            self.by_key.check(token.partition(FIXED_PART)[0], monotonic(), "This key")
        return app, request, permission

    async def answer(self, request: Request, app: App, permission: Permission, body: Body) -> Answer:
        """Take a request of a known caller through its steps to the endpoint's answer."""
        found = route_of(request)
        form = found.route.forms[0]
        if found.route.takes_body or request.has_body:
            form = check_announced(request.headers, found.route.forms)
        data = b"" if found.route.streams else await body.read(form, self.body_seconds)
        session = Session(app.store, permission, None if found.route.streams else once_of(request, data))
        call = self.call(request, data, form, app, session, body, found)
        return await represent(call, await found.route.endpoint(call))

    def call(
        self, request: Request, data: bytes, form: Form, app: App, session: Session, body: Body, found: Found
    ) -> Call:
        """Put together what an endpoint holds."""
        return Call(
            request,
            data,
            session,
            body.receive,
            self.exchange_threads if form is MESSAGE else self.threads,
            self.wait_seconds,
            self.held,
            app.pins,
            app.backups,
            app.transfers,
            body,
            self.body_seconds,
            form,
            found.route,
            found.parameters,
            app.keyring,
        )

    def error_form(self, scope: Scope) -> ErrorForm:
        """How an error is written: as the caller prefers, else as the path's route does, whoever asks for it.

        What may name an app is taken for one, whether there is such an app or not.
        """
        accept = b", ".join(value for name, value in scope["headers"] if name == b"accept")
        if choose(accept, (JSON.media_type, PROBLEM)) == PROBLEM:
            return "problem"
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        try:
            found = find_route(named_in(path)[1] if self.apps.named else path)
        except CrdtStoreError:
            found = None
        if found is None:
            return "both"
        chosen = found.route.errors == "both" and found.route.version is not None
        return self.chosen_form if chosen else found.route.errors


def buckets_of(per_second: float | None) -> Buckets | None:
    """Buckets for a rate, which let requests of RATE_SECONDS through at once."""
    return None if per_second is None else Buckets(per_second, max(1.0, per_second * limits.RATE_SECONDS))


def applied(app: App) -> int | None:
    """Return the newest transaction of an app, or None when even that cannot be had."""
    try:
        return app.store.applied
    except CrdtStoreError:
        return None


async def represent(call: Call, answer: Answer) -> Answer:
    """Give an answer in the media type that its caller prefers; one that was given before says so."""
    if call.session.once is not None and call.session.once.repeated:
        answer = answer._replace(headers=(*answer.headers, REPLAYED))
    chosen = call.preferred
    if chosen == answer.media_type or chosen != CBOR.media_type or not answer.body:
        return answer
    body = await call.in_thread(lambda: json_as_cbor(answer.body))
    return answer._replace(body=body, media_type=chosen)


def application(
    store: Store,
    keyring: KeyRing,
    *,
    hosts: Collection[str] | None = None,
    wait_seconds: float = limits.WAIT_SECONDS_DEFAULT,
    body_seconds: float = limits.BODY_SECONDS_MAX,
    app: str | None = None,
    error_form: ErrorForm = "both",
    rates: Rates = ANY_RATE,
) -> Application:
    """Make the ASGI application over a store, for any ASGI server.

    Args:
        store: The store; it stays the caller's to close.
        keyring: The keys that are let in.
        hosts: Names that the `Host` header may have, without ports; None for the names of the loopback and
            the address that a connection comes in on.
        wait_seconds: How long a read waits for the transaction that it names.
        body_seconds: How long a body may take to arrive.
        app: The id under which the store is served too; None for none.
        error_form: How errors of the store API are written from version 2 on: see `faults`.
        rates: How many requests a second there may be.
    """
    return Application(
        of_one(store, keyring, app),
        hosts=hosts,
        wait_seconds=wait_seconds,
        body_seconds=body_seconds,
        error_form=error_form,
        rates=rates,
    )
