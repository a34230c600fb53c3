"""A document of OpenAPI 3.1 as one of 3.0, for tools that read no newer one.

Rules: what 3.0 cannot say is said more loosely, never wrongly: null becomes `nullable`, a body of GET is left out.
"""

from __future__ import annotations

from typing import Any, Final

from crdtstore.http.openapi.schemas import Schema

OLDER: Final = "3.0.3"
NULL: Final[Schema] = {"type": "null"}


def older(document: Schema) -> Schema:
    """The same in OpenAPI 3.0."""
    paths = {path: dict(map(without_body, methods.items())) for path, methods in document["paths"].items()}
    converted: Schema = convert({**document, "paths": paths})
    return {**converted, "openapi": OLDER}


def without_body(item: tuple[str, Schema]) -> tuple[str, Schema]:
    """A method and its operation; GET has no body."""
    method, operation = item
    left_out = {"requestBody"} if method == "get" else set()
    return method, {key: value for key, value in operation.items() if key not in left_out}


def convert(node: Any) -> Any:
    """Rewrite schemas wherever they stand."""
    if isinstance(node, list):
        return [convert(item) for item in node]
    if not isinstance(node, dict):
        return node
    converted = {key: value if key in {"example", "default"} else convert(value) for key, value in node.items()}
    if "const" in converted:
        converted["enum"] = [converted.pop("const")]
    if converted.get("required") == []:
        del converted["required"]
    if NULL in converted.get("anyOf", ()):
        converted["anyOf"] = [each for each in converted["anyOf"] if each != NULL]
        converted["nullable"] = True
    if converted.get("type") == "null":
        return {"nullable": True}
    return converted
