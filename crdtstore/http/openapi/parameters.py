"""What a request says beside its body: parameters of the path, of the query string, and headers.

Rules: a header has one schema here, whichever route reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crdtstore.http.openapi.schemas import Schema, Schemas
from crdtstore.http.route import Route
from crdtstore.limits import INT_MAX

AUTHOR: Final = "X-DITTO-CLIENT-ID"
TXN_NAME: Final = "X-DITTO-TXN-ID"
TXN: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": INT_MAX}
HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    AUTHOR: (
        "Who writes: the Base64 of 16 bytes, 8 of site and 8 of epoch, both big-endian.",
        {"type": "string", "pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$", "example": "AAAAAAAAAAUAAAAAAAAAAA=="},
    ),
    TXN_NAME: ("A transaction: a read waits until it is applied, a write is refused if it is not.", TXN),
    "X-CRDTSTORE-AT": ("The transaction at whose version to read.", TXN),
    "Prefer": (
        "`wait=N`: how many seconds to wait, at most, for the transaction.",
        {"type": "string", "pattern": "^wait=[0-9]{1,9}$", "example": "wait=2"},
    ),
}
TXN_HEADER: Final[Schema] = {"description": "The transaction that the store was at.", "schema": TXN}


def parameters_of(route: Route, schemas: Schemas) -> Iterator[Schema]:
    """The parameters of a route."""
    for name in route.names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for name, schema, required in schemas.fields_of(route.described.arguments):
        yield {"name": name, "in": "query", "required": required, "schema": schema}
    for name in route.described.kind.headers:
        description, schema = HEADERS[name]
        required = name == AUTHOR and names_author(route)
        yield {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def names_author(route: Route) -> bool:
    """Whether a request must say who writes."""
    return route.described.kind.writes and route.version is not None and route.version.needs_client_id
