"""The routes of documents as resources."""

from __future__ import annotations

from typing import Final

from crdtstore.http.request import CBOR, JSON
from crdtstore.http.route import Route
from crdtstore.http.store.resource.document import METHODS, document
from crdtstore.http.store.resource.history import history
from crdtstore.http.store.version import VERSIONS, Version

EITHER: Final = (JSON.media_type, CBOR.media_type)


def resource_routes(version: Version) -> tuple[Route, Route]:
    """Those of one version."""
    path = f"/api/{version.name}/collections/{{collection}}/documents/{{id}}"
    return (
        Route(
            path,
            tuple(METHODS),
            document,
            takes_body=False,
            forms=(version.payload, CBOR),
            gives=EITHER,
            version=version,
            errors=version.errors,
        ),
        Route(
            f"{path}/history",
            ("GET",),
            history,
            takes_body=False,
            gives=EITHER,
            version=version,
            errors=version.errors,
        ),
    )


RESOURCE_ROUTES: Final = tuple(route for name in ("v4", "v5") for route in resource_routes(VERSIONS[name]))
