"""A way is what a head leads to: the app, the route, and all else that it says by itself.

Rules: a head that comes again leads the same way, so a way is found once and kept with its head. Nothing is allowed for
it: whom a credential lets in, what he may do and how often he asks are looked at with each request. A way holds for
connections that came in on one address, and by TLS or without.

Not here: the steps of a request (`server`), which heads are kept (`channel`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from crdtstore.auth.credential import Caller, Credential, named
from crdtstore.auth.permission import Permission
from crdtstore.errors import MalformedClientId
from crdtstore.http.apps import App
from crdtstore.http.call import Desk
from crdtstore.http.channel import Head, Headers, Link
from crdtstore.http.headers import actor_of
from crdtstore.http.negotiate import choose
from crdtstore.http.request import Form, Request, check_announced
from crdtstore.http.route import Route
from crdtstore.http.routes import route_of

STRANGER: Final = Caller(Permission.of(frozenset()), "")
"""Who calls open routes, and may do nothing with the store."""


CLIENT_ID: Final = b"x-ditto-client-id"
NAMING: Final = frozenset({b"x-ditto-txn-id", b"x-crdtstore-at"})
"""Headers that name transactions."""


class Way(msgspec.Struct, frozen=True, eq=False):
    """Where a head leads on connections like one.

    `mark` is what the keyring knows the credential by, where it is none of a token, and `who` its bearer as he stands
    in logs; `preferred` is the media type that the caller wants, of those that the route gives; `at_once` says
    whether it names no transaction, `actor` is the client ID that it names, `keyed` says whether the request is to be
    done once; `beside` are the headers that its answer has, whichever it is.
    """

    link: Link
    app: App
    request: Request
    credential: Credential | None
    mark: bytes | None
    who: str
    route: Route
    parameters: Mapping[str, str]
    form: Form
    preferred: bytes
    at_once: bool
    actor: bytes | None
    has_body: bool
    keyed: bool
    beside: Headers
    desk: Desk

    def __repr__(self) -> str:
        """Nothing of its credential."""
        return f"Way({self.request!r})"

    def known(self) -> Caller | None:
        """The caller, if the keyring knows him by his mark; a stranger where the way takes no credential."""
        if self.mark is None:
            return STRANGER if self.credential is None else None
        permission = self.app.keyring.recognize(self.mark)
        return None if permission is None else Caller(permission, self.who)


def way_of(head: Head, link: Link) -> Way | None:
    """The way that a head led before on a connection like this one."""
    way: Way | None = head.way
    if way is not None and way.link is not link:
        return way if way.link.local == link.local and way.link.secure == link.secure else None
    return way


def find_way(link: Link, app: App, request: Request, credential: Credential | None, beside: Headers, desk: Desk) -> Way:
    """Find where a request leads whose caller is known.

    Raises:
        NotFound: There is no such path.
        MethodNotAllowed: There is, with other methods.
        UnsupportedMediaType: The body is announced as another one than the route takes.
        LimitExceeded: It is too long.
    """
    route, parameters = route_of(request)
    form = route.forms[0]
    if route.takes_body or request.has_body:
        form = check_announced(request.headers, route.forms)
    actor = well_formed_actor(request)
    known = credential is not None and credential.kind != "token"
    return Way(
        link,
        app,
        request,
        credential,
        app.keyring.mark(credential.text) if credential is not None and known else None,
        named(credential) if credential is not None and known else "",
        route,
        parameters,
        form,
        choose(request.headers.get(b"accept"), route.gives),
        not NAMING.intersection(request.headers) and (actor is not None or CLIENT_ID not in request.headers),
        actor,
        request.has_body,
        b"idempotency-key" in request.headers and not route.streams,
        beside,
        desk,
    )


def well_formed_actor(request: Request) -> bytes | None:
    """The client ID that a request names, if that is one; whether it must be is for the endpoint to say."""
    try:
        return actor_of(request)
    except MalformedClientId:
        return None
