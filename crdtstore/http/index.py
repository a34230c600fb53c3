"""GET / and GET /api/vN: an index of what is served there, for whoever comes by.

Rules: it is made of the route table, so it is never behind. It tells nothing of what the store holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from crdtstore._version import __version__
from crdtstore.http.call import Call
from crdtstore.http.respond import Answer, encode
from crdtstore.http.route import Route


class ListedRoute(msgspec.Struct):
    """A route, and its methods."""

    path: str
    methods: list[str]


class IndexAnswer(msgspec.Struct):
    """What is served below a path."""

    api: str
    server: str
    version: str
    routes: list[ListedRoute]


def index_of(name: str, routes: Callable[[], tuple[Route, ...]]) -> Callable[[Call], Any]:
    """Make the endpoint that lists routes.

    Args:
        name: Of the API.
        routes: Gives all routes; those below the path of the index are listed.
    """

    async def index(call: Call) -> Answer:
        """Answer with the routes below, and their methods."""
        below = call.route.path.rstrip("/") + "/"
        listed = [{"path": route.path, "methods": route.methods} for route in routes() if route.path.startswith(below)]
        body = {"api": name, "server": "crdtstore", "version": __version__, "routes": listed}
        return Answer(200, encode(body))

    return index
