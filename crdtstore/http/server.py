"""The server: the application that owns the flow of every request, and `serve`, which puts it on a socket.

A request passes these steps, in this order and nowhere else:

1. `request.read_head` refuses what nobody should send. A browser that asks for a page of another site is answered here.
2. `Apps.pick` finds the app, and `authenticate` turns the credential into a permission there. Open routes of a
   server with one app need none, and get none.
3. `routes.route_of` finds the endpoint: only who is known learns which paths there are.
4. `request.check_announced` and `request.Body`: the body, whole and in time, unless the route streams it.
5. The endpoint answers, holding a `Session`.
6. `represent` gives the answer in the media type that the caller prefers.
7. `faults` turns an error of any step into an answer; `respond` sends what came of it.

A head that comes again led through them before: what they find in a head alone is kept with it (`way`), and only what
may be another thing now is asked again: the rates, the credential, the body, and what follows.

Rules: nothing but an answer of ours goes out; a traceback stands in the log, never in a body. The headers of
a request, which hold its credential, and its query string are never logged.

Not here: sockets and slow heads (`listen`), who may do what (`crdtstore.auth`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from crdtstore import limits
from crdtstore.auth.api_key import KeyRing
from crdtstore.auth.credential import Caller, Credential, authenticate
from crdtstore.auth.rate import Buckets, network_of
from crdtstore.auth.session import Session
from crdtstore.errors import CrdtStoreError, NotFound
from crdtstore.http.apps import App, Apps, named_in, of_one
from crdtstore.http.asgi import Receive, Scope, Send, channel_of, head_of
from crdtstore.http.call import Call, Desk
from crdtstore.http.channel import Channel, Disconnected, Head, KnownHeads, Link
from crdtstore.http.cors import allowed, headers_of, is_preflight, origin_sent, origins_of, preflight
from crdtstore.http.faults import PROBLEM, answer_to, answer_to_unexpected
from crdtstore.http.headers import credential_of, once_of
from crdtstore.http.negotiate import choose
from crdtstore.http.represent import represent
from crdtstore.http.request import (
    JSON,
    LOOPBACK_NAMES,
    Body,
    Request,
    domains_of,
    host_name,
    read_head,
)
from crdtstore.http.respond import Answer, respond
from crdtstore.http.route import ErrorForm
from crdtstore.http.routes import EVERY_SITE_PATHS, STRANGERS_PATHS, find_route, is_open
from crdtstore.http.security_headers import TLS_ONLY, Headers
from crdtstore.http.wait import Held
from crdtstore.http.way import STRANGER, Way, find_way, way_of
from crdtstore.store import Store
from crdtstore.version.writer import in_rounds

if TYPE_CHECKING:
    from crdtstore.auth.token import Tokens
    from crdtstore.http.login.login import Login


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
        origins: Collection[str] = (),
        wait_seconds: float = limits.WAIT_SECONDS_DEFAULT,
        body_seconds: float = limits.BODY_SECONDS_MAX,
        error_form: ErrorForm = "both",
        rates: Rates = ANY_RATE,
        tokens: Tokens | None = None,
        login: Login | None = None,
    ) -> None:
        """Serve apps; the rest is as in `application`."""
        self.apps = apps
        self.hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self.domains = domains_of(self.hosts) if apps.named else frozenset()
        self.origins = origins_of(origins)
        self.wait_seconds = wait_seconds
        self.body_seconds = body_seconds
        self.chosen_form = error_form
        self.by_key = buckets_of(rates.key)
        self.by_address = buckets_of(rates.address)
        self.threads = ThreadPoolExecutor(limits.READ_THREADS, "crdtstore-http")
        self.exchange_threads = ThreadPoolExecutor(limits.EXCHANGE_THREADS, "crdtstore-exchange")
        self.tokens = tokens
        self.login = login
        self.held = Held()
        self.heads = KnownHeads()
        """Of servers that speak ASGI; the built-in one has its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's start and stop."""
        if scope["type"] == "http":
            await self.handle(head_of(scope, self.heads), channel_of(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self.live(receive, send)

    async def live(self, receive: Receive, send: Send) -> None:
        """Follow the server's start and stop."""
        with in_rounds(asyncio.get_running_loop().call_soon):
            while (message := await receive())["type"] != "lifespan.shutdown":
                if message["type"] == "lifespan.startup":
                    await send({"type": "lifespan.startup.complete"})
        self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def stop(self) -> None:
        """Let go of everything; no request is worked on any more."""
        self.held.let_go()
        self.threads.shutdown(wait=True)
        self.exchange_threads.shutdown(wait=True)
        if self.tokens is not None:
            self.tokens.close()
        self.apps.let_go()

    async def handle(self, head: Head, channel: Channel) -> None:
        """Answer one request, whatever happens on the way."""
        body = Body(channel)
        link = channel.link
        way = way_of(head, link)
        try:
            if way is None:
                answer = await self.lead(head, link, body)
            else:
                body.complete = not way.has_body
                if self.by_address is not None:
                    self.check_address(link)
                caller = way.known() or await self.identify(way.app, way.request, link, way.credential)
                if self.by_key is not None:
                    self.check_caller(caller)
                answer = await self.answer(way, head, caller, body)
        except Disconnected:
            return
        except Exception as error:  # noqa: BLE001  the last line of defence: no traceback may reach the caller
            # Of several apps none is told of, not even its newest transaction, before the caller is known.
            answer = self.failed(error, head, self.apps.only)
        way = way or way_of(head, link)
        beside = self.headers_beside(head, link) if way is None else way.beside
        try:
            await respond(channel, answer, beside, close=not body.complete)
        except Disconnected:
            return
        finally:
            if answer.stream is not None:
                answer.stream.close()

    async def lead(self, head: Head, link: Link, body: Body) -> Answer:
        """Take a request through all steps, and leave the way of it with its head."""
        request = read_head(head, link.local, self.hosts, self.domains)
        body.complete = not request.has_body
        self.check_address(link)
        asked = self.preflight(request) if is_preflight(request) else None
        if asked is not None:
            return asked
        app, request, credential = await self.enter(request)
        caller = STRANGER if credential is None else await self.identify(app, request, link, credential)
        self.check_caller(caller)
        try:
            way = find_way(link, app, request, credential, self.headers_beside(head, link), self.desk(app))
        except CrdtStoreError as error:
            return self.failed(error, head, app)
        head.way = way
        return await self.answer(way, head, caller, body)

    async def answer(self, way: Way, head: Head, caller: Caller, body: Body) -> Answer:
        """Take a request of a known caller through its last steps to the endpoint's answer."""
        try:
            data = b"" if way.route.streams else body.there(way.form)
            if data is None:
                data = await body.read(way.form, self.body_seconds)
            once = once_of(way.request, data, caller.who) if way.keyed else None
            session = Session(way.app.store, caller.permission, once)
            call = Call(
                way.request,
                data,
                session,
                body,
                way.form,
                way.route,
                way.parameters,
                way.preferred,
                way.at_once,
                way.actor,
                caller.who,
                way.desk,
            )
            answer = await way.route.endpoint(call)
            if once is not None or answer.media_type != way.preferred:
                answer = await represent(call, answer)
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001  as in `handle`
            return self.failed(error, head, way.app)
        return answer if answer.txn is not None else at_newest(answer, way.app)

    def failed(self, error: Exception, head: Head, app: App | None) -> Answer:
        """Make an answer of an error of any step; it names the newest transaction of the app that is told of."""
        form = self.error_form(head)
        if isinstance(error, CrdtStoreError):
            answer = answer_to(error, form)
        else:
            answer = answer_to_unexpected(head.method, head.path.decode("latin-1"), error, form)
        return answer if app is None else at_newest(answer, app)

    async def enter(self, request: Request) -> tuple[App, Request, Credential | None]:
        """Find the app, the request as it is within that, and the credential; None where a stranger is let in."""
        app = self.apps.only
        if app is not None and is_open(request):
            return app, request, None
        if self.path_within(request.path) in STRANGERS_PATHS:
            if app is None or self.apps.named:
                app, request = await self.apps.pick(request, None, self.domains)
            return app, request, None
        credential = credential_of(request)
        if app is None or self.apps.named:
            app, request = await self.apps.pick(request, credential, self.domains)
        return app, request, credential

    async def identify(self, app: App, request: Request, link: Link, credential: Credential | None = None) -> Caller:
        """Find out who the caller is in an app, by the credential if it was read already.

        Raises:
            Unauthenticated: He is not known there.
            Overloaded: That cannot be told now.
        """
        return await authenticate(
            app.keyring, credential or credential_of(request), link.address, self.tokens, app.name
        )

    def check_address(self, link: Link) -> None:
        """Refuse an address that asks too often.

        Raises:
            Overloaded: It does.
        """
        if self.by_address is not None:
            self.by_address.check(network_of(link.address), monotonic(), "This address")

    def check_caller(self, caller: Caller) -> None:
        """Refuse a key that asks too often; strangers have none.

        Raises:
            Overloaded: It does.
        """
        if self.by_key is not None and caller is not STRANGER:
            self.by_key.check(caller.who, monotonic(), "This key")

    def preflight(self, request: Request) -> Answer | None:
        """Answer a browser that asks whether a page may call, if it may; else it is a request like others.

        Raises:
            NotFound: There is nothing to call.
        """
        path = self.path_within(request.path)
        if allowed(request.headers.get(b"origin"), self.origins, every_site=path in EVERY_SITE_PATHS) is None:
            return None
        found = find_route(path)
        if found is None:
            raise NotFound("There is no such route.")
        return preflight(request, found.route.methods)

    def headers_beside(self, head: Head, link: Link) -> Headers:
        """The headers that an answer has whichever it is, for browsers: who may have it, and that TLS stays."""
        origin = origin_sent(head)
        tls_only = TLS_ONLY if link.secure and self.is_named(head, link) else ()
        if origin is None and not self.origins:
            return tls_only
        every_site = self.path_within(head.path.decode("latin-1")) in EVERY_SITE_PATHS
        allow = allowed(origin, self.origins, every_site=every_site)
        return (*tls_only, *headers_of(allow, vary=bool(self.origins) and not every_site))

    def is_named(self, head: Head, link: Link) -> bool:
        """Whether a server was called by a name that is its own, not one that each machine has."""
        try:
            request = read_head(head, link.local, self.hosts, self.domains)
        except CrdtStoreError:
            return False
        name = host_name(request.headers[b"host"])
        return name not in LOOPBACK_NAMES and not name.endswith(".localhost")

    def path_within(self, path: str) -> str:
        """A path without the app that it may name."""
        return named_in(path)[1] if self.apps.named else path

    def desk(self, app: App) -> Desk:
        """What an app and this server lend to calls."""
        return Desk(
            self.threads,
            self.exchange_threads,
            self.wait_seconds,
            self.body_seconds,
            self.held,
            app.pins,
            app.backups,
            app.transfers,
            app.keyring,
            partial(self.identify, app),
            app.name,
            self.login,
        )

    def error_form(self, head: Head) -> ErrorForm:
        """How an error is written: as the caller prefers, else as the path's route does, whoever asks for it.

        What may name an app is taken for one, whether there is such an app or not.
        """
        accept = b", ".join(value for name, value in head.headers if name == b"accept")
        if choose(accept, (JSON.media_type, PROBLEM)) == PROBLEM:
            return "problem"
        try:
            found = find_route(self.path_within(head.path.decode("latin-1")))
        except CrdtStoreError:
            found = None
        if found is None:
            return "both"
        chosen = found.route.errors == "both" and found.route.version is not None
        return self.chosen_form if chosen else found.route.errors


def buckets_of(per_second: float | None) -> Buckets | None:
    """Buckets for a rate, which let requests of RATE_SECONDS through at once."""
    return None if per_second is None else Buckets(per_second, max(1.0, per_second * limits.RATE_SECONDS))


def at_newest(answer: Answer, app: App) -> Answer:
    """The same answer, naming the newest transaction of an app, if even that can be had."""
    try:
        return answer.but(txn=app.store.applied)
    except CrdtStoreError:
        return answer


def application(
    store: Store,
    keyring: KeyRing,
    *,
    hosts: Collection[str] | None = None,
    origins: Collection[str] = (),
    wait_seconds: float = limits.WAIT_SECONDS_DEFAULT,
    body_seconds: float = limits.BODY_SECONDS_MAX,
    app: str | None = None,
    error_form: ErrorForm = "both",
    rates: Rates = ANY_RATE,
    tokens: Tokens | None = None,
    login: Login | None = None,
) -> Application:
    """Make the ASGI application over a store, for any ASGI server.

    Args:
        store: The store; it stays the caller's to close.
        keyring: The keys that are let in.
        hosts: Names that the `Host` header may have, without ports; None for the names of the loopback and
            the address that a connection comes in on.
        origins: Whose pages may call from a browser: origins as browsers send them; none unless told.
        wait_seconds: How long a read waits for the transaction that it names.
        body_seconds: How long a body may take to arrive.
        app: The id under which the store is served too; None for none.
        error_form: How errors of the store API are written from version 2 on: see `faults`.
        rates: How many requests a second there may be.
        tokens: What verifies access tokens; None where none are taken.
        login: What gives them out; None where nothing does.

    Raises:
        CallerError: One of `origins` is no origin.
    """
    return Application(
        of_one(store, keyring, app),
        hosts=hosts,
        origins=origins,
        wait_seconds=wait_seconds,
        body_seconds=body_seconds,
        error_form=error_form,
        rates=rates,
        tokens=tokens,
        login=login,
    )
