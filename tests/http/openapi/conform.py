"""Whether an answer is as the document of the API says: its status, its media type, and what stands in its body.

Rules: the types of answers are closed for this, so that a key that nobody described is seen; to others the document
leaves them open. What is no route, or has no such method, is in no document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import cbor2
import jsonschema_rs

from crdtstore.errors import CrdtStoreError
from crdtstore.http.openapi.document import document_of
from crdtstore.http.routes import ROUTES, find_route

if TYPE_CHECKING:
    from tests.http.calling import Answered

OPEN_TYPES: Final = frozenset({"Code", "Problem"})
"""What carries more under names of its own."""


@cache
def document() -> dict[str, Any]:
    """The document as its reader has it."""
    described: dict[str, Any] = json.loads(json.dumps(document_of(ROUTES, "all")))
    return described


@cache
def closed_types() -> dict[str, Any]:
    """The types of bodies, without room for more."""
    types = document()["components"]["schemas"]
    return {
        name: schema if name in OPEN_TYPES or "properties" not in schema else {**schema, "additionalProperties": False}
        for name, schema in types.items()
    }


@cache
def answer_described(path: str, method: str, status: int) -> dict[str, Any] | None:
    """What the document says of an answer, if it does."""
    answers: dict[str, Any] = document()["paths"][path][method.lower()]["responses"]
    said: dict[str, Any] | None = answers.get(str(status))
    if said is not None and "$ref" in said:
        return document()["components"]["responses"][said["$ref"].rpartition("/")[2]]
    return said


@cache
def validator_of(schema: str) -> Any:
    """What checks a body."""
    return jsonschema_rs.Draft202012Validator({**json.loads(schema), "components": {"schemas": closed_types()}})


def values_of(media_type: str, body: bytes) -> Iterator[Any]:
    """The values of a body: one, or one a line; none where it is neither JSON nor CBOR."""
    if media_type.endswith(("json-l", "ndjson")):
        yield from map(json.loads, body.splitlines())
    elif media_type.endswith("json"):
        yield json.loads(body)
    elif media_type.endswith("cbor"):
        yield cbor2.loads(body)


def problems_of(method: str, target: str, answered: Answered) -> list[str]:
    """Say in what an answer is not as it is described."""
    try:
        found = find_route(target.partition("?")[0])
    except CrdtStoreError:
        return []
    if found is None or method not in found.route.methods or answered.status == 304:
        return []
    described = answer_described(found.route.path, method, answered.status)
    if described is None:
        return [f"status {answered.status} is not described"]
    media_type = answered.headers["content-type"]
    if media_type not in described["content"]:
        return [f"media type {media_type} is not described for {answered.status}"]
    if method == "HEAD":
        return []
    validator = validator_of(json.dumps(described["content"][media_type]["schema"]))
    return [
        f"{'.'.join(map(str, error.instance_path))}: {error.message}"
        for value in values_of(media_type, answered.body)
        for error in validator.iter_errors(value)
    ]


def check_described(method: str, target: str, answered: Answered) -> None:
    """Refuse an answer that is not as it is described."""
    problems = problems_of(method, target, answered)
    assert problems == [], (problems, method, target, answered)
