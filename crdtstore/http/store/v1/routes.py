"""The routes of version 1 of the store API."""

from __future__ import annotations

from typing import Any, Final

from crdtstore.errors import PreconditionFailed
from crdtstore.http.described import READING, STATEMENTS, WRITING, Described
from crdtstore.http.request import CBOR, JSON, JSON_LINES
from crdtstore.http.route import Route
from crdtstore.http.store.answers import FullWriteAnswer
from crdtstore.http.store.v1.answers import Accepted, CallFound, CallFoundById, CollectionsAnswer, ListingArguments
from crdtstore.http.store.v1.distinct import DistinctAnswer, DistinctBody, distinct_values
from crdtstore.http.store.v1.documents import METHODS, collections, document, documents
from crdtstore.http.store.v1.rpc import RpcRequest, rpc
from crdtstore.http.store.v1.schemas import schema_routes
from crdtstore.http.store.version import VERSIONS

V1: Final = VERSIONS["v1"]
EITHER: Final = (JSON.media_type, CBOR.media_type)
COLLECTIONS: Final = "/api/v1/collections"

ENSURE_HEADERS: Final = ("X-DITTO-ENSURE-INSERT", "X-DITTO-ENSURE-DELETE")
CONDITIONAL: Final = (PreconditionFailed,)
DOCUMENT: Final = {
    "GET": Described(gives=dict[str, Any], kind=READING, errors=CONDITIONAL, summary="Answer with a document."),
    "POST": Described(
        dict[str, Any],
        Accepted,
        WRITING,
        errors=CONDITIONAL,
        status=202,
        example={"name": "Ada"},
        summary="Merge fields into a document, or make it.",
        headers=ENSURE_HEADERS,
    ),
    "DELETE": Described(
        gives=Accepted,
        kind=WRITING,
        errors=CONDITIONAL,
        status=202,
        summary="Remove a document.",
        headers=ENSURE_HEADERS,
    ),
}

CALLED: Final = Described(
    RpcRequest,
    (CallFound, CallFoundById, FullWriteAnswer),
    STATEMENTS,
    example={"method": "find", "parameters": {"collection": "people", "query": "true"}},
)

V1_ROUTES: Final = (
    Route(
        COLLECTIONS,
        ("GET",),
        collections,
        takes_body=False,
        gives=EITHER,
        version=V1,
        errors=V1.errors,
        described=Described(gives=CollectionsAnswer, kind=READING),
    ),
    Route(
        f"{COLLECTIONS}/{{collection}}/documents",
        ("GET",),
        documents,
        takes_body=False,
        gives=(JSON_LINES.media_type,),
        version=V1,
        errors=V1.errors,
        described=Described(gives=dict[str, Any], kind=READING, arguments=ListingArguments),
    ),
    Route(
        f"{COLLECTIONS}/{{collection}}/documents/{{id}}",
        tuple(METHODS),
        document,
        takes_body=False,
        forms=(JSON, CBOR),
        gives=EITHER,
        version=V1,
        errors=V1.errors,
        described=DOCUMENT,
    ),
    Route(
        f"{COLLECTIONS}/{{collection}}/distinct_values",
        ("POST",),
        distinct_values,
        forms=(JSON, CBOR),
        gives=EITHER,
        version=V1,
        errors=V1.errors,
        described=Described(DistinctBody, DistinctAnswer, READING, example={"paths": ["name", "tags[*]"]}),
    ),
    Route(
        "/api/v1/store",
        ("POST",),
        rpc,
        forms=(JSON, CBOR),
        gives=EITHER,
        version=V1,
        errors=V1.errors,
        described=CALLED,
    ),
    *schema_routes(),
)
