"""One request for each route and method that is answered well, for tests that go over all routes.

Rules: a route that takes another body than GENERAL, or answers another status than 200, gets a line here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from crdtstore.http.request import JSON_LINES, MESSAGE, UPLOAD
from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from crdtstore.replication.message import EXCHANGE_FORMAT, Hello
from crdtstore.replication.message import encode as encode_message
from tests.http.calling import upsert

HELLO: Final = encode_message(Hello(EXCHANGE_FORMAT, None, bytes(16), bytes(16), bytes(16)))
FILE: Final = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n'
DOCUMENT: Final = {"n": 1}
EVENTS: Final = "/api/v1/timeseries/{series}/events"
GENERAL: Final = {**upsert("a", n=1), "collection": "c", "query": "true", "id": "a"}
"""A body that the routes of documents all take."""

PARAMETERS: Final = {"collection": "c", "id": "a", "series": "s", "prefix": "0" * 11, "name": "nobody"}
"""What stands for the parameters of paths."""


class Sample(NamedTuple):
    """A request: its target, and the body with its type."""

    method: str
    target: str
    content_type: str
    body: bytes
    status: int = 200


BODIES: Final[dict[tuple[str, str], Any]] = {
    ("PUT", "/admin/change-images/{collection}"): {"images": "both"},
    **{
        ("POST", f"/api/{version}/{name}"): {"statement": statement}
        for version in ("v4", "v5")
        for name, statement in {
            "store/execute": "SELECT * FROM c",
            "sync/remote_execute": "SYNC CONTEXT (PEERS WHERE true) SELECT * FROM c",
        }.items()
    },
    ("POST", "/admin/accounts"): {"name": "alice", "permissions": {}},
    ("POST", "/admin/keys"): {"name": "report", "permissions": {}},
    ("POST", "/admin/keys/{prefix}/explain"): {"collection": "c", "id": "a"},
    ("POST", "/admin/keys/{prefix}/rotate"): {},
    ("POST", "/api/v1/collections/{collection}/documents/{id}"): DOCUMENT,
    ("POST", "/api/v1/collections/{collection}/distinct_values"): {"paths": ["n"]},
    ("POST", "/api/v1/store"): {"method": "find", "parameters": {"collection": "c", "query": "true"}},
    **{
        (method, f"/api/{version}/collections/{{collection}}/documents/{{id}}"): DOCUMENT
        for version in ("v4", "v5")
        for method in ("PUT", "PATCH")
    },
    **{(method, EVENTS): [{"_time": "2021-01-01T00:00:00Z"}] for method in ("GET", "POST", "DELETE")},
    **{
        (method, f"/api/{name}"): {"paths": ["a"]}
        for method in ("GET", "POST")
        for name in (
            "v2/timeseries/{series}/distinct_values",
            "v1/timeseries/{series}/distinct_values",
            "v1/timeseries/{series}/distinct_value",
        )
    },
}
"""Bodies of their own, by method and path of the route."""

STATUSES: Final[dict[tuple[str, str], int]] = {
    # A store in memory has no backup.
    ("GET", "/admin/backup"): 404,
    # There is no provider of logins.
    ("POST", "/_ditto/auth/login"): 400,
    # There is no such account.
    ("DELETE", "/admin/accounts/{name}"): 404,
    # There is no such key.
    ("GET", "/admin/keys/{prefix}"): 404,
    ("DELETE", "/admin/keys/{prefix}"): 404,
    ("POST", "/admin/keys/{prefix}/explain"): 404,
    ("POST", "/admin/keys/{prefix}/rotate"): 404,
    ("GET", "/api/v1/collections/{collection}/documents/{id}"): 404,
    ("POST", "/api/v1/collections/{collection}/documents/{id}"): 202,
    ("DELETE", "/api/v1/collections/{collection}/documents/{id}"): 202,
    **{("GET", f"/api/{version}/collections/{{collection}}/documents/{{id}}"): 404 for version in ("v4", "v5")},
    **{
        (method, f"/api/{version}/{name}/{{id}}"): 404
        for version in ("v4", "v5")
        for method in ("GET", "HEAD")
        for name in ("attachments", "attachment")
    },
    **{
        ("PUT", f"/api/{version}/{name}/{{id}}"): 400
        for version in ("v4", "v5")
        for name in ("attachments", "attachment")
    },
    # These versions answer so where there is no such document.
    **{(method, f"/api/{version}/store/findbyid"): 404 for method in ("GET", "POST") for version in ("v4", "v5")},
}
"""What is answered, where it is not 200."""


def sample_of(route: Route, method: str) -> Sample:
    """A request that a route answers well."""
    target = route.path
    for name in route.names:
        target = target.replace(f"{{{name}}}", PARAMETERS[name])
    form = route.forms[0]
    body = HELLO if form is MESSAGE else encode(BODIES.get((method, route.path), GENERAL), lines=form is JSON_LINES)
    if form is UPLOAD:
        return Sample(method, target, f"{form.media_type.decode()}; boundary=x", FILE)
    return Sample(method, target, form.media_type.decode(), body, STATUSES.get((method, route.path), 200))


def encode(body: Any, *, lines: bool) -> bytes:
    """A body as JSON, or as lines of it."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in body) if lines else json.dumps(body).encode()


def samples() -> Iterator[Sample]:
    """One of each method of each route."""
    for route in ROUTES:
        for method in route.methods:
            yield sample_of(route, method)


SAMPLES: Final = tuple(samples())

OPEN: Final = frozenset(route.path for route in ROUTES if route.open)
"""What answers callers without a key, too."""

STRANGERS: Final = frozenset(route.path for route in ROUTES if route.for_strangers)
"""What asks nobody for a key, and reads what is sent."""
