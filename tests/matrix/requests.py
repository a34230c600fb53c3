"""The table of the matrix: for each route and method, requests in every scope, and what each must be allowed to do.

Rules: a route that has no line here fails the test of the matrix, so that nobody forgets one. Versions of an API share
a line. A line says what is asked of the caller in words of its own: nothing of it is read from the route.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

from crdtstore.http.route import Route
from crdtstore.http.routes import ROUTES
from crdtstore.replication.message import EXCHANGE_FORMAT, Hello
from crdtstore.replication.message import encode as encode_message
from tests.matrix.oracle import MARK, MINE, NOWHERE, OTHER_MARK, OWNER, THEIRS, Need
from tests.matrix.world import BYTES

JSON: Final = "application/json"
MESSAGE: Final = "application/msgpack"
UPLOAD: Final = "multipart/form-data; boundary=x"
LINES_TYPE: Final = "application/json-l"
PIECE: Final = b"piece"
FORM: Final = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nnew file\r\n--x--\r\n'
COLLECTIONS: Final = (MINE, THEIRS, NOWHERE)

KNOWN: Final = (Need("known"),)
FULL: Final = (Need("full"),)
WHOLE: Final = (Need("read all"),)


class Asked(NamedTuple):
    """A request of a line: its target, below the path of the route, its body, and what it needs."""

    scope: str
    parameters: dict[str, str]
    query: str
    body: Any
    needs: tuple[Need, ...]
    content_type: str = JSON
    writes: bool = False
    """Whether it changes the store where it is allowed."""

    chooses: bool = False
    """Whether it writes what a condition chooses, among what the caller sees."""

    compared: bool = True
    """Whether its answer is the same in a store that holds only what the caller has to do with."""


Line: TypeAlias = Callable[[], Iterator[Asked]]
Needs: TypeAlias = Callable[[str], tuple[Need, ...]]


def finds(_: str) -> tuple[Need, ...]:
    """It reads documents: to who may not, there are none."""
    return KNOWN


def reads(name: str) -> tuple[Need, ...]:
    """It reads a collection, or some documents of it, and is refused where there are none."""
    return (Need("read", name),)


def reads_whole(name: str) -> tuple[Need, ...]:
    """It reads a collection whatever stands in it."""
    return (Need("read whole", name),)


def writes(name: str) -> tuple[Need, ...]:
    """It writes a collection, or some documents of it."""
    return (Need("write", name),)


def writes_whole(name: str) -> tuple[Need, ...]:
    """It writes a collection whatever stands in it."""
    return (Need("write whole", name),)


def ids_of(collection: str) -> tuple[str, str]:
    """A document that is there, and one that is not."""
    return {MINE: ("m2", "m99"), THEIRS: (f"{MARK}2", "t99"), NOWHERE: ("m2", "x99")}[collection]


def plain(needs: tuple[Need, ...], body: Any = None, **more: Any) -> Line:
    """A line of one request that concerns the store."""
    return lambda: iter([Asked("store", {}, "", body, needs, **more)])


def below(make: Callable[[str], list[Asked]]) -> Line:
    """A line of requests for each collection."""
    return lambda: (asked for name in COLLECTIONS for asked in make(name))


def bodies(needs: Needs, *more: dict[str, Any]) -> Line:
    """A line of requests whose body names the collection, and has more beside."""
    return below(lambda name: [Asked(name, {}, "", {"collection": name, **each}, needs(name)) for each in more])


def by_id(needs: Needs, body: Any = None, **more: Any) -> Line:
    """A line of requests for a document whose path names it."""
    return below(
        lambda name: [
            Asked(name, {"collection": name, "id": id_}, "", body, needs(name), **more) for id_ in ids_of(name)
        ]
    )


def commands(name: str) -> list[Asked]:
    """Writes, of every method."""
    there, missing = ids_of(name)
    own = {"n": 9, "owner": OWNER}
    upserts: list[dict[str, Any]] = [
        {"method": "upsert", "collection": name, "value": {"_id": there, **own}},
        {"method": "upsert", "collection": name, "id": missing, "value": own},
    ]
    choosing: list[dict[str, Any]] = [
        {"method": "update", "collection": name, "query": "true", "commands": [SET]},
        {"method": "remove", "collection": name, "query": f"_id == '{there}'"},
    ]
    mixed = [{**upserts[0], "collection": MINE}, upserts[1]]
    refused = [{**upserts[0], "value": {"_id": there, "owner": "you"}}]
    return [
        *(Asked(name, {}, "", {"commands": [each]}, writes(name), writes=True) for each in upserts),
        *(Asked(name, {}, "", {"commands": [each]}, writes(name), writes=True, chooses=True) for each in choosing),
        Asked(f"{name} and mine", {}, "", {"commands": mixed}, (*writes(name), *writes(MINE)), writes=True),
        Asked(f"{name} given away", {}, "", {"commands": refused}, writes_whole(name), writes=True),
        *(others_document() if name == MINE else ()),
    ]


def others_document() -> Iterator[Asked]:
    """Writes to a document that the rule does not allow."""
    taken = {"method": "upsert", "collection": MINE, "value": {"_id": f"{OTHER_MARK}1", "owner": OWNER}}
    yield Asked("another's", {}, "", {"commands": [taken]}, writes_whole(MINE), writes=True, compared=False)


def rpc(name: str) -> list[Asked]:
    """Calls of the first version."""
    there, missing = ids_of(name)
    called = [
        ("find", {"collection": name, "query": "true"}, KNOWN),
        ("find", {"collection": name, "query": "true", "describe": True}, reads_whole(name)),
        ("find", {"collection": name, "query": "true", "limit": 1, "offset": 1}, KNOWN),
        *(("findById", {"collection": name, "_id": id_}, KNOWN) for id_ in (there, missing)),
    ]
    return [
        *(Asked(name, {}, "", {"method": method, "parameters": given}, needs) for method, given, needs in called),
        *(each._replace(body={"method": "write", "parameters": each.body}) for each in commands(name)),
    ]


def statements(name: str) -> list[Asked]:
    """Statements that read, write, and concern the store."""
    there, missing = ids_of(name)
    both = (*reads(name), *writes(name))
    own = f"'n': 1, 'owner': '{OWNER}'"
    select = [
        f"SELECT * FROM {name}",
        f"SELECT count(*) FROM {name}",
        f"SELECT n FROM {name} WHERE n > 1 ORDER BY n DESC LIMIT 1",
    ]
    insert = [
        f"INSERT INTO {name} DOCUMENTS ({{'_id': '{missing}', {own}}})",
        f"INSERT INTO {name} DOCUMENTS ({{'_id': '{there}', {own}}}) ON ID CONFLICT DO UPDATE",
    ]
    choosing = [
        f"UPDATE {name} SET n = 8 WHERE n > 0",
        f"DELETE FROM {name} WHERE _id = '{there}'",
        f"EVICT FROM {name} WHERE _id = '{there}'",
    ]
    return [
        *(Asked(name, {}, "", {"statement": each}, KNOWN) for each in select),
        Asked(name, {}, "", {"statement": f"EXPLAIN {select[0]} WHERE n = 1"}, reads_whole(name)),
        *(Asked(name, {}, "", {"statement": each}, both, writes=True) for each in insert),
        *(Asked(name, {}, "", {"statement": each}, both, writes=True, chooses=True) for each in choosing),
        Asked(f"{name} and mine", {}, "", {"statements": [select[0], f"SELECT * FROM {MINE}"]}, KNOWN),
        Asked(name, {}, "", {"statement": f"CREATE INDEX i ON {name} (n)"}, FULL, writes=True),
    ]


def whole_statements() -> Iterator[Asked]:
    """Statements on what belongs to nobody's collection."""
    for text in ("SELECT * FROM system:collections", "SELECT * FROM system:indexes"):
        yield Asked("store", {}, "", {"statement": text}, FULL)


