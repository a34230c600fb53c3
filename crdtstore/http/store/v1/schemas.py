"""GET /api/v1/schema/NAME.json: what calls, their answers and events look like, as JSON Schema.

Rules: a schema is made of the types that bodies are read as, so it is never behind. Each stands on its own. As the
other documents of the API they need no key.

Not here: all routes in one document (`crdtstore.http.openapi`).
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from crdtstore.http.openapi.faults import ErrorAnswer
from crdtstore.http.openapi.routes import Kept, open_route
from crdtstore.http.openapi.schemas import Schema, singles_of, tidy
from crdtstore.http.respond import encode
from crdtstore.http.route import Route
from crdtstore.http.store.answers import FullWriteAnswer
from crdtstore.http.store.v1.answers import CallFound, CallFoundById
from crdtstore.http.store.v1.rpc import FindByIdCall, FindCall, WriteCall
from crdtstore.http.store.version import VERSIONS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TEMPLATE: Final = "#/$defs/{name}"

DATE_TIME: Final = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
)

Datetime = Annotated[
    str,
    msgspec.Meta(
        pattern=DATE_TIME,
        title="Datetime",
        description="An RFC 3339 date-time of at most nanoseconds. Without a fraction it has none, without an offset "
        "it is in UTC.",
        examples=["2021-04-20T12:34:56.123456789Z", "2021-04-20T12:34:56"],
    ),
]


class Event(msgspec.Struct):
    """An event of a time series as it is sent: its time, when it expires, if it does, and any other keys."""

    time: Datetime = msgspec.field(name="_time")
    expiration: Datetime | msgspec.UnsetType = msgspec.field(name="_expiration", default=msgspec.UNSET)


class Served(NamedTuple):
    """A schema: its title, what it is of, and the first line that says so."""

    title: str
    described: Any
    summary: str


SCHEMAS: Final = {
    "rpc-request": Served("RPC Request", (FindCall, FindByIdCall, WriteCall), "A call, as a JSON schema."),
    "rpc-response": Served(
        "RPC Response",
        (CallFound, CallFoundById, FullWriteAnswer, ErrorAnswer),
        "The answer to a call, as a JSON schema.",
    ),
    "event": Served("Event", Event, "An event of a time series, as a JSON schema."),
    "datetime": Served("Datetime", Datetime, "The time of an event, as a JSON schema."),
}


def schema_of(served: Served) -> Schema:
    """Describe a type, or any of several, in one schema."""
    described = singles_of(served.described)
    found, components = msgspec.json.schema_components(described, ref_template=TEMPLATE)
    schema = found[0] if len(found) == 1 else {"anyOf": list(found)}
    definitions = {"$defs": components} if components else {}
    written: Schema = tidy({"$schema": DIALECT, "title": served.title, **schema, **definitions})
    return written


def written(served: Served) -> Kept:
    """A schema as it is sent."""
    return Kept(encode(schema_of(served)))


def schema_routes() -> tuple[Route, ...]:
    """A route for each."""
    return tuple(
        open_route(f"/api/v1/schema/{name}.json", partial(written, served), served.summary, VERSIONS["v1"])
        for name, served in SCHEMAS.items()
    )
