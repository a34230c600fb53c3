"""What a request says beside its body: parameters of the path, of the query string, and headers.

Rules: a header has one schema here, whichever route reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crdtstore.http.described import Described
from crdtstore.http.openapi.schemas import Schema, Schemas
from crdtstore.http.route import Route
from crdtstore.limits import EVENT_TTL_SECONDS_MAX, IDEMPOTENCY_KEY_BYTES_MAX, INT_MAX

AUTHOR: Final = "X-DITTO-CLIENT-ID"
TXN_NAME: Final = "X-DITTO-TXN-ID"
TXN: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": INT_MAX}
FLAG: Final[Schema] = {"type": "string", "enum": ["true", "false"]}
ONCE: Final[Schema] = {"type": "string", "pattern": f"^[!-~]{{1,{IDEMPOTENCY_KEY_BYTES_MAX}}}$"}
TAGS: Final[Schema] = {"type": "string", "pattern": '^([*]|"[0-9a-f]{32}")$', "example": "*"}
ENSURED: Final = ("It holds anyway: each write is made with the newest state in sight.", FLAG)
HEADERS: Final[dict[str, tuple[str, Schema]]] = {
    AUTHOR: (
        "Who writes: the Base64 of 16 bytes, 8 of site and 8 of epoch, both big-endian.",
        {"type": "string", "pattern": "^[A-Za-z0-9+/]{21}[AQgw]==$", "example": "AAAAAAAAAAUAAAAAAAAAAA=="},
    ),
    TXN_NAME: ("A transaction: a read waits until it is applied, a write is refused if it is not.", TXN),
    "X-DITTO-ENSURE-INSERT": ENSURED,
    "X-DITTO-ENSURE-DELETE": ENSURED,
    "X-CRDTSTORE-AT": ("The transaction at whose version to read.", TXN),
    "Idempotency-Key": ("A name for this request: sent again under it, it is answered as before, and done once.", ONCE),
    "If-Match": ("Entity tags, or `*`: one that the document must have.", TAGS),
    "If-None-Match": ("Entity tags, or `*`: those that the document must not have.", TAGS),
    "Last-Event-ID": ("The transaction of the last event that a reader who comes back has seen.", TXN),
    "Range": (
        "The bytes that are wanted, `bytes=FIRST-LAST`; either may be left out.",
        {"type": "string", "pattern": "^bytes=[0-9]{1,18}-$", "example": "bytes=0-"},
    ),
    "Content-Range": (
        "Which bytes of a file the body is, and how many it has; or, with `*`, only how many it has.",
        {"type": "string", "pattern": "^bytes [*]/[0-9]{1,9}$", "example": "bytes */5"},
    ),
    "If-Range": (
        "The entity tag of a file: of another one the range is not wanted.",
        {"type": "string", "pattern": '^"[0-9A-Za-z_-]{46}"$'},
    ),
    "X-EVENT-TTL-SECONDS": (
        "How many seconds after they arrived events expire that do not say so.",
        {"type": "integer", "minimum": 0, "maximum": EVENT_TTL_SECONDS_MAX},
    ),
    "Prefer": (
        "`wait=N`: how many seconds to wait, at most, for the transaction.",
        {"type": "string", "pattern": "^wait=[0-9]{1,9}$", "example": "wait=2"},
    ),
}
TXN_HEADER: Final[Schema] = {"description": "The transaction that the store was at.", "schema": TXN}


def parameters_of(route: Route, described: Described, schemas: Schemas) -> Iterator[Schema]:
    """The parameters of a route with a method."""
    for name in route.names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for name, schema, required in schemas.fields_of(described.arguments):
        yield {"name": name, "in": "query", "required": required, "schema": schema}
    for name in (*described.kind.headers, *described.headers):
        description, schema = HEADERS[name]
        required = name == AUTHOR and described.kind.writes and needs_author(route)
        yield {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


def needs_author(route: Route) -> bool:
    """Whether a write must say who writes."""
    return route.version is not None and route.version.needs_client_id
