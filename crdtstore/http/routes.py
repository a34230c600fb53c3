"""The route table: which path and method lead to which endpoint.

Rules: a path is compared as it was sent, byte by byte, but for the segments that a route names in braces: those are
unescaped once, each by itself. A route is looked up, segment by segment, never searched for. The tables of the families
are the one source of what the server offers.

Not here: what an endpoint does (the families).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from crdtstore.errors import MalformedMessage, MalformedRequest, MethodNotAllowed, NotFound, StoreFull
from crdtstore.http.admin.accounts import ACCOUNT_ROUTES
from crdtstore.http.admin.backup import MEDIA_TYPE, backup
from crdtstore.http.admin.change_images import IMAGES_ROUTES
from crdtstore.http.admin.keys import KEY_ROUTES
from crdtstore.http.admin.stats import stats
from crdtstore.http.admin.transactions import TransactionsAnswer, transactions
from crdtstore.http.described import Described
from crdtstore.http.index import IndexAnswer, index_of
from crdtstore.http.login.routes import LOGIN_ROUTES
from crdtstore.http.openapi.routes import document_routes
from crdtstore.http.replication.exchange import exchange
from crdtstore.http.request import MESSAGE, Request
from crdtstore.http.route import Route
from crdtstore.http.store.attachments.routes import ATTACHMENT_ROUTES
from crdtstore.http.store.changes.routes import CHANGES_ROUTES
from crdtstore.http.store.live.routes import LIVE_ROUTES
from crdtstore.http.store.resource.routes import RESOURCE_ROUTES
from crdtstore.http.store.routes import STORE_ROUTES
from crdtstore.http.store.series.routes import SERIES_ROUTES
from crdtstore.http.store.v1.routes import V1_ROUTES
from crdtstore.http.store.version import VERSIONS, Version
from crdtstore.storage.stats import Stats


def every_route() -> tuple[Route, ...]:
    """The table, for what is in it and lists it."""
    return ROUTES


def index_route(path: str, name: str, version: Version | None = None) -> Route:
    """The index of an API."""
    errors = "both" if version is None else version.errors
    described = Described(gives=IndexAnswer)
    endpoint = index_of(name, every_route)
    return Route(path, ("GET",), endpoint, takes_body=False, version=version, errors=errors, described=described)


ROUTES: Final[tuple[Route, ...]] = (
    index_route("/", "all"),
    *(index_route(f"/api/{version.name}", f"store {version.name}", version) for version in VERSIONS.values()),
    *document_routes(every_route),
    *V1_ROUTES,
    *SERIES_ROUTES,
    *STORE_ROUTES,
    *RESOURCE_ROUTES,
    *ATTACHMENT_ROUTES,
    *CHANGES_ROUTES,
    *LIVE_ROUTES,
    Route("/txn", ("GET",), transactions, takes_body=False, described=Described(gives=TransactionsAnswer)),
    *IMAGES_ROUTES,
    Route("/admin/stats", ("GET",), stats, takes_body=False, described=Described(gives=Stats)),
    Route(
        "/admin/backup",
        ("GET",),
        backup,
        takes_body=False,
        gives=(MEDIA_TYPE,),
        described=Described(errors=(NotFound,)),
    ),
    *KEY_ROUTES,
    *ACCOUNT_ROUTES,
    *LOGIN_ROUTES,
    Route(
        "/api/replication/v1",
        ("POST",),
        exchange,
        forms=(MESSAGE,),
        gives=(MESSAGE.media_type,),
        described=Described(errors=(MalformedMessage, StoreFull)),
    ),
)

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that some path may have. TRACE and CONNECT are refused on every one, known or not."""

ANY: Final = "*"
"""In the tree: a segment that is a parameter."""

HERE: Final = ""
"""In the tree: the route that ends here. No segment of a path is empty where routes are looked for."""


OPEN_PATHS: Final = frozenset(route.path for route in ROUTES if route.open)
STRANGERS_PATHS: Final = frozenset(route.path for route in ROUTES if route.for_strangers)
EVERY_SITE_PATHS: Final = frozenset(route.path for route in ROUTES if route.every_site)


class Found(NamedTuple):
    """A route, and what its path says."""

    route: Route
    parameters: dict[str, str]


def tree_of(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The routes that have parameters, as a tree of segments."""
    tree: dict[str, Any] = {}
    for route in routes:
        place = tree
        for segment in route.path[1:].split("/"):
            place = place.setdefault(ANY if segment.startswith("{") else segment, {})
        place[HERE] = route
    return tree


ROOTS: Final = frozenset(f"/api/{name}" for name in VERSIONS)
"""Addresses that clients are given as the root of an API, written with a slash at the end or without."""

BY_PATH: Final = {route.path: Found(route, {}) for route in ROUTES if not route.names} | {
    f"{route.path}/": Found(route, {}) for route in ROUTES if route.path in ROOTS
}
TREE: Final = tree_of(tuple(route for route in ROUTES if route.names))


def find_route(path: str) -> Found | None:
    """The route of a path, if there is one.

    Raises:
        MalformedRequest: A parameter is not UTF-8 behind its escapes.
    """
    found = BY_PATH.get(path)
    if found is not None:
        return found
    place: Any = TREE
    given: list[str] = []
    for segment in path[1:].split("/"):
        if segment in place and segment not in {HERE, ANY}:
            place = place[segment]
        elif ANY in place and segment:
            place = place[ANY]
            given.append(segment)
        else:
            return None
    route: Route | None = place.get(HERE)
    return None if route is None else Found(route, dict(zip(route.names, map(unescape, given), strict=True)))


def unescape(segment: str) -> str:
    """What a segment stands for."""
    try:
        return unquote(segment.encode("latin-1").decode(), errors="strict")
    except UnicodeDecodeError:
        raise MalformedRequest(f"The path's segment {segment!r:.60} is not UTF-8.") from None


def is_open(request: Request) -> bool:
    """Whether a request is answered without a key: one with a body never is, since nobody reads for strangers."""
    return request.path in OPEN_PATHS and not request.has_body


def route_of(request: Request) -> Found:
    """Look up the route of a request.

    Raises:
        NotFound: There is no such path.
        MethodNotAllowed: There is, with other methods; `data.allow` names them.
    """
    found = find_route(request.path)
    if request.method not in METHODS or (found is not None and request.method not in found.route.methods):
        allow = ("GET", "POST") if found is None else found.route.methods
        raise MethodNotAllowed(f"{request.method} is not served here; use {' or '.join(allow)}.", allow=allow)
    if found is None:
        raise NotFound("There is no such route.")
    return found
