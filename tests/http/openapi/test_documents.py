"""The documents of the API are OpenAPI, and say of each route what the table says."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from crdtstore.http.routes import ROUTES
from crdtstore.http.server import Application
from crdtstore.http.store.version import VERSIONS
from tests.http.calling import call

VALIDATORS = {"3.1.1": OpenAPIV31SpecValidator, "3.0.3": OpenAPIV30SpecValidator}
PATHS = {"/openapi.json": "3.1.1"} | {f"/api/{version}/swagger.json": "3.0.3" for version in VERSIONS}


def fetch(app: Application, path: str) -> dict[str, Any]:
    answered = call(app, "GET", path)
    assert (answered.status, answered.headers["content-type"]) == (200, "application/json")
    document: dict[str, Any] = answered.json
    return document


@pytest.mark.parametrize("path", PATHS)
def test_a_document_is_what_it_says_it_is(app: Application, path: str) -> None:
    document = fetch(app, path)
    assert document["openapi"] == PATHS[path]
    VALIDATORS[PATHS[path]](document).validate()


def test_every_route_is_in_the_whole(app: Application) -> None:
    paths = fetch(app, "/openapi.json")["paths"]
    assert {path: tuple(method.upper() for method in said) for path, said in paths.items()} == {
        route.path: route.methods for route in ROUTES
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_route_of_a_version_is_in_its_document(app: Application, version: str) -> None:
    document = fetch(app, f"/api/{version}/swagger.json")
    [server] = document["servers"]
    assert {server["url"] + path for path in document["paths"]} == {
        route.path for route in ROUTES if route.path.startswith(f"/api/{version}/")
    }


def test_names_of_operations_are_unique(app: Application) -> None:
    paths = fetch(app, "/openapi.json")["paths"]
    names = [operation["operationId"] for methods in paths.values() for operation in methods.values()]
    assert sorted(set(names)) == sorted(names)


def test_who_has_a_document_is_not_sent_it_again(app: Application) -> None:
    first = call(app, "GET", "/openapi.json")
    again = call(app, "GET", "/openapi.json", None, {"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    other = call(app, "GET", "/openapi.json", None, {"if-none-match": '"other"'})
    assert (other.status, other.body) == (200, first.body)