def attachment(_: str) -> Line:
    """Files: by the document that refers to one, or by itself, where `FILE` stands for that of a collection."""

    def line() -> Iterator[Asked]:
        for name in (MINE, THEIRS):
            document = {MINE: "m5", THEIRS: f"{MARK}5"}[name]
            file = {"id": f"FILE:{name}"}
            yield Asked(name, file, "", None, WHOLE)
            yield Asked(name, file, f"collection={name}&document={document}", None, (Need("file", name),))
            yield Asked(name, file, f"collection={MINE}&document=m1", None, (Need("file", NOWHERE),))
        yield Asked(NOWHERE, {"id": "FILE:nowhere"}, f"collection={MINE}&document=m5", None, (Need("file", NOWHERE),))

    return line


def changes() -> Iterator[Asked]:
    """The feed, of a collection and of all."""
    yield Asked("store", {}, "since=0&feed=normal", None, WHOLE)
    for name in COLLECTIONS:
        yield Asked(name, {}, f"since=0&feed=normal&collection={name}", None, reads(name))
        yield Asked(name, {}, f"since=0&feed=normal&collection={name}&query=n>1", None, reads(name))
    yield Asked(
        "theirs and mine", {}, f"since=0&feed=normal&collection={THEIRS},{MINE}", None, (*reads(THEIRS), *reads(MINE))
    )


