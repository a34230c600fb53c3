"""The routes of the store API, version by version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from crdtstore.http.request import CBOR, JSON
from crdtstore.http.route import Route
from crdtstore.http.store.count import count
from crdtstore.http.store.execute import execute
from crdtstore.http.store.find import find
from crdtstore.http.store.findbyid import findbyid
from crdtstore.http.store.remote_execute import remote_execute
from crdtstore.http.store.version import VERSIONS, Version
from crdtstore.http.store.write import write

READS: Final = ("GET", "POST")
EITHER: Final = (JSON.media_type, CBOR.media_type)


def document_routes(version: Version) -> tuple[Route, ...]:
    """What every version from the second on has."""
    route = maker(version)
    return (
        route("write", ("POST",), write),
        route("find", READS, find),
        route("findbyid", READS, findbyid),
    )


def statement_routes(version: Version) -> tuple[Route, ...]:
    """What versions from the fourth on have too."""
    route = maker(version)
    return (
        route("count", READS, count),
        route("execute", ("POST",), execute, errors="statement", gives=(JSON.media_type,)),
        route("remote_execute", ("POST",), remote_execute, path=f"/api/{version.name}/sync/remote_execute"),
    )


def maker(version: Version) -> Callable[..., Route]:
    """What makes the routes of a version."""

    def make(name: str, methods: tuple[str, ...], endpoint: Any, **more: Any) -> Route:
        route = Route(
            f"/api/{version.name}/store/{name}",
            methods,
            endpoint,
            forms=(version.payload,),
            gives=EITHER,
            version=version,
            errors=version.errors,
        )
        return route._replace(**more)

    return make


STORE_ROUTES: Final = (
    *(route for name in ("v2", "v3", "v4", "v5") for route in document_routes(VERSIONS[name])),
    *(route for name in ("v4", "v5") for route in statement_routes(VERSIONS[name])),
)
