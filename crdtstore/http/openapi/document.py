"""The OpenAPI document of some routes, in version 3.1.

Rules: what is the same for many routes stands in `components`. A path stands as the route table has it, or below the
root of an API, which is then the server's.

Not here: version 3.0 (`older`), serving (`routes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from crdtstore._version import __version__
from crdtstore.http.described import Described
from crdtstore.http.faults import PROBLEM
from crdtstore.http.openapi.faults import FORM_TYPES, TYPES, faults_of
from crdtstore.http.openapi.parameters import TXN_HEADER, TXN_NAME, parameters_of
from crdtstore.http.openapi.schemas import Schema, Schemas
from crdtstore.http.request import LINES
from crdtstore.http.route import Route

UNCHANGED: Final = "If-None-Match"
"""The header of a caller who has what is asked for, perhaps."""

PART: Final = "Range"
"""The header of a caller who wants a part of it."""

DIALECT: Final = "3.1.1"
STORE: Final = "A document store whose every field is a CRDT."
KEY_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, as `crdtstore keys create` makes it.",
}


def document_of(routes: Sequence[Route], title: str, root: str = "") -> Schema:
    """Describe routes.

    Args:
        routes: Those of the document.
        title: What they are.
        root: The path of an API that they are all below; it is left out of their paths.
    """
    described = [route.described_for(method) for route in routes for method in route.methods]
    types = [each for one in described for each in (one.takes, one.gives, one.line, one.arguments)]
    schemas = Schemas([*types, *TYPES])
    shared = Shared()
    paths = {route.path.removeprefix(root): path_of(route, schemas, shared) for route in routes}
    return {
        "openapi": DIALECT,
        "info": {"title": title, "version": __version__, "description": STORE},
        "servers": [{"url": root or "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            **shared.components,
            "headers": {TXN_NAME: TXN_HEADER},
            "schemas": schemas.components,
            "securitySchemes": {"key": KEY_SCHEME},
        },
    }


class Shared:
    """What many routes have alike, under a name each."""

    def __init__(self) -> None:
        """Begin with none."""
        self.components: dict[str, dict[str, Schema]] = {"parameters": {}, "responses": {}}

    def refer(self, family: str, name: str, described: Schema) -> Schema:
        """Refer to a description by a name that begins like this."""
        known = self.components[family]
        names = (name if number == 1 else f"{name}-{number}" for number in count(1))
        chosen = next(each for each in names if known.setdefault(each, described) == described)
        return {"$ref": f"#/components/{family}/{chosen}"}


def path_of(route: Route, schemas: Schemas, shared: Shared) -> Schema:
    """Describe a route, method by method."""
    return {method.lower(): operation_of(route, method, schemas, shared) for method in route.methods}


def operation_of(route: Route, method: str, schemas: Schemas, shared: Shared) -> Schema:
    """Describe one method of a route."""
    described = route.described_for(method)
    parameters = parameters_of(route, described, schemas)
    operation: Schema = {
        "operationId": name_of(route, method),
        "summary": summary_of(route, method),
        "tags": [route.version.name if route.version is not None else "store"],
        "parameters": [shared.refer("parameters", each["name"], each) for each in parameters],
        "responses": answers_of(route, described, schemas, shared),
    }
    if route.takes_body or described.takes is not None:
        operation["requestBody"] = {"required": True, "content": body_of(route, described, schemas)}
    if route.open:
        operation["security"] = []
    return operation


def name_of(route: Route, method: str) -> str:
    """A name for an operation, that no other has."""
    words = "".join(char if char.isalnum() else " " for char in route.path).split()
    return "_".join([*words, method.lower()])


def summary_of(route: Route, method: str) -> str:
    """What a route does, in a line: the first of its endpoint's docstring, if it does not say it itself."""
    return route.described_for(method).summary or (route.endpoint.__doc__ or "").partition("\n")[0]


def body_of(route: Route, described: Described, schemas: Schemas) -> Schema:
    """Describe what a request's body may be, by media type."""
    shown = {} if described.example is None else {"example": described.example}
    return {form.media_type.decode(): {"schema": schemas.of(described.takes), **shown} for form in route.forms}


def answers_of(route: Route, described: Described, schemas: Schemas, shared: Shared) -> Schema:
    """Describe the answers, by status."""
    media_types = route.gives if described.media_type is None else (described.media_type,)
    good = {each.decode(): {"schema": schemas.of(type_of(described, each))} for each in media_types}
    answers = {str(described.status): answer_of("What was asked for.", good)}
    if PART in described.headers:
        answers["206"] = answer_of("The range that was asked for.", good)
    if UNCHANGED in described.headers and not described.kind.writes:
        answers["304"] = {"description": "The caller has it already."}
    bad: dict[str, Any] = {
        "application/json": {"schema": schemas.of(FORM_TYPES[route.errors])},
        PROBLEM.decode(): {"schema": schemas.of(FORM_TYPES["problem"])},
    }
    for status, meanings in faults_of(described).items():
        answer = answer_of("\n\n".join(meanings), bad)
        answers[str(status)] = shared.refer("responses", f"{route.errors}-{status}", answer)
    return answers


def type_of(described: Described, media_type: bytes) -> Any:
    """What a good answer of a media type holds, each of its lines where it has any."""
    return described.line if described.line is not None and media_type in LINES else described.gives


def answer_of(description: str, content: Schema) -> Schema:
    """Describe one answer."""
    headers = {TXN_NAME: {"$ref": f"#/components/headers/{TXN_NAME}"}}
    return {"description": description, "headers": headers, "content": content}
