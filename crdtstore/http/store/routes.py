"""The routes of the store API, version by version."""

from __future__ import annotations

from typing import Final

from crdtstore.http.route import Route
from crdtstore.http.store.count import count
from crdtstore.http.store.execute import execute
from crdtstore.http.store.find import find
from crdtstore.http.store.findbyid import findbyid
from crdtstore.http.store.version import VERSIONS, Version
from crdtstore.http.store.write import write

READS: Final = ("GET", "POST")


def document_routes(version: Version) -> tuple[Route, ...]:
    """What every version from the second on has."""
    base = f"/api/{version.name}/store"
    return (
        Route(f"{base}/write", ("POST",), write, version=version, errors=version.errors),
        Route(f"{base}/find", READS, find, version=version, errors=version.errors),
        Route(f"{base}/findbyid", READS, findbyid, version=version, errors=version.errors),
    )


def statement_routes(version: Version) -> tuple[Route, ...]:
    """What versions from the fourth on have too."""
    base = f"/api/{version.name}/store"
    return (
        Route(f"{base}/count", READS, count, version=version, errors=version.errors),
        Route(f"{base}/execute", ("POST",), execute, version=version, errors="statement"),
    )


STORE_ROUTES: Final = (
    *(route for name in ("v2", "v3", "v4", "v5") for route in document_routes(VERSIONS[name])),
    *(route for name in ("v4", "v5") for route in statement_routes(VERSIONS[name])),
)