def hello(*collections: str) -> bytes:
    """A message of another store that holds these, or everything."""
    return encode_message(Hello(EXCHANGE_FORMAT, collections or None, bytes(16), bytes(16), bytes(16)))


def exchange() -> Iterator[Asked]:
    """What another store asks."""
    yield Asked("store", {}, "", hello(), WHOLE, MESSAGE, compared=False)
    for name in COLLECTIONS:
        yield Asked(name, {}, "", hello(name), reads_whole(name), MESSAGE, compared=False)


def series(needs: Needs, body: Any = None, **more: Any) -> Line:
    """Events of a series."""
    kind = LINES_TYPE if body == EVENT else JSON
    return below(lambda name: [Asked(name, {"series": name}, "", body, needs(name), kind, **more)])


def found() -> Iterator[Asked]:
    """Finds, and how one would be done."""
    yield from bodies(finds, *FINDS)()
    yield from bodies(reads_whole, DESCRIBED)()


SET: Final = {"method": "set", "path": "n", "value": 5}
DESCRIBED: Final = {"query": "true", "describe": True}
DOCUMENT: Final = {"n": 1, "owner": OWNER}
FINDS: Final = (
    {"query": "true"},
    {"query": "n > 1", "sort": [{"property": "n", "direction": "desc"}]},
    {"query": "true", "limit": 1},
    {"query": "true", "limit": 2, "offset": 1},
    {"query": f"text == '{MARK} text'"},
)
VALUES: Final = {"paths": ["n", "text"]}
EVENT: Final = b'{"_time": "2025-01-02T00:00:00Z", "n": 1}\n'
KEY: Final = {"prefix": "0" * 11}

