"""The routes of documents as resources."""

from __future__ import annotations

from typing import Any, Final

from crdtstore.errors import PreconditionFailed
from crdtstore.http.described import READING, WRITING, Described
from crdtstore.http.request import CBOR, JSON
from crdtstore.http.route import Route
from crdtstore.http.store.answers import DocumentAnswer
from crdtstore.http.store.resource import answers
from crdtstore.http.store.resource.document import METHODS, document
from crdtstore.http.store.resource.history import history
from crdtstore.http.store.version import VERSIONS, Version

EITHER: Final = (JSON.media_type, CBOR.media_type)
CONDITIONS: Final = ("If-Match", "If-None-Match")


def written(takes: Any, gives: Any, summary: str) -> Described:
    """Describe a write on condition."""
    example = None if takes is None else {"name": "Ada"}
    plain = Described(takes, gives, WRITING, errors=(PreconditionFailed,), example=example)
    return plain._replace(summary=summary, headers=CONDITIONS)


DOCUMENT: Final = {
    "GET": Described(
        None,
        DocumentAnswer,
        READING,
        answers.DocumentArguments,
        errors=(PreconditionFailed,),
        summary="Answer with a document, unless the caller has it.",
        headers=CONDITIONS,
    ),
    "PATCH": written(dict[str, Any], answers.WrittenAnswer, "Merge fields into a document, or make it."),
    "PUT": written(dict[str, Any], answers.WrittenAnswer, "Make a document what the body says."),
    "DELETE": written(None, answers.RemovedAnswer, "Remove a document."),
}
HISTORY: Final = Described(None, answers.HistoryAnswer, READING, answers.HistoryArguments)


def resource_routes(version: Version) -> tuple[Route, Route]:
    """Those of one version."""
    path = f"/api/{version.name}/collections/{{collection}}/documents/{{id}}"
    plain = Route(path, ("GET",), history, takes_body=False, gives=EITHER, version=version, errors=version.errors)
    return (
        plain._replace(methods=tuple(METHODS), endpoint=document, forms=(version.payload, CBOR), described=DOCUMENT),
        plain._replace(path=f"{path}/history", described=HISTORY),
    )


RESOURCE_ROUTES: Final = tuple(route for name in ("v4", "v5") for route in resource_routes(VERSIONS[name]))
