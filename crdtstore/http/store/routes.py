"""The routes of the store API, version by version."""

from __future__ import annotations

from typing import Final

from crdtstore.http.route import Route
from crdtstore.http.store.find import find
from crdtstore.http.store.findbyid import findbyid
from crdtstore.http.store.version import VERSIONS, Version
from crdtstore.http.store.write import write


def store_routes(version: Version) -> tuple[Route, ...]:
    """What every version from the second on has."""
    base = f"/api/{version.name}/store"
    reads = ("GET", "POST")
    return (
        Route(f"{base}/write", ("POST",), write, version=version, errors=version.errors),
        Route(f"{base}/find", reads, find, version=version, errors=version.errors),
        Route(f"{base}/findbyid", reads, findbyid, version=version, errors=version.errors),
    )


STORE_ROUTES: Final = (*store_routes(VERSIONS["v3"]),)