LINES: Final[dict[tuple[str, str], Line]] = {
    ("GET", "/"): plain(KNOWN),
    ("GET", "/api/vN"): plain(KNOWN),
    ("GET", "/api/v1/collections"): plain(KNOWN),
    ("GET", "/api/v1/collections/{collection}/documents"): below(
        lambda c: [Asked(c, {"collection": c}, "", None, KNOWN)]
    ),
    ("GET", "/api/v1/collections/{collection}/documents/{id}"): by_id(finds),
    ("POST", "/api/v1/collections/{collection}/documents/{id}"): by_id(writes, DOCUMENT, writes=True),
    ("DELETE", "/api/v1/collections/{collection}/documents/{id}"): by_id(writes, writes=True, chooses=True),
    ("POST", "/api/v1/collections/{collection}/distinct_values"): below(
        lambda c: [Asked(c, {"collection": c}, "", VALUES, KNOWN)]
    ),
    ("POST", "/api/v1/store"): below(rpc),
    ("GET", "/api/v1/timeseries/{series}/events"): series(reads_whole),
    ("POST", "/api/v1/timeseries/{series}/events"): series(writes_whole, EVENT, writes=True),
    ("DELETE", "/api/v1/timeseries/{series}/events"): series(writes_whole, writes=True),
    **{
        (method, f"/api/vN/timeseries/{{series}}/{name}"): series(reads_whole, VALUES)
        for method in ("GET", "POST")
        for name in ("distinct_values", "distinct_value")
    },
    ("POST", "/api/vN/store/write"): below(commands),
    **{(method, "/api/vN/store/find"): found for method in ("GET", "POST")},
    **{
        (method, "/api/vN/store/findbyid"): below(
            lambda c: [Asked(c, {}, "", {"collection": c, "id": id_}, KNOWN) for id_ in ids_of(c)]
        )
        for method in ("GET", "POST")
    },
    **{
        (method, "/api/vN/store/count"): bodies(finds, {"query": "true"}, {"query": "n > 2"})
        for method in ("GET", "POST")
    },
    ("POST", "/api/vN/store/execute"): lambda: chain(below(statements)(), whole_statements()),
    ("POST", "/api/vN/sync/remote_execute"): below(
        lambda c: [
            Asked(c, {}, "", {"statement": f"SYNC CONTEXT (PEERS WHERE true) SELECT * FROM {c}"}, (Need("peers"),))
        ]
    ),
    ("GET", "/api/vN/collections/{collection}/documents/{id}"): by_id(finds),
    ("PATCH", "/api/vN/collections/{collection}/documents/{id}"): by_id(writes, DOCUMENT, writes=True),
    ("PUT", "/api/vN/collections/{collection}/documents/{id}"): by_id(writes, DOCUMENT, writes=True),
    ("DELETE", "/api/vN/collections/{collection}/documents/{id}"): by_id(writes, writes=True, chooses=True),
    ("GET", "/api/vN/collections/{collection}/documents/{id}/history"): by_id(reads_whole),
    **{
        ("POST", f"/api/vN/{name}/upload"): plain((Need("write some"),), FORM, content_type=UPLOAD, writes=True)
        for name in ("attachment", "attachments")
    },
    **{
        (method, f"/api/vN/{name}/{{id}}"): attachment(name)
        for method in ("GET", "HEAD")
        for name in ("attachment", "attachments")
    },
    **{
        ("PUT", f"/api/vN/{name}/{{id}}"): lambda: iter(
            [Asked("store", {"id": "FILE:nowhere"}, "", PIECE, (Need("write some"),), BYTES, writes=True)]
        )
        for name in ("attachment", "attachments")
    },
    ("GET", "/api/vN/store/changes"): changes,
    **{(method, "/api/vN/store/live"): bodies(reads, {"query": "true"}) for method in ("GET", "POST")},
    ("GET", "/txn"): plain(KNOWN),
    ("GET", "/admin/change-images"): plain(FULL),
    ("PUT", "/admin/change-images/{collection}"): below(
        lambda c: [Asked(c, {"collection": c}, "", {"images": "both"}, FULL, writes=True)]
    ),
    ("GET", "/admin/stats"): plain(FULL),
    ("GET", "/admin/backup"): plain(FULL),
    ("GET", "/admin/keys"): plain(FULL),
    ("POST", "/admin/keys"): plain(FULL, {"name": "new", "permissions": {}}, writes=True),
    **{
        (method, "/admin/keys/{prefix}"): lambda: iter([Asked("store", KEY, "", None, FULL, writes=True)])
        for method in ("GET", "DELETE")
    },
    ("POST", "/admin/keys/{prefix}/explain"): lambda: iter(
        [Asked("store", KEY, "", {"collection": MINE, "id": "m2"}, FULL)]
    ),
    ("POST", "/admin/keys/{prefix}/rotate"): lambda: iter([Asked("store", KEY, "", {}, FULL)]),
    ("GET", "/admin/key-changes"): plain(FULL),
    ("GET", "/admin/accounts"): plain(FULL),
    ("POST", "/admin/accounts"): plain(FULL, {"name": "alice", "permissions": {}}, writes=True),
    ("DELETE", "/admin/accounts/{name}"): lambda: iter([Asked("store", {"name": "bob"}, "", None, FULL, writes=True)]),
    ("POST", "/api/replication/v1"): exchange,
}

OPEN: Final = frozenset(
    {
        "/openapi.json",
        "/docs",
        *(f"/api/v{number}/swagger.json" for number in range(1, 6)),
        *(f"/api/v1/schema/{name}.json" for name in ("rpc-request", "rpc-response", "event", "datetime")),
    }
)
"""What everybody may read: it says nothing of what a store holds."""

FOR_STRANGERS: Final = frozenset({"/_ditto/auth/login"})
"""What takes no credential: with one it is answered as without."""

VERSION: Final = re.compile(r"/api/v[1-5](?=/|$)")


def line_of(route: Route, method: str) -> Line | None:
    """The line of a route, under its own path or that of all versions."""
    every = VERSION.sub("/api/vN", route.path)
    return next((LINES[method, path] for path in (route.path, every) if (method, path) in LINES), None)


def routes() -> Iterator[tuple[Route, str]]:
    """Every route and method that needs a credential."""
    for route in ROUTES:
        if route.path not in OPEN | FOR_STRANGERS:
            for method in route.methods:
                yield route, method


def encode(body: Any) -> bytes:
    """Write a body."""
    if body is None or isinstance(body, bytes):
        return body or b""
    return json.dumps(body).encode()
