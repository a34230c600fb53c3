"""The routes of the documents: `GET /openapi.json` for all routes, `GET /api/vN/swagger.json` for those of a version.

Rules: a document is made when it is first asked for, and then kept. It is open to every caller.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from typing import Any, TypeAlias

from crdtstore.http.call import Call
from crdtstore.http.described import Described
from crdtstore.http.openapi.document import document_of
from crdtstore.http.openapi.older import older
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route
from crdtstore.http.store.version import VERSIONS, Version

Routes: TypeAlias = Callable[[], tuple[Route, ...]]
"""Gives all routes: these are among them."""


def document_routes(routes: Routes) -> tuple[Route, ...]:
    """The routes of the documents."""

    def whole() -> bytes:
        return encode(document_of(routes(), "crdtstore"))

    def of_version(version: Version) -> Route:
        root = f"/api/{version.name}"
        title = f"crdtstore, store API {version.name}"
        document = kept(lambda: encode(older(document_of(below(routes(), root), title, root))))
        return open_route(f"{root}/swagger.json", document, version)

    return (open_route("/openapi.json", kept(whole)), *map(of_version, VERSIONS.values()))


def below(routes: tuple[Route, ...], root: str) -> tuple[Route, ...]:
    """The routes below a path."""
    return tuple(route for route in routes if route.path.startswith(f"{root}/"))


def open_route(path: str, endpoint: Callable[[Call], Any], version: Version | None = None) -> Route:
    """A route that answers everybody."""
    errors = "both" if version is None else version.errors
    route = Route(path, ("GET",), endpoint, takes_body=False, version=version, errors=errors, open=True)
    return route._replace(described=Described(gives=dict[str, Any]))


def kept(make: Callable[[], bytes]) -> Callable[[Call], Any]:
    """Make an endpoint that answers with bytes that are made once.

    Args:
        make: Makes them.
    """

    @cache
    def made() -> tuple[bytes, bytes]:
        body = make()
        return body, b'"%b"' % sha256(body).hexdigest()[:32].encode()

    async def document(call: Call) -> Answer:
        """The OpenAPI document."""
        body, tag = made()
        headers = ((b"etag", tag),)
        if call.request.headers.get(b"if-none-match") == tag:
            return Answer(304, b"", headers=headers, cached=b"no-cache")
        return Answer(200, body, headers=headers, cached=b"no-cache")

    return document
