"""The routes of the documents: `/openapi.json` for all, `/api/vN/swagger.json` for a version, `/docs` for people.

Rules: a document is made when it is first asked for, and then kept. It is open to every caller.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

from crdtstore.http.call import Call
from crdtstore.http.described import Described
from crdtstore.http.openapi.document import document_of
from crdtstore.http.openapi.older import older
from crdtstore.http.openapi.page import page_of
from crdtstore.http.request import JSON
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route
from crdtstore.http.security_headers import POLICY
from crdtstore.http.store.version import VERSIONS, Version

Routes: TypeAlias = Callable[[], tuple[Route, ...]]
"""Gives all routes: these are among them."""


HTML: Final = b"text/html; charset=utf-8"


class Kept(NamedTuple):
    """What is kept: a body, and what a browser may do with it."""

    body: bytes
    media_type: bytes = JSON.media_type
    policy: bytes = POLICY


def document_routes(routes: Routes) -> tuple[Route, ...]:
    """The routes of the documents."""

    def whole() -> Kept:
        return Kept(encode(document_of(routes(), "crdtstore")))

    def page() -> Kept:
        made = page_of(document_of(routes(), "crdtstore"))
        return Kept(made.html, HTML, made.policy)

    def of_version(version: Version) -> Route:
        root = f"/api/{version.name}"
        title = f"crdtstore, store API {version.name}"

        def below_root() -> Kept:
            found = tuple(route for route in routes() if route.path.startswith(f"{root}/"))
            return Kept(encode(older(document_of(found, title, root))))

        return open_route(f"{root}/swagger.json", below_root, "The OpenAPI document of this version.", version)

    return (
        open_route("/openapi.json", whole, "The OpenAPI document of every route."),
        open_route("/docs", page, "A page that shows every call, and sends it.")._replace(gives=(HTML,)),
        *map(of_version, VERSIONS.values()),
    )


def open_route(path: str, make: Callable[[], Kept], summary: str, version: Version | None = None) -> Route:
    """A route that answers everybody with what is made once.

    Args:
        path: Its path.
        make: Makes what is served.
        summary: What that is, in a line.
        version: The version of the store API that it belongs to.
    """
    errors = "both" if version is None else version.errors
    described = Described(gives=dict[str, Any], headers=("If-None-Match",), summary=summary)
    route = Route(path, ("GET",), kept(make), takes_body=False, version=version, errors=errors)
    return route._replace(described=described, open=True)


def kept(make: Callable[[], Kept]) -> Callable[[Call], Any]:
    """Make an endpoint that answers with what is made once."""

    @cache
    def made() -> tuple[Kept, bytes]:
        served = make()
        return served, b'"%b"' % sha256(served.body).hexdigest()[:32].encode()

    async def document(call: Call) -> Answer:
        """Answer with it, if the caller does not have it."""
        served, tag = made()
        answer = Answer(
            200,
            served.body,
            headers=((b"etag", tag),),
            media_type=served.media_type,
            cached=b"no-cache",
            policy=served.policy,
        )
        known = call.request.headers.get(b"if-none-match", b"").split(b",")
        if tag in {each.strip().removeprefix(b"W/") for each in known}:
            return answer.but(status=304, body=b"")
        return answer

    return document
