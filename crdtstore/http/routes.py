"""The route table: which path and method lead to which endpoint.

Rules: a path is compared as it was sent, byte by byte; a route is looked up, never searched for. The table is
the one source of what the server offers.

Not here: what an endpoint does (the families).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from crdtstore.errors import MethodNotAllowed, NotFound
from crdtstore.http.admin.backup import backup
from crdtstore.http.admin.stats import stats
from crdtstore.http.call import Call
from crdtstore.http.replication.exchange import exchange
from crdtstore.http.request import JSON, MESSAGE, Form, Request
from crdtstore.http.respond import Answer
from crdtstore.http.store.find import find
from crdtstore.http.store.findbyid import findbyid
from crdtstore.http.store.write import write


class Route(NamedTuple):
    """One path: its endpoint, the methods that it has, whether a request there must have a body, and of which form."""

    path: str
    methods: tuple[str, ...]
    endpoint: Callable[[Call], Awaitable[Answer]]
    takes_body: bool = True
    form: Form = JSON


ROUTES: Final = (
    Route("/api/v3/store/write", ("POST",), write),
    Route("/api/v3/store/find", ("GET", "POST"), find),
    Route("/api/v3/store/findbyid", ("GET", "POST"), findbyid),
    Route("/admin/stats", ("GET",), stats, takes_body=False),
    Route("/admin/backup", ("GET",), backup, takes_body=False),
    Route("/api/replication/v1", ("POST",), exchange, form=MESSAGE),
)

BY_PATH: Final = {route.path: route for route in ROUTES}

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that some path may have. TRACE and CONNECT are refused on every one, known or not."""


def route_of(request: Request) -> Route:
    """Look up the route of a request.

    Raises:
        NotFound: There is no such path.
        MethodNotAllowed: There is, with other methods; `data.allow` names them.
    """
    route = BY_PATH.get(request.path)
    if request.method not in METHODS or (route is not None and request.method not in route.methods):
        allow = ("GET", "POST") if route is None else route.methods
        raise MethodNotAllowed(f"{request.method} is not served here; use {' or '.join(allow)}.", allow=allow)
    if route is None:
        raise NotFound("There is no such route.")
    return route
